//! One record's 312-byte header, and the fields of the kinds of record that streams have here.

use anyhow::Result;

use crate::nvlist::{Nvlist, Value};

/// Bytes of a header.
pub(super) const LENGTH: usize = 312;
/// Where every header but BEGIN's holds the checksum of all that came before it.
pub(super) const CHECKSUM: usize = LENGTH - 32;

const MAGIC: u64 = 0x2_F5BA_CBAC;
/// The header type of a stream of one snapshot.
pub(super) const SUBSTREAM: u64 = 1;
/// DRR_FLAG_FREERECORDS and DRR_FLAG_SPILL_BLOCK, which every sender of our day sets.
const FLAGS: u32 = 0xc;
const NAME: std::ops::Range<usize> = 56..LENGTH;

/// The values of `drr_type` that occur here.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(super) enum Type {
    Begin = 0,
    Object = 1,
    FreeObjects = 2,
    Write = 3,
    End = 5,
}

/// A header.
#[derive(Clone)]
pub(super) struct Header(pub(super) [u8; LENGTH]);

impl Header {
    pub(super) fn new(kind: Type) -> Self {
        let mut header = Self([0; LENGTH]);
        header.set_u32(0, kind as u32);
        header
    }

    pub(super) fn set_u32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    pub(super) fn set_u64(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        self.0[at..at + 8].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        self.0[at..at + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
    }
}

/// DMU_BACKUP_FEATURE_RESUMING: the first record's payload tells where the stream goes on.
pub(super) const RESUMING: u64 = 1 << 20;

/// A place in a stream's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) object: u64,
    pub(crate) offset: u64,
}

impl Position {
    /// As the payload of the first record.
    pub(super) fn pack(self) -> Result<Vec<u8>> {
        let mut list = Nvlist::default();
        list.push("resume_object", Value::Number(self.object));
        list.push("resume_offset", Value::Number(self.offset));
        list.pack()
    }

    pub(super) fn unpack(payload: &[u8]) -> Option<Self> {
        let list = Nvlist::unpack(payload)?;
        let (object, offset) = (list.number("resume_object")?, list.number("resume_offset")?);
        Some(Self { object, offset })
    }
}

/// The first record: what snapshot this is.
#[derive(Clone)]
pub(crate) struct Begin {
    /// Of the snapshot, in seconds since 1970.
    pub(crate) creation: u64,
    pub(crate) is_volume: bool,
    pub(crate) toguid: u64,
    /// 0 in a full stream.
    pub(crate) fromguid: u64,
    /// `pool/dataset@snapshot`, as the sender calls it.
    pub(crate) toname: String,
    /// DMU_BACKUP_FEATURE bits.
    pub(crate) features: u64,
    /// Where a resumed stream goes on; such a stream has the feature bit [`RESUMING`].
    pub(crate) resume: Option<Position>,
}

impl Begin {
    pub(super) fn header(&self) -> Header {
        let mut header = Header::new(Type::Begin);
        header.set_u64(8, MAGIC);
        header.set_u64(16, SUBSTREAM | self.features << 2);
        header.set_u64(24, self.creation);
        header.set_u32(32, if self.is_volume { 3 } else { 2 });
        header.set_u32(36, FLAGS);
        header.set_u64(40, self.toguid);
        header.set_u64(48, self.fromguid);
        header.0[NAME][..self.toname.len()].copy_from_slice(self.toname.as_bytes());
        header
    }

    /// Reads a header; none without the magic number. Also tells the header type.
    pub(super) fn parse(header: &Header) -> Option<(Self, u64)> {
        if header.u32(0) != Type::Begin as u32 || header.u64(8) != MAGIC {
            return None;
        }
        let name = header.0[NAME].split(|byte| *byte == 0).next().unwrap_or_default();
        let begin = Self {
            creation: header.u64(24),
            is_volume: header.u32(32) == 3,
            toguid: header.u64(40),
            fromguid: header.u64(48),
            toname: String::from_utf8_lossy(name).into_owned(),
            features: header.u64(16) >> 2,
            resume: None,
        };
        Some((begin, header.u64(16) & 3))
    }
}

/// What follows the first record.
pub(crate) enum Item {
    /// An object begins; the bonus says what it is.
    Object { object: u64, bonus: Vec<u8> },
    /// Bytes of an object.
    Write { object: u64, offset: u64, data: Vec<u8> },
    /// Nothing that matters here.
    Other,
    /// The end, of the snapshot with this GUID.
    End { toguid: u64 },
}
