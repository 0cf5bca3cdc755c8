//! What a plan is made of: steps, the two sides, what may be done, and why there is no plan.
//!
//! A plan never needs `-F`, never names a snapshot that the source lacks, and destroys nothing but
//! what the options name: the remains of an interrupted receive of ours (`restart`), or what the
//! destination has and the source lacks (`rollback`, where the destination allows it).

use schema::{Code, Failure, Replica};
use zfs::{DatasetName, Guid, Kind, ResumeToken, Snapshot};

/// One thing to do at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Throw away what an interrupted receive of ours left.
    Abort {
        /// Bytes that it had received, where known.
        received: Option<u64>,
    },
    /// Create a missing parent, unmounted.
    CreateParent(DatasetName),
    /// Mark a dataset that another tool made as ours.
    Adopt,
    /// Go back to a snapshot, which destroys what came after it.
    Rollback {
        /// The newest snapshot that both sides have, under its name at the destination.
        to: Snapshot,
        /// Newer snapshots, oldest first.
        discards: Vec<Snapshot>,
        /// Bytes written since the newest snapshot.
        changes: u64,
    },
    /// Go on with an interrupted receive.
    Resume {
        /// What the source goes on with; its `to_name` is another's word.
        token: ResumeToken,
        /// The snapshot that it completes, under its name at the source.
        snapshot: Snapshot,
    },
    /// Receive a snapshot, whole or from a base.
    Send {
        /// Under its name at the source.
        snapshot: Snapshot,
        /// What the destination has already; `None`: the snapshot whole.
        base: Option<Base>,
    },
}

impl Step {
    /// The dataset that it creates beside the target.
    pub fn creates(&self) -> Option<&DatasetName> {
        match self {
            Self::CreateParent(parent) => Some(parent),
            _ => None,
        }
    }

    /// The snapshot that it brings.
    pub fn brings(&self) -> Option<&Snapshot> {
        match self {
            Self::Resume { snapshot, .. } | Self::Send { snapshot, .. } => Some(snapshot),
            _ => None,
        }
    }
}

/// What an increment starts from, under its name at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// A snapshot or bookmark.
    pub snapshot: Snapshot,
    /// Whether only its bookmark is left at the source.
    pub is_bookmark: bool,
}

/// The source's side.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Filesystem or volume.
    pub kind: Kind,
    /// Encrypted at rest.
    pub encrypted: bool,
    /// In the order of createtxg.
    pub snapshots: &'a [Snapshot],
    /// In the order of createtxg.
    pub bookmarks: &'a [Snapshot],
}

impl<'a> From<&'a Replica> for Source<'a> {
    fn from(replica: &'a Replica) -> Self {
        Self {
            kind: replica.properties.kind,
            encrypted: replica.properties.encrypted,
            snapshots: &replica.snapshots,
            bookmarks: &replica.bookmarks,
        }
    }
}

impl<'a> Source<'a> {
    /// Its own entry of a snapshot.
    pub fn snapshot(&self, guid: Guid) -> Option<&'a Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.guid == guid)
    }

    /// What an increment from that snapshot starts from here: the snapshot, else its bookmark.
    pub fn base(&self, guid: Guid) -> Option<Base> {
        let bookmark = || self.bookmarks.iter().find(|bookmark| bookmark.guid == guid);
        match self.snapshot(guid) {
            Some(snapshot) => Some(Base { snapshot: snapshot.clone(), is_bookmark: false }),
            None => bookmark().map(|it| Base { snapshot: it.clone(), is_bookmark: true }),
        }
    }
}

/// What the user wants done, and what the destination allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Each snapshot between the base and the goal, not the goal alone.
    pub all_snapshots: bool,
    /// Abort an interrupted receive of ours instead of going on with it.
    pub restart: bool,
    /// Discard what the destination has and the source lacks.
    pub rollback: bool,
    /// Whether the destination allows that.
    pub may_rollback: bool,
    /// Take over a dataset that another tool made.
    pub adopt: bool,
    /// Send encrypted data in the clear.
    pub decrypt: bool,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This source can't; another may.
    Source(Failure),
    /// No source can: it is the destination that stands against it.
    Destination(Failure),
}

impl Refusal {
    pub(super) fn source(target: &DatasetName, reason: String, remedy: String) -> Self {
        Self::Source(Failure::new(Code::Refused, "receive", target, reason, remedy))
    }

    pub(super) fn destination(target: &DatasetName, reason: String, remedy: String) -> Self {
        Self::Destination(Failure::new(Code::Refused, "receive", target, reason, remedy))
    }

    /// What to tell.
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Source(failure) | Self::Destination(failure) => failure,
        }
    }
}
