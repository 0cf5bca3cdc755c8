//! The first record of a send stream, read before any of it is given to `zfs receive`.
//!
//! A record as in [`record`](super::record), whose union holds a `struct drr_begin`:
//!
//! | bytes    | field               |                                                      |
//! |----------|---------------------|------------------------------------------------------|
//! | 0..4     | `drr_type`          | 0: `DRR_BEGIN`                                       |
//! | 4..8     | `drr_payloadlen`    | length of the nvlist that follows the record         |
//! | 8..16    | `drr_magic`         | `DMU_BACKUP_MAGIC`, 0x2F5bacbac                      |
//! | 16..24   | `drr_versioninfo`   | bits 0-1: kind of header; bits 2-57: feature flags   |
//! | 24..32   | `drr_creation_time` | of the snapshot                                      |
//! | 32..36   | `drr_type`          | a `dmu_objset_type_t`: 2 filesystem, 3 zvol          |
//! | 36..40   | `drr_flags`         |                                                      |
//! | 40..48   | `drr_toguid`        | the snapshot that the stream makes                   |
//! | 48..56   | `drr_fromguid`      | the snapshot that it starts from, 0: none            |
//! | 56..312  | `drr_toname`        | the snapshot's full name at the sender, NUL-ended    |

use super::record::{ByteOrder, Fields, RecordKind};
use crate::dataset::{Guid, Kind};

/// `DMU_BACKUP_MAGIC`.
const MAGIC: u64 = 0x2_f5ba_cbac;
/// `DMU_SUBSTREAM` and `DMU_COMPOUNDSTREAM`.
const HEADER_SUBSTREAM: u64 = 1;
const HEADER_COMPOUND: u64 = 2;
/// `DMU_OST_ZFS` and `DMU_OST_ZVOL`.
const OBJSET_FILESYSTEM: u32 = 2;
const OBJSET_VOLUME: u32 = 3;

/// What a stream says of itself, all of it the sender's word. Always of a single snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// What the snapshot is of.
    pub kind: Kind,
    /// How the stream is made.
    pub features: Features,
    /// The snapshot that the stream makes.
    pub to_guid: Guid,
    /// The snapshot that an increment starts from; `None`: a full stream.
    pub from_guid: Option<Guid>,
    /// The snapshot's full name at the sender, unchecked, what isn't UTF-8 replaced.
    pub to_name: String,
    /// When the snapshot was taken, Unix time in seconds.
    pub creation: u64,
    /// Bytes between this record and the next.
    pub payload_len: u32,
}

/// Why bytes aren't the first record of a stream that holds a single snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// Garbage.
    #[error("not a ZFS stream")]
    NotAStream,
    /// A record of another type, by its number in OpenZFS.
    #[error("the stream does not begin with its first record but with one of type {0}")]
    OtherRecord(u32),
    /// Made with `-R`, `-I` or `-p`: several streams in one, with properties.
    #[error("the stream is a compound one (made with -R, -I or -p)")]
    Compound,
    /// A header that is neither a single stream's nor a compound one's.
    #[error("the stream has an unknown kind of header ({0})")]
    UnknownHeader(u64),
    /// Neither a filesystem nor a zvol, by its number in OpenZFS.
    #[error("the stream is neither of a filesystem nor of a volume (objset type {0})")]
    UnknownObjset(u32),
}

impl Begin {
    /// The record's length in bytes.
    pub const LEN: usize = super::record::LEN;

    /// Reads the record.
    pub fn parse(record: &[u8; Self::LEN]) -> Result<Self, BeginError> {
        let order = Self::byte_order(record).ok_or(BeginError::NotAStream)?;
        let fields = Fields { record, order };
        match fields.kind() {
            RecordKind::Begin => {}
            _ => return Err(BeginError::OtherRecord(fields.u32(0))),
        }
        let version = fields.u64(16);
        match version & 0b11 {
            HEADER_SUBSTREAM => {}
            HEADER_COMPOUND => return Err(BeginError::Compound),
            other => return Err(BeginError::UnknownHeader(other)),
        }
        let kind = match fields.u32(32) {
            OBJSET_FILESYSTEM => Kind::Filesystem,
            OBJSET_VOLUME => Kind::Volume,
            other => return Err(BeginError::UnknownObjset(other)),
        };
        let name = &record[56..];
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        Ok(Self {
            kind,
            features: Features((version >> 2) & ((1 << 56) - 1)),
            to_guid: Guid(fields.u64(40)),
            from_guid: Some(fields.u64(48)).filter(|&guid| guid != 0).map(Guid),
            to_name: String::from_utf8_lossy(&name[..end]).into_owned(),
            creation: fields.u64(24),
            payload_len: fields.u32(4),
        })
    }

    /// That of the whole stream, told by the magic; `None`: there is no magic.
    pub(super) fn byte_order(record: &[u8; Self::LEN]) -> Option<ByteOrder> {
        [ByteOrder::Little, ByteOrder::Big]
            .into_iter()
            .find(|&order| Fields { record, order }.u64(8) == MAGIC)
    }
}

/// The feature flags of a stream (`DMU_BACKUP_FEATURE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// Holds small blocks within their pointers (`-e`).
    pub fn embedded(self) -> bool {
        self.has(16)
    }

    /// May hold blocks of more than 128 KiB (`-L`, `-w`).
    pub fn large_blocks(self) -> bool {
        self.has(19)
    }

    /// Goes on with an interrupted one (`-t`).
    pub fn resuming(self) -> bool {
        self.has(20)
    }

    /// Made from bookmarks of redaction (`--redact`): lacks data on purpose.
    pub fn redacted(self) -> bool {
        self.has(21)
    }

    /// Holds blocks compressed as on disk (`-c`, `-w`).
    pub fn compressed(self) -> bool {
        self.has(22)
    }

    /// Holds encrypted blocks as on disk (`-w` of an encrypted dataset).
    pub fn raw(self) -> bool {
        self.has(24)
    }

    fn has(self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Record = [u8; Begin::LEN];

    // The first 312 bytes of what OpenZFS 2.3.2 sent.
    const FILESYSTEM: &Record = include_bytes!("../../tests/fixtures/begin/filesystem.bin");
    const INCREMENTAL: &Record = include_bytes!("../../tests/fixtures/begin/incremental.bin");
    const ZVOL: &Record = include_bytes!("../../tests/fixtures/begin/zvol.bin");
    const RAW: &Record = include_bytes!("../../tests/fixtures/begin/raw.bin");
    const RESUMED: &Record = include_bytes!("../../tests/fixtures/begin/resumed.bin");
    const COMPOUND: &Record = include_bytes!("../../tests/fixtures/begin/compound.bin");

    fn parse(record: &Record) -> Begin {
        Begin::parse(record).unwrap()
    }

    /// The record as a machine of the other byte order would send it.
    fn swapped(record: &Record) -> Record {
        let mut swapped = *record;
        for (at, size) in
            [(0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 4), (36, 4), (40, 8), (48, 8)]
        {
            swapped[at..at + size].reverse();
        }
        swapped
    }

    #[test]
    fn a_plain_full_stream_says_what_it_is_of() {
        assert_eq!(
            parse(FILESYSTEM),
            Begin {
                kind: Kind::Filesystem,
                features: Features(1 << 2),
                to_guid: Guid(7255504215695184223),
                from_guid: None,
                to_name: "tank/fs@one".to_owned(),
                creation: 1795347033,
                payload_len: 0,
            }
        );
    }

    #[test]
    fn streams_differ_in_kind_base_and_features() {
        let features = |record| {
            let f = parse(record).features;
            [f.embedded(), f.large_blocks(), f.compressed(), f.raw(), f.resuming(), f.redacted()]
        };
        assert_eq!(features(FILESYSTEM), [false; 6]);
        // Made with -Lec: there were no blocks above 128 KiB.
        assert_eq!(features(INCREMENTAL), [true, false, true, false, false, false]);
        assert_eq!(features(RAW), [false, false, true, true, false, false]);
        assert_eq!(features(RESUMED), [false, false, false, false, true, false]);
        assert_eq!(parse(ZVOL).kind, Kind::Volume);
        assert_eq!(parse(INCREMENTAL).from_guid, Some(parse(FILESYSTEM).to_guid));
        assert_eq!((parse(RAW).payload_len, parse(RESUMED).payload_len), (1028, 96));
    }

    #[test]
    fn the_byte_order_of_the_sender_makes_no_difference() {
        for record in [FILESYSTEM, INCREMENTAL, ZVOL, RAW, RESUMED] {
            assert_eq!(parse(&swapped(record)), parse(record));
        }
        assert_eq!(Begin::parse(&swapped(COMPOUND)), Err(BeginError::Compound));
    }

    #[test]
    fn what_is_no_single_stream_is_refused_by_what_it_is() {
        let with = |at: usize, byte| {
            let mut record = *FILESYSTEM;
            record[at] = byte;
            Begin::parse(&record)
        };
        assert_eq!(Begin::parse(COMPOUND), Err(BeginError::Compound));
        assert_eq!(Begin::parse(&[0; Begin::LEN]), Err(BeginError::NotAStream));
        assert_eq!(with(8, 0), Err(BeginError::NotAStream));
        assert_eq!(with(0, 3), Err(BeginError::OtherRecord(3)));
        assert_eq!(with(16, 0b10111), Err(BeginError::UnknownHeader(3)));
        assert_eq!(with(32, 1), Err(BeginError::UnknownObjset(1)));
    }

    #[test]
    fn a_name_without_an_end_is_as_long_as_its_field() {
        let mut record = *FILESYSTEM;
        record[56..].fill(b'n');
        assert_eq!(parse(&record).to_name, "n".repeat(256));
    }
}
