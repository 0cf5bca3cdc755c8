//! ZFS, typed: names, GUIDs, datasets, snapshots, what `zfs` prints and how a stream begins.
//!
//! Pure, but for the feature `process`, which runs `zfs` and `zpool`. Knows nothing of the network.

pub mod dataset;
pub mod escape;
pub mod estimate;
pub mod events;
pub mod listing;
pub mod names;
pub mod output;
pub mod pool;
#[cfg(feature = "process")]
pub mod process;
pub mod property;
pub mod reason;
pub mod stream;

pub use dataset::{Dataset, Guid, Kind, Properties, Snapshot};
pub use escape::Escaped;
pub use events::Event;
pub use names::{
    DatasetName, DatasetPath, FullName, NameError, PoolName, SnapshotLabel, SnapshotName,
};
pub use output::UnexpectedLine;
pub use pool::Pool;
#[cfg(feature = "process")]
pub use process::Zfs;
pub use property::{PropertyName, PropertyValue, Source};
pub use reason::Reason;
