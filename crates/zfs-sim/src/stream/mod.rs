//! The send stream: OpenZFS's record framing (`dmu_replay_record` of `sys/zfs_ioctl.h`) around files.
//!
//! Headers, order, checksums and sizes are those of a real stream, so whatever follows real streams follows
//! these. Only what the records *carry* is ours: an OBJECT's bonus holds an [`Entry`], and its WRITEs hold
//! that file's bytes, padded with zeroes to whole sectors. Objects are numbered in the order of the stream, so
//! their numbers follow from what changed between two snapshots, on whichever replica.

mod discard;
mod fletcher;
mod reader;
mod record;
pub(crate) mod synthetic;
mod writer;

use serde::{Deserialize, Serialize};

pub(crate) use fletcher::Fletcher4;
pub(crate) use reader::{Broken, Reader};
pub(crate) use record::{Begin, Item, Position};
pub(crate) use writer::Writer;

/// The most data that one WRITE carries.
pub(crate) const MAX_BLOCK: usize = 128 << 10;
/// Blocks are whole sectors.
pub(crate) const SECTOR: u64 = 512;

/// What an object is: the bonus of its OBJECT record, in postcard's encoding.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Below the filesystem's root; empty for a volume.
    pub(crate) path: Vec<u8>,
    pub(crate) mode: u32,
    /// Modification time: seconds and nanoseconds.
    pub(crate) modified: (u64, u32),
    pub(crate) content: Content,
}

/// What kind of object it is.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Content {
    Folder,
    /// Its length in bytes; WRITEs of what changed follow.
    File(u64),
    /// Where it points.
    Link(Vec<u8>),
    /// It, with all below, is no more.
    Gone,
}
