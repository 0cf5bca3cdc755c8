//! What the destination holds under the target's name, as the planner sees it.

use zfs::{DatasetName, Guid, Kind, ResumeToken, Snapshot};

use super::form::Form;

/// What is at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nothing; these of its parents are missing too, topmost first.
    Absent {
        /// To be created.
        missing_parents: Vec<DatasetName>,
    },
    /// A dataset, whole or in part.
    Present(Box<Present>),
}

/// A dataset at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Filesystem or volume.
    pub kind: Kind,
    /// Encrypted at rest, by its own key or a parent's.
    pub encrypted: bool,
    /// Whether it carries our marker, set on itself.
    pub ours: bool,
    /// How its streams were made, where we know.
    pub form: Option<Form>,
    /// Oldest first. Empty while its first receive is unfinished.
    pub snapshots: Vec<Snapshot>,
    /// Bytes written since the newest snapshot.
    pub written: u64,
    /// Mounted so that it can be written to.
    pub mounted_writable: bool,
    /// An interrupted receive into it.
    pub partial: Option<Partial>,
}

/// What an interrupted receive has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// It was the dataset's first: the dataset itself is unfinished.
    pub first: bool,
    /// How to go on; without one, nothing that could be gone on with has been kept.
    pub token: Option<Result<ResumeToken, String>>,
}

impl Destination {
    /// Whether the snapshot has arrived.
    pub fn has(&self, guid: Guid) -> bool {
        match self {
            Self::Absent { .. } => false,
            Self::Present(present) => present.snapshots.iter().any(|it| it.guid == guid),
        }
    }
}

impl Partial {
    /// What the receive goes on with, unless it is to be thrown away.
    pub fn resumable(&self, restart: bool) -> Option<&ResumeToken> {
        match &self.token {
            Some(Ok(token)) if !restart => Some(token),
            _ => None,
        }
    }
}
