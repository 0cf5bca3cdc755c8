//! One step by which the catalogue changes: what is applied in memory and what is written to disk.

use std::sync::Arc;

use schema::Place;
use serde::{Deserialize, Serialize};
use zfs::{DatasetPath, Guid, Properties, Snapshot};

use crate::model::{Identity, MachineId};
use crate::release::Release;
use crate::role::Role;

/// One step. A catalogue is the sum of its changes; applying one twice is applying it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The generation of a role's capability; those before it are void.
    Generation(Role, u32),
    /// A machine is known, or was seen again.
    Machine(Arc<MachineId>, MachineRecord),
    /// A machine is forgotten. Its pools are told of one by one.
    MachineGone(Arc<MachineId>),
    /// A pool is known, or was seen again.
    Pool(Arc<Place>, PoolRecord),
    /// A pool is gone, with all its datasets, and with what it was to be told.
    PoolGone(Arc<Place>),
    /// A dataset is new, or has changed.
    Dataset(Arc<Place>, Arc<DatasetPath>, Arc<Content>),
    /// A dataset is gone.
    DatasetGone(Arc<Place>, Arc<DatasetPath>),
    /// A place is to be told of a release, since so many seconds of Unix time.
    Owed(Release, i64),
    /// A place was told of a release, or needs not be told any more.
    Released(Release),
}

/// What is remembered of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// Whose name it is.
    pub identity: Identity,
    /// Unix time in seconds; up to a minute behind while it is connected.
    pub last_seen: i64,
}

/// What is remembered of a pool, its datasets apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// Unix time in seconds when it was last imported, as far as is known; up to a minute behind
    /// while it is. `None`: it never was since the machine announced it.
    pub last_seen: Option<i64>,
}

/// What one pool holds under a dataset's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its size, kind and identity.
    pub properties: Properties,
    /// Oldest first.
    pub snapshots: Box<[Snapshot]>,
    /// Oldest first.
    pub bookmarks: Box<[Snapshot]>,
}

impl Content {
    /// The GUIDs of its snapshots and bookmarks; those of both come twice.
    pub(crate) fn guids(&self) -> impl Iterator<Item = Guid> {
        self.snapshots.iter().chain(&self.bookmarks).map(|entry| entry.guid)
    }
}
