//! What is told of a transfer while it runs and when it has ended.

use std::time::Duration;

use schema::{Failure, Place};
use zfs::{DatasetName, DatasetPath, Guid, Kind, Snapshot};

use crate::plan::{self, Base};

/// How the bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// From machine to machine, dialled by the receiver.
    Direct,
    /// From machine to machine, dialled by the sender.
    DialledBySender,
    /// Through the tracker.
    Relayed,
}

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The machine and pool.
    pub place: Place,
    /// The dataset's path there; may be another than elsewhere.
    pub dataset: DatasetPath,
    /// How they travel.
    pub route: Route,
}

/// What a transfer is going to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The snapshot; `None` in a dry run where the source would take one.
    pub snapshot: Option<Snapshot>,
    /// Where it comes from.
    pub source: Origin,
    /// The dataset that it becomes.
    pub target: DatasetName,
    /// Filesystem or volume.
    pub kind: Kind,
    /// Sent encrypted, as it is on disk.
    pub raw: bool,
    /// In this order; none where the snapshot is there already.
    pub steps: Vec<Step>,
    /// The streams' size in bytes as ZFS estimates it.
    pub bytes: Option<u64>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// One thing to do at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// The stream's size in bytes, where there is one and ZFS has an idea of it.
    pub bytes: Option<u64>,
}

/// What a step does: a [`plan::Step`] as it is told to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Throws away what an interrupted receive of ours left: so many bytes, where known.
    Abort(Option<u64>),
    /// Creates a missing parent, unmounted.
    CreateParent(DatasetName),
    /// Marks a dataset that another tool made as ours.
    Adopt,
    /// Destroys what came after a snapshot.
    Rollback {
        /// The snapshot.
        to: Snapshot,
        /// Newer snapshots, oldest first.
        discards: Vec<Snapshot>,
        /// Bytes written since the newest of them.
        changes: u64,
    },
    /// Goes on with an interrupted receive.
    Resume {
        /// What it completes.
        snapshot: Snapshot,
        /// Bytes that are there already.
        received: u64,
    },
    /// Receives a snapshot, whole or from a base.
    Send {
        /// The snapshot.
        snapshot: Snapshot,
        /// What the destination has already.
        base: Option<Base>,
    },
}

impl From<&plan::Step> for Action {
    fn from(step: &plan::Step) -> Self {
        match step.clone() {
            plan::Step::Abort { received } => Self::Abort(received),
            plan::Step::CreateParent(parent) => Self::CreateParent(parent),
            plan::Step::Adopt => Self::Adopt,
            plan::Step::Rollback { to, discards, changes } => {
                Self::Rollback { to, discards, changes }
            }
            plan::Step::Resume { token, snapshot } => {
                Self::Resume { snapshot, received: token.bytes }
            }
            plan::Step::Send { snapshot, base } => Self::Send { snapshot, base },
        }
    }
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes received.
    pub bytes: u64,
    /// Bytes expected over all steps, by ZFS's estimate.
    pub total: Option<u64>,
}

/// A source that was used, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The source.
    pub origin: Origin,
    /// Bytes that came from it.
    pub bytes: u64,
    /// Why it was left; `None`: it was not.
    pub left: Option<String>,
}

/// What a transfer has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// As it was planned at first.
    pub plan: Plan,
    /// Bytes of stream received.
    pub bytes: u64,
    /// From the first byte asked for to the last one stored.
    pub elapsed: Duration,
    /// The snapshot's GUID as read back from the destination; `None` after a dry run.
    pub guid: Option<Guid>,
    /// In the order of their use.
    pub sources: Vec<Used>,
    /// How often it went on after a failure.
    pub retries: u32,
}

/// All that is known of a transfer: whoever watches sees the latest, however late it comes.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Once it is made; made anew when the transfer goes on after a failure.
    pub plan: Option<Plan>,
    /// Up to now.
    pub progress: Progress,
    /// Decisions taken on the way, for people.
    pub notes: Vec<String>,
    /// Once it has ended.
    pub outcome: Option<Result<Summary, Failure>>,
}
