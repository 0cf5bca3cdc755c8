//! What is known of a dataset: its identity, size, snapshots and bookmarks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::names::{DatasetName, SnapshotLabel};

/// The identity that ZFS gives a snapshot (and a dataset) at birth.
///
/// A snapshot's survives send, receive and rename, so it tells whether two copies are the same
/// data; a filesystem's own does not survive a receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Guid(pub u64);

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Guid {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What a dataset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Files; can be mounted.
    Filesystem,
    /// A zvol: a block device.
    Volume,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filesystem => "filesystem",
            Self::Volume => "volume",
        })
    }
}

/// A snapshot, or a bookmark, which has its snapshot's GUID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    /// The part behind the `@` or `#`.
    pub label: SnapshotLabel,
    /// Its identity.
    pub guid: Guid,
    /// The transaction group that made it: orders the snapshots of one pool, no more.
    pub createtxg: u64,
    /// Unix time in seconds; survives send and receive.
    pub creation: i64,
}

/// What `zfs list` tells of a dataset, the name apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// Filesystem or volume.
    pub kind: Kind,
    /// The dataset's own GUID, made anew by each first receive.
    pub guid: Guid,
    /// Bytes that it and its descendants take on the pool.
    pub used: u64,
    /// Bytes that it refers to, whoever they are shared with.
    pub referenced: u64,
    /// Bytes written since its latest snapshot.
    pub written: u64,
    /// Whether it is encrypted at rest.
    pub encrypted: bool,
    /// The snapshot that it is a clone of, in full.
    pub origin: Option<String>,
    /// Whether its first receive is unfinished.
    pub inconsistent: bool,
    /// The token that continues an interrupted receive into it.
    pub resume_token: Option<String>,
}

/// A dataset with its snapshots and bookmarks, each oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The full name.
    pub name: DatasetName,
    /// All but the name and the snapshots.
    pub properties: Properties,
    /// In the order of createtxg.
    pub snapshots: Vec<Snapshot>,
    /// In the order of createtxg.
    pub bookmarks: Vec<Snapshot>,
}
