//! ZFS, typed: names, GUIDs, datasets, snapshots, what `zfs` prints, resume tokens and send
//! streams.
//!
//! Pure, but for the feature `process`, which runs `zfs` and `zpool`. Knows nothing of the network.

pub mod dataset;
pub mod escape;
pub mod estimate;
pub mod events;
pub mod hold;
pub mod listing;
pub mod names;
mod nvlist;
pub mod output;
pub mod pool;
#[cfg(feature = "process")]
pub mod process;
pub mod property;
pub mod reason;
pub mod stream;
pub mod token;

pub use dataset::{Dataset, Guid, Kind, Properties, Snapshot};
pub use escape::Escaped;
pub use events::Event;
pub use hold::{Hold, HoldTag, TagError};
pub use names::{
    Base, BookmarkName, DatasetName, DatasetPath, FullName, NameError, PoolName, SnapshotLabel,
    SnapshotName,
};
pub use nvlist::NvlistError;
pub use output::UnexpectedLine;
pub use pool::Pool;
#[cfg(feature = "process")]
pub use process::Zfs;
pub use property::{PropertyName, PropertyValue, Source};
pub use reason::Reason;
pub use token::{ResumeToken, TokenError};
