use std::io::Read;

use flate2::read::GzDecoder;
use proptest::prelude::*;

use super::*;

/// What OpenZFS 2.3.2 sent, whole.
struct Real {
    name: &'static str,
    gzip: &'static [u8],
}

macro_rules! real {
    ($($name:literal),* $(,)?) => {
        [$(Real {
            name: $name,
            gzip: include_bytes!(concat!("../../../tests/fixtures/stream/", $name, ".gz")),
        }),*]
    };
}

const REAL: [Real; 12] = real![
    "fs-full-lec",
    "fs-increment",
    "big-full-lc",
    "big-increment-lc",
    "enc-raw-increment",
    "vol-full",
    "vol-increment",
    "resumed-embedded",
    "resumed-increment",
    "resumed-large",
    "resumed-raw",
    "resumed-volume",
];

impl Real {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        GzDecoder::new(self.gzip).read_to_end(&mut bytes).unwrap();
        bytes
    }
}

fn real(name: &str) -> Vec<u8> {
    REAL.iter().find(|real| real.name == name).unwrap().bytes()
}

fn follow(stream: &[u8]) -> Follower {
    let mut follower = Follower::new(100);
    follower.follow(stream).unwrap();
    follower
}

fn refusal(stream: &[u8]) -> FollowError {
    Follower::new(100).follow(stream).unwrap_err()
}

/// All that can be seen of a follower.
fn seen(follower: &Follower) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        follower.begin().cloned(),
        follower.resume_point(),
        follower.first_object(),
        follower.remembered.clone(),
        follower.ended(),
    )
}

/// A record of this type with these 64-bit fields, little-endian.
fn record(kind: u8, fields: &[(usize, u64)]) -> Vec<u8> {
    let mut record = vec![0; LEN];
    record[0] = kind;
    for &(at, value) in fields {
        record[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    record
}

fn object(object: u64, block_size: u32) -> Vec<u8> {
    record(1, &[(8, object), (24, block_size.into())])
}

fn write(object: u64, offset: u64, length: u64) -> Vec<u8> {
    let mut write = record(3, &[(8, object), (24, offset), (32, length)]);
    write.resize(LEN + length as usize, b'w');
    write
}

fn write_embedded(object: u64, offset: u64, length: u64) -> Vec<u8> {
    let mut write = record(8, &[(8, object), (16, offset), (24, length), (48, 13 << 32)]);
    write.resize(LEN + 16, b'e');
    write
}

/// A stream of these records, all little-endian; its first has features as given.
fn stream(features: u64, records: &[Vec<u8>]) -> Vec<u8> {
    let mut begin = include_bytes!("../../../tests/fixtures/begin/filesystem.bin").to_vec();
    begin[16..24].copy_from_slice(&(features << 2 | 1).to_le_bytes());
    [begin, records.concat()].concat()
}

const LARGE_BLOCKS: u64 = 1 << 19;

#[test]
fn real_streams_are_followed_to_their_end() {
    for real in &REAL {
        let bytes = real.bytes();
        let mut follower = Follower::new(100);
        follower.follow(&bytes[..bytes.len() - 1]).unwrap();
        assert!(!follower.ended(), "{}", real.name);
        follower.follow(&bytes[bytes.len() - 1..]).unwrap();
        assert!(follower.ended(), "{}", real.name);
    }
}

#[test]
fn a_resumed_stream_begins_with_the_object_that_it_goes_on_with() {
    for real in &REAL {
        let follower = follow(&real.bytes());
        let resumed = real.name.starts_with("resumed-");
        assert_eq!(follower.resume_point().is_some(), resumed, "{}", real.name);
        if let Some((object, _)) = follower.resume_point() {
            assert_eq!(follower.first_object().map(|head| head.object), Some(object));
        }
    }
}

#[test]
fn objects_of_streams_with_large_blocks_are_remembered() {
    let head = |object, block_size| ObjectHead { object, block_size };
    let objects = [object(3, 512), object(4, 1 << 20), object(5, 512), object(3, 1024)];
    let mut follower = Follower::new(3);
    follower.follow(&stream(LARGE_BLOCKS, &objects)).unwrap();
    assert_eq!(follower.first_object(), Some(head(3, 512)));
    let sizes = [3, 4, 5, 6].map(|object| follower.block_size(object));
    assert_eq!(sizes, [Some(1024), Some(1 << 20), Some(512), None]);
    follower.follow(&object(6, 2048)).unwrap();
    let sizes = [3, 4, 5, 6].map(|object| follower.block_size(object));
    assert_eq!(sizes, [Some(1024), None, Some(512), Some(2048)]);

    let plain = follow(&stream(0, &objects));
    assert_eq!((plain.first_object(), plain.block_size(3)), (Some(head(3, 512)), None));
}

#[test]
fn only_writes_that_go_forward_pass() {
    let ascending = [
        write(5, 0, 512),
        write(5, 512, 1024),
        write_embedded(5, 4096, 512),
        // ZFS frees and announces what it likes, wherever.
        record(4, &[(8, 5), (16, 0), (24, u64::MAX)]),
        object(5, 512),
        write(5, 4608, 512),
        write(9, 0, 512),
    ];
    follow(&stream(0, &ascending));
    let refused = |records: &[Vec<u8>]| match refusal(&stream(0, records)).misfit {
        Misfit::Backwards { object, offset, written } => (object, offset, written),
        other => panic!("{other}"),
    };
    let again = (5, 512, (5, 1024));
    assert_eq!(refused(&[write(5, 512, 512), write(5, 512, 512)]), again);
    assert_eq!(refused(&[write(5, 512, 512), object(5, 512), write(5, 512, 512)]), again);
    assert_eq!(refused(&[write(5, 512, 512), write_embedded(5, 512, 512)]), again);
    assert_eq!(refused(&[write_embedded(5, 512, 512), write(5, 512, 512)]), again);
    assert_eq!(refused(&[write(5, 0, 1024), write(5, 512, 512)]), again);
    assert_eq!(refused(&[write(5, 512, 512), write(5, 0, 512)]), (5, 0, (5, 1024)));
    assert_eq!(refused(&[write(5, 0, 512), write(4, 9 << 20, 512)]), (4, 9 << 20, (5, 512)));
}

#[test]
fn a_real_stream_that_repeats_a_write_is_refused_where_it_does() {
    let bytes = real("fs-increment");
    let first_write = (0..bytes.len())
        .find(|&at| bytes[at..].starts_with(&[3, 0, 0, 0]) && follow(&bytes[..at]).at_header())
        .unwrap();
    let header = bytes[first_write..].first_chunk().unwrap();
    let write = Record::parse(&Fields { record: header, order: ByteOrder::Little }).unwrap();
    let end = first_write + LEN + write.payload as usize;
    let repeated = [&bytes[..end], &bytes[first_write..]].concat();
    let error = refusal(&repeated);
    assert_eq!((error.record, error.at), (RecordKind::Write, end as u64));
    assert!(matches!(error.misfit, Misfit::Backwards { .. }), "{error}");
}

#[test]
fn only_streams_that_announce_large_blocks_may_hold_them() {
    for large in [write(1, 0, 131_584), write_embedded(1, 0, 131_584)] {
        follow(&stream(LARGE_BLOCKS, std::slice::from_ref(&large)));
        let error = refusal(&stream(0, &[large]));
        assert_eq!((error.at, error.misfit), (LEN as u64, Misfit::LargeBlock(131_584)));
    }
    follow(&stream(0, &[write(1, 0, 131_072)]));
}

#[test]
fn a_spill_block_that_a_receiver_would_lose_is_refused() {
    let [real] = real!["embedded-spill"];
    assert_eq!(
        refusal(&real.bytes()).to_string(),
        "WRITE_EMBEDDED record at byte 17256 of the stream: it holds a spill block, sent with -e, and \
         ZFS would lose it without a word: extended attributes would be missing"
    );
}

impl Follower {
    /// Whether the next byte begins a record.
    fn at_header(&self) -> bool {
        matches!(self.state, State::Header) && self.partial.is_empty()
    }
}

#[test]
fn what_cannot_be_meant_for_a_receiver_of_ours_is_refused() {
    let refused = |record: Vec<u8>| refusal(&stream(0, &[record])).to_string();
    let raw_bonus = |bytes: u64| record(1, &[(24, 512), (32, bytes << 32)]);
    for (record, error) in [
        (record(11, &[]), "type 11 record at byte 312 of the stream: ZFS knows no such record"),
        (
            record(6, &[]),
            "WRITE_BYREF record at byte 312 of the stream: only deduplicated and redacted streams \
             have such a record, and none was asked for",
        ),
        (
            record(10, &[]),
            "REDACT record at byte 312 of the stream: only deduplicated and redacted streams have \
             such a record, and none was asked for",
        ),
        (
            record(0, &[]),
            "BEGIN record at byte 312 of the stream: a stream has but one of these, at its start",
        ),
        (
            write(1, 0, (16 << 20) + 1),
            "WRITE record at byte 312 of the stream: the block is 16777217 bytes, ZFS allows 512 to \
             16777216",
        ),
        (
            record(3, &[(8, 1), (24, u64::MAX), (32, 512)]),
            "WRITE record at byte 312 of the stream: it writes beyond the end of any object",
        ),
        (
            record(3, &[(32, 512), (48, 1 << 16), (96, 513)]),
            "WRITE record at byte 312 of the stream: the compressed block is 513 bytes, ZFS allows \
             1 to 512",
        ),
        (
            record(8, &[(24, 512), (48, 113 << 32)]),
            "WRITE_EMBEDDED record at byte 312 of the stream: the embedded block is 113 bytes, ZFS \
             allows 0 to 112",
        ),
        (
            record(7, &[(16, 0)]),
            "SPILL record at byte 312 of the stream: the spill block is 0 bytes, ZFS allows 512 to \
             16777216",
        ),
        (
            record(7, &[(16, 512), (40, u64::MAX)]),
            "SPILL record at byte 312 of the stream: the compressed spill block is \
             18446744073709551615 bytes, ZFS allows 1 to 512",
        ),
        (
            object(1, 32 << 20),
            "OBJECT record at byte 312 of the stream: the object's block size is 33554432 bytes, \
             ZFS allows 512 to 16777216",
        ),
        (
            record(1, &[(24, 16_193 << 32 | 512)]),
            "OBJECT record at byte 312 of the stream: the bonus is 16200 bytes, ZFS allows 0 to \
             16192",
        ),
        (
            raw_bonus(16_193),
            "OBJECT record at byte 312 of the stream: the bonus is 16193 bytes, ZFS allows 0 to \
             16192",
        ),
        (
            [record(5, &[]), vec![0]].concat(),
            "END record at byte 312 of the stream: more bytes follow the stream's end",
        ),
    ] {
        assert_eq!(refused(record), error);
    }
}

#[test]
fn a_beginning_that_says_too_little_or_too_much_is_refused() {
    let begin = |features: u64, payload: &[u8]| {
        let mut stream = stream(features, &[payload.to_vec()]);
        stream[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        refusal(&stream).to_string()
    };
    const RESUMING: u64 = 1 << 20;
    let empty = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    let mut xdr = empty;
    xdr[0] = 1;
    let at = "BEGIN record at byte 0 of the stream:";
    let unknown = format!("{at} the stream doesn't say where it goes on");
    assert_eq!(begin(RESUMING, &[]), unknown);
    assert_eq!(begin(RESUMING, &empty), unknown);
    assert_eq!(
        begin(RESUMING, &xdr),
        format!(
            "{at} where the stream goes on can't be read: the list is not in the native \
             little-endian encoding (it begins with [01, 01, 00, 00, 00, 00, 00, 00])"
        )
    );
    assert_eq!(
        begin(0, &[0; 65_537]),
        format!("{at} 65537 bytes follow it, at most 65536 can be right")
    );
    assert_eq!(refusal(&[7; LEN]).to_string(), format!("{at} not a ZFS stream"));
    assert_eq!(refusal(&real("fs-increment")[LEN..]).to_string(), format!("{at} not a ZFS stream"));
}

#[test]
fn a_stream_of_a_big_endian_machine_is_followed_too() {
    let mut bytes = stream(LARGE_BLOCKS, &[object(7, 1 << 20), write(7, 512, 512), record(5, &[])]);
    let write_at = 2 * LEN;
    for at in [0, LEN, write_at, write_at + LEN + 512] {
        bytes[at..at + 4].reverse();
    }
    for at in [8, 16, 24, 40, 48, LEN + 8, write_at + 8, write_at + 24, write_at + 32] {
        bytes[at..at + 8].reverse();
    }
    for at in [32, 36, LEN + 24, LEN + 28] {
        bytes[at..at + 4].reverse();
    }
    let follower = follow(&bytes);
    assert_eq!((follower.block_size(7), follower.written), (Some(1 << 20), (7, 1024)));
    assert!(follower.ended());
}

proptest! {
    #[test]
    fn however_a_stream_is_cut_it_is_the_same(
        which in 0..REAL.len(),
        sizes in proptest::collection::vec(prop_oneof![1..9_usize, 300..330_usize, 1..99_999_usize], 1..40),
    ) {
        let bytes = REAL[which].bytes();
        let mut chunked = Follower::new(100);
        let mut rest = bytes.as_slice();
        for size in sizes.iter().cycle() {
            let (chunk, after) = rest.split_at((*size).min(rest.len()));
            chunked.follow(chunk).unwrap();
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(seen(&chunked), seen(&follow(&bytes)));
    }

    #[test]
    fn a_damaged_stream_is_refused_or_followed_and_the_same_however_it_is_cut(
        which in 0..REAL.len(),
        damage in proptest::collection::vec((0..20_000_usize, any::<u8>()), 1..20),
        size in 1..700_usize,
    ) {
        let mut bytes = REAL[which].bytes();
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let mut whole = Follower::new(100);
        let mut chunked = Follower::new(100);
        let followed = bytes.chunks(size).try_for_each(|chunk| chunked.follow(chunk));
        prop_assert_eq!(whole.follow(&bytes), followed);
        prop_assert_eq!(seen(&whole), seen(&chunked));
    }

    #[test]
    fn garbage_behind_a_beginning_never_panics(garbage: Vec<u8>, features in 0..1_u64 << 30) {
        let _ = Follower::new(1).follow(&stream(features, &[garbage]));
    }
}
