//! A dataset at a place, as the tracker knows it.

use zfs::{DatasetPath, Properties, Snapshot};

use crate::place::Place;

/// A dataset at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Where it is.
    pub place: Place,
    /// Whether its machine is connected and its pool imported.
    pub online: bool,
    /// Unix time in seconds when it was last known to be there.
    pub last_seen: i64,
    /// Its path below the pool.
    pub name: DatasetPath,
    /// Its size, kind and identity.
    pub properties: Properties,
    /// Oldest first. Empty in a listing, which has the two fields below instead.
    pub snapshots: Vec<Snapshot>,
    /// Oldest first; empty in a listing.
    pub bookmarks: Vec<Snapshot>,
    /// How many snapshots it has.
    pub snapshot_count: u32,
    /// Its newest snapshot.
    pub newest: Option<Snapshot>,
    /// How many streams its machine sends now.
    pub sending: u32,
}
