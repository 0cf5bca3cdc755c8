//! What a lying machine announces, as data.

use zfs::{Guid, Kind, Snapshot};

/// What a liar pretends to have: a machine with one pool and one dataset in it.
#[derive(Clone, Debug)]
pub struct Claim {
    pub(super) machine: String,
    pub(super) pool: String,
    pub(super) dataset: String,
    pub(super) kind: Kind,
    pub(super) encrypted: bool,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) bookmarks: Vec<Snapshot>,
}

impl Claim {
    /// A filesystem without snapshots, unencrypted.
    pub fn of(machine: &str, pool: &str, dataset: &str) -> Self {
        Self {
            machine: machine.into(),
            pool: pool.into(),
            dataset: dataset.into(),
            kind: Kind::Filesystem,
            encrypted: false,
            snapshots: Vec::new(),
            bookmarks: Vec::new(),
        }
    }

    /// With one more snapshot, newer than the others.
    #[must_use]
    pub fn snapshot(mut self, name: &str, guid: u64) -> Self {
        self.snapshots.push(self.next(name, guid));
        self
    }

    /// With one more bookmark, newer than all snapshots and bookmarks so far.
    #[must_use]
    pub fn bookmark(mut self, name: &str, guid: u64) -> Self {
        self.bookmarks.push(self.next(name, guid));
        self
    }

    /// Encrypted.
    #[must_use]
    pub fn encrypted(self) -> Self {
        Self { encrypted: true, ..self }
    }

    /// Of a volume.
    #[must_use]
    pub fn volume(self) -> Self {
        Self { kind: Kind::Volume, ..self }
    }

    fn next(&self, name: &str, guid: u64) -> Snapshot {
        let number = self.snapshots.len() + self.bookmarks.len() + 1;
        Snapshot {
            label: name.parse().expect("a snapshot's name"),
            guid: Guid(guid),
            createtxg: number as u64,
            creation: number as i64,
        }
    }
}
