//! What a pool's index holds: datasets, snapshots and bookmarks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Properties set on a dataset itself, by name.
pub(crate) type Properties = BTreeMap<String, String>;

/// Anything that has a name in a pool.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Node {
    Dataset(Dataset),
    Snapshot(Snapshot),
    Bookmark(Bookmark),
}

/// A filesystem or a volume.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Dataset {
    /// Names its data within the pool; kept when it is renamed.
    pub(crate) id: u64,
    pub(crate) guid: u64,
    pub(crate) createtxg: u64,
    /// Seconds since 1970.
    pub(crate) creation: u64,
    /// Bytes of a volume; none for a filesystem.
    pub(crate) volsize: Option<u64>,
    pub(crate) mounted: bool,
    pub(crate) properties: Properties,
    /// Until what is being received, or was when that was interrupted, is complete.
    pub(crate) receiving: Option<Receiving>,
    /// The ID of a snapshot's data that its own is to become a copy of: a change that `commit` finishes.
    pub(crate) becomes: Option<u64>,
}

/// A receive into a dataset, under way or interrupted.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Receiving {
    /// Names the data that comes in: a first receive's is the dataset's own, an increment's lies beside it.
    pub(crate) id: u64,
    pub(crate) toguid: u64,
    /// 0 in a full stream.
    pub(crate) fromguid: u64,
    pub(crate) toname: String,
    /// The feature bits of the stream's first record.
    pub(crate) features: u64,
    /// Whether what came so far is kept when the receive ends early.
    pub(crate) resumable: bool,
}

/// A snapshot.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) id: u64,
    pub(crate) guid: u64,
    pub(crate) createtxg: u64,
    pub(crate) creation: u64,
    pub(crate) volsize: Option<u64>,
    /// Bytes, as they were when it was taken.
    pub(crate) referenced: u64,
    pub(crate) written: u64,
    pub(crate) properties: Properties,
    /// When each tag was put on it.
    pub(crate) holds: BTreeMap<String, u64>,
}

/// A bookmark. What differs from it is found by the data of its snapshot, which lives as long.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Bookmark {
    pub(crate) id: u64,
    pub(crate) guid: u64,
    pub(crate) createtxg: u64,
    pub(crate) creation: u64,
    pub(crate) referenced: u64,
}

impl Dataset {
    /// Whether its first receive isn't complete, so that it holds nothing of use.
    pub(crate) fn is_inconsistent(&self) -> bool {
        self.receiving.as_ref().is_some_and(|receiving| receiving.id == self.id)
    }
}

impl Node {
    /// The names of all the data that it keeps.
    pub(crate) fn data(&self) -> impl Iterator<Item = u64> {
        let (own, incoming) = match self {
            Self::Dataset(dataset) => {
                (dataset.id, dataset.receiving.as_ref().map(|receiving| receiving.id))
            }
            Self::Snapshot(snapshot) => (snapshot.id, None),
            Self::Bookmark(bookmark) => (bookmark.id, None),
        };
        std::iter::once(own).chain(incoming)
    }

    /// Where it was made, within its pool's history.
    pub(crate) fn createtxg(&self) -> u64 {
        match self {
            Self::Dataset(dataset) => dataset.createtxg,
            Self::Snapshot(snapshot) => snapshot.createtxg,
            Self::Bookmark(bookmark) => bookmark.createtxg,
        }
    }

    /// Its GUID; a bookmark has its snapshot's.
    pub(crate) fn guid(&self) -> u64 {
        match self {
            Self::Dataset(dataset) => dataset.guid,
            Self::Snapshot(snapshot) => snapshot.guid,
            Self::Bookmark(bookmark) => bookmark.guid,
        }
    }

    /// When it was made, in seconds since 1970; a received snapshot keeps the original's.
    pub(crate) fn creation(&self) -> u64 {
        match self {
            Self::Dataset(dataset) => dataset.creation,
            Self::Snapshot(snapshot) => snapshot.creation,
            Self::Bookmark(bookmark) => bookmark.creation,
        }
    }

    /// What its data goes by; a bookmark has none.
    pub(crate) fn id(&self) -> Option<u64> {
        match self {
            Self::Dataset(dataset) => Some(dataset.id),
            Self::Snapshot(snapshot) => Some(snapshot.id),
            Self::Bookmark(_) => None,
        }
    }

    /// Bytes of a volume or a volume's snapshot.
    pub(crate) fn volsize(&self) -> Option<u64> {
        match self {
            Self::Dataset(dataset) => dataset.volsize,
            Self::Snapshot(snapshot) => snapshot.volsize,
            Self::Bookmark(_) => None,
        }
    }

    /// Properties set on it itself; a bookmark can have none.
    pub(crate) fn properties(&self) -> Option<&Properties> {
        match self {
            Self::Dataset(dataset) => Some(&dataset.properties),
            Self::Snapshot(snapshot) => Some(&snapshot.properties),
            Self::Bookmark(_) => None,
        }
    }

    /// Whether it is a filesystem or a volume.
    pub(crate) fn as_dataset(&self) -> Option<&Dataset> {
        if let Self::Dataset(dataset) = self { Some(dataset) } else { None }
    }

    /// Whether it is a snapshot.
    pub(crate) fn as_snapshot(&self) -> Option<&Snapshot> {
        if let Self::Snapshot(snapshot) = self { Some(snapshot) } else { None }
    }

    /// `filesystem`, `volume`, `snapshot` or `bookmark`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Dataset(Dataset { volsize: None, .. }) => "filesystem",
            Self::Dataset(_) => "volume",
            Self::Snapshot(_) => "snapshot",
            Self::Bookmark(_) => "bookmark",
        }
    }
}
