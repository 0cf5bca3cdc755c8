//! The header that each record of a send stream begins with, and how long what follows it is.
//! Never looks at what follows.
//!
//! The format is OpenZFS's `include/sys/zfs_ioctl.h`: a `struct dmu_replay_record` of 312 bytes, in
//! the byte order of the machine that sends. It begins with the record's type (4 bytes) and a
//! length that only BEGIN uses (4 bytes); then comes a union, of which this is read:
//!
//! | type                | bytes   | field                 |                                     |
//! |---------------------|---------|-----------------------|-------------------------------------|
//! | 0 BEGIN             |         |                       | see [`begin`](super::begin)         |
//! | 1 OBJECT            | 8..16   | `drr_object`          |                                     |
//! |                     | 24..28  | `drr_blksz`           | the object's block size             |
//! |                     | 28..32  | `drr_bonuslen`        |                                     |
//! |                     | 36..40  | `drr_raw_bonuslen`    | 0 but in raw streams                |
//! | 2 FREEOBJECTS       |         |                       |                                     |
//! | 3 WRITE             | 8..16   | `drr_object`          |                                     |
//! |                     | 24..32  | `drr_offset`          |                                     |
//! |                     | 32..40  | `drr_logical_size`    |                                     |
//! |                     | 50      | `drr_compressiontype` | 0: the data is not compressed       |
//! |                     | 96..104 | `drr_compressed_size` |                                     |
//! | 4 FREE              |         |                       |                                     |
//! | 5 END               |         |                       |                                     |
//! | 6 WRITE_BYREF       |         |                       | of deduplicated streams             |
//! | 7 SPILL             | 16..24  | `drr_length`          |                                     |
//! |                     | 40..48  | `drr_compressed_size` | 0 but in raw streams                |
//! | 8 WRITE_EMBEDDED    | 8..16   | `drr_object`          |                                     |
//! |                     | 16..24  | `drr_offset`          |                                     |
//! |                     | 24..32  | `drr_length`          | of the block                        |
//! |                     | 52..56  | `drr_psize`           | of the data                         |
//! | 9 OBJECT_RANGE      |         |                       | only in raw streams                 |
//! | 10 REDACT           |         |                       | of redacted streams                 |
//!
//! After OBJECT follow `drr_raw_bonuslen` bytes, or where that is 0 `drr_bonuslen` ones, padded to
//! 8; after WRITE `drr_compressed_size` bytes if the data is compressed, else `drr_logical_size`;
//! after SPILL `drr_compressed_size` bytes, or where that is 0 `drr_length`; after WRITE_EMBEDDED
//! `drr_psize` bytes, padded to 8; after the others nothing.

use std::fmt;
use std::ops::RangeInclusive;

/// Bytes in a header.
pub(super) const LEN: usize = 312;

/// Bytes that a block may have (`SPA_MINBLOCKSIZE`, `SPA_MAXBLOCKSIZE`).
const BLOCK: RangeInclusive<u64> = 512..=16 << 20;
/// Bytes in the bonus of the largest dnode: 16 KiB without its head and one block pointer
/// (`DN_BONUS_SIZE(DNODE_MAX_SIZE)`).
const BONUS: RangeInclusive<u64> = 0..=(16 << 10) - 64 - 128;
/// Bytes that fit into a block pointer (`BPE_PAYLOAD_SIZE`).
const EMBEDDED: RangeInclusive<u64> = 0..=14 * 8;

/// The number that stands for an object's spill block (`DMU_SPILL_BLKID`).
const SPILL_BLOCK: u64 = u64::MAX - 1;

/// A record's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the module's table says what they are")]
pub enum RecordKind {
    Begin,
    Object,
    FreeObjects,
    Write,
    Free,
    End,
    WriteByRef,
    Spill,
    WriteEmbedded,
    ObjectRange,
    Redact,
    /// Of no type that OpenZFS knows.
    Unknown(u32),
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begin => "BEGIN",
            Self::Object => "OBJECT",
            Self::FreeObjects => "FREEOBJECTS",
            Self::Write => "WRITE",
            Self::Free => "FREE",
            Self::End => "END",
            Self::WriteByRef => "WRITE_BYREF",
            Self::Spill => "SPILL",
            Self::WriteEmbedded => "WRITE_EMBEDDED",
            Self::ObjectRange => "OBJECT_RANGE",
            Self::Redact => "REDACT",
            Self::Unknown(kind) => return write!(f, "type {kind}"),
        })
    }
}

/// What an OBJECT record says of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectHead {
    /// The object's number.
    pub object: u64,
    /// Bytes in each of its blocks.
    pub block_size: u32,
}

/// Why a record can't be one that we asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A type that OpenZFS doesn't know.
    #[error("ZFS knows no such record")]
    Unknown,
    /// BEGIN, again.
    #[error("a stream has but one of these, at its start")]
    SecondBegin,
    /// WRITE_BYREF or REDACT.
    #[error("only deduplicated and redacted streams have such a record, and none was asked for")]
    Unasked,
    /// A spill block as a WRITE_EMBEDDED: where extended attributes are small or compress well,
    /// `-e` sends them so, and so does `-w` where there is no encryption. OpenZFS 2.3.2 receives
    /// it with success, right GUID and clean scrub, and the attributes are gone, or stale.
    #[error(
        "it holds a spill block, sent with -e, and ZFS would lose it without a word: extended \
         attributes would be missing"
    )]
    EmbeddedSpill,
    /// A number out of the bounds of ZFS's own formats.
    #[error("{what} is {bytes} bytes, ZFS allows {least} to {most}")]
    Size {
        /// Of what, with its article.
        what: &'static str,
        /// As the record has it.
        bytes: u64,
        /// The least that is possible.
        least: u64,
        /// The most that is possible.
        most: u64,
    },
}

/// A record after the first, as far as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) action: Action,
    /// Bytes that follow the header.
    pub(super) payload: u64,
}

/// What a record makes the receiver do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Object(ObjectHead),
    Write {
        object: u64,
        offset: u64,
        length: u64,
    },
    /// Something that following a stream does not depend on.
    Other,
    End,
}

impl Record {
    /// Reads the header of a record that is not BEGIN.
    pub(super) fn parse(header: &Fields<'_>) -> Result<Self, RecordError> {
        let (action, payload) = match header.kind() {
            RecordKind::Object => {
                let block_size = header.u32(24);
                within("the object's block size", block_size.into(), BLOCK)?;
                let bonus = match header.u32(36) {
                    0 => u64::from(header.u32(28)).next_multiple_of(8),
                    raw => raw.into(),
                };
                within("the bonus", bonus, BONUS)?;
                (Action::Object(ObjectHead { object: header.u64(8), block_size }), bonus)
            }
            RecordKind::Write => {
                let length = within("the block", header.u64(32), BLOCK)?;
                let payload = match header.u8(50) {
                    0 => length,
                    _ => within("the compressed block", header.u64(96), 1..=length)?,
                };
                let (object, offset) = (header.u64(8), header.u64(24));
                (Action::Write { object, offset, length }, payload)
            }
            RecordKind::WriteEmbedded => {
                let length = within("the block", header.u64(24), BLOCK)?;
                let data = within("the embedded block", header.u32(52).into(), EMBEDDED)?;
                let (object, offset) = (header.u64(8), header.u64(16));
                if offset == SPILL_BLOCK.wrapping_mul(length) {
                    return Err(RecordError::EmbeddedSpill);
                }
                (Action::Write { object, offset, length }, data.next_multiple_of(8))
            }
            RecordKind::Spill => {
                let length = within("the spill block", header.u64(16), BLOCK)?;
                let payload = match header.u64(40) {
                    0 => length,
                    compressed => within("the compressed spill block", compressed, 1..=length)?,
                };
                (Action::Other, payload)
            }
            RecordKind::Free | RecordKind::FreeObjects | RecordKind::ObjectRange => {
                (Action::Other, 0)
            }
            RecordKind::End => (Action::End, 0),
            RecordKind::Begin => return Err(RecordError::SecondBegin),
            RecordKind::WriteByRef | RecordKind::Redact => return Err(RecordError::Unasked),
            RecordKind::Unknown(_) => return Err(RecordError::Unknown),
        };
        Ok(Self { action, payload })
    }
}

fn within(what: &'static str, bytes: u64, bounds: RangeInclusive<u64>) -> Result<u64, RecordError> {
    if bounds.contains(&bytes) {
        return Ok(bytes);
    }
    Err(RecordError::Size { what, bytes, least: *bounds.start(), most: *bounds.end() })
}

/// That of the machine that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// The numbers in a header.
pub(super) struct Fields<'a> {
    pub(super) record: &'a [u8; LEN],
    pub(super) order: ByteOrder,
}

impl Fields<'_> {
    pub(super) fn kind(&self) -> RecordKind {
        match self.u32(0) {
            0 => RecordKind::Begin,
            1 => RecordKind::Object,
            2 => RecordKind::FreeObjects,
            3 => RecordKind::Write,
            4 => RecordKind::Free,
            5 => RecordKind::End,
            6 => RecordKind::WriteByRef,
            7 => RecordKind::Spill,
            8 => RecordKind::WriteEmbedded,
            9 => RecordKind::ObjectRange,
            10 => RecordKind::Redact,
            other => RecordKind::Unknown(other),
        }
    }

    pub(super) fn u8(&self, at: usize) -> u8 {
        self.record[at]
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        let bytes = self.bytes(at);
        match self.order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        let bytes = self.bytes(at);
        match self.order {
            ByteOrder::Little => u64::from_le_bytes(bytes),
            ByteOrder::Big => u64::from_be_bytes(bytes),
        }
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.record[at..at + N]);
        bytes
    }
}
