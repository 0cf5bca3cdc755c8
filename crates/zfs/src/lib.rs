//! ZFS, typed: names, GUIDs, datasets, snapshots, what `zfs` prints and how a stream begins.
//!
//! Pure, but for the feature `process`, which runs `zfs` and `zpool`. Knows nothing of the network.

pub mod dataset;
pub mod escape;
pub mod names;

pub use dataset::{Dataset, Guid, Kind, Properties, Snapshot};
pub use escape::Escaped;
pub use names::{DatasetName, DatasetPath, NameError, PoolName, SnapshotLabel, SnapshotName};
