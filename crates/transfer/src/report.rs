//! What is told of a transfer while it runs and when it has ended.

use std::time::Duration;

use schema::{Failure, Place};
use zfs::{DatasetName, Guid, Kind, Snapshot};

/// How the bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// From machine to machine.
    Direct,
    /// Through the tracker.
    Relayed,
}

/// What a transfer is going to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The snapshot; `None` in a dry run where the source would take one.
    pub snapshot: Option<Snapshot>,
    /// Where it comes from.
    pub source: Place,
    /// The dataset that it becomes.
    pub target: DatasetName,
    /// Filesystem or volume.
    pub kind: Kind,
    /// Sent encrypted, as it is on disk.
    pub raw: bool,
    /// The stream's size in bytes as ZFS estimates it.
    pub bytes: Option<u64>,
    /// Missing parents, created first.
    pub creates: Vec<DatasetName>,
    /// Whether the remains of a failed receive of ours are thrown away first.
    pub aborts: bool,
    /// How the bytes travel.
    pub route: Route,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes received.
    pub bytes: u64,
    /// Bytes expected, by ZFS's estimate.
    pub total: Option<u64>,
}

/// What a transfer has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// As it was planned.
    pub plan: Plan,
    /// Bytes of stream received.
    pub bytes: u64,
    /// From the first byte asked for to the last one stored.
    pub elapsed: Duration,
    /// The snapshot's GUID as read back from the destination; `None` after a dry run.
    pub guid: Option<Guid>,
}

/// All that is known of a transfer: whoever watches sees the latest, however late it comes.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Once it is made.
    pub plan: Option<Plan>,
    /// Up to now.
    pub progress: Progress,
    /// Decisions taken on the way, for people.
    pub notes: Vec<String>,
    /// Once it has ended.
    pub outcome: Option<Result<Summary, Failure>>,
}
