//! What is read of a send stream: the headers of its records. What lies between them, the data, is
//! for ZFS alone.

pub mod begin;
pub mod follow;
pub mod record;

pub use begin::{Begin, BeginError, Features};
pub use follow::{FollowError, Follower, Misfit};
pub use record::{ObjectHead, RecordError, RecordKind};
