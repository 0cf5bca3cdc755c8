use super::*;

fn expected() -> Expected {
    Expected {
        guid: Guid(7),
        base: None,
        kind: Kind::Filesystem,
        raw: false,
        resumed: None,
        announced: 1000,
        room: 0,
    }
}

/// A DRR_BEGIN record, little-endian, as `dmu_replay_record` lays it out.
fn record(header: u64, features: u64, kind: u32, to_guid: u64, from_guid: u64) -> Vec<u8> {
    let mut record = vec![0; Begin::LEN];
    let version = header | features << 2;
    let mut put = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
    put(8, &0x2_f5ba_cbac_u64.to_le_bytes());
    put(16, &version.to_le_bytes());
    put(32, &kind.to_le_bytes());
    put(40, &to_guid.to_le_bytes());
    put(48, &from_guid.to_le_bytes());
    put(56, b"tank/a@s\0");
    record
}

const LARGE_BLOCKS: u64 = 1 << 19;
const RESUMING: u64 = 1 << 20;
const REDACTED: u64 = 1 << 21;
const RAW: u64 = 1 << 24;

/// The head of a stream that goes on at an object's offset: BEGIN, its list, and an OBJECT record.
fn resumed(features: u64, (object, offset): (u64, u64), first: (u64, u32)) -> Vec<u8> {
    let mut stream = record(1, RESUMING | features, 2, 7, 0);
    let mut list = vec![0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    for (name, value) in [("resume_object", object), ("resume_offset", offset)] {
        list.extend(40_i32.to_le_bytes());
        list.extend(14_i16.to_le_bytes());
        list.extend([0; 2]);
        list.extend([1_i32, 8].map(i32::to_le_bytes).concat());
        list.extend(name.as_bytes());
        list.extend([0; 3]);
        list.extend(value.to_le_bytes());
    }
    list.extend([0; 4]);
    stream[4..8].copy_from_slice(&u32::try_from(list.len()).unwrap().to_le_bytes());
    stream.extend(list);
    let mut head = vec![0; Begin::LEN];
    head[0] = 1;
    head[8..16].copy_from_slice(&first.0.to_le_bytes());
    head[16..20].copy_from_slice(&19_u32.to_le_bytes());
    head[20..24].copy_from_slice(&44_u32.to_le_bytes());
    head[24..28].copy_from_slice(&first.1.to_le_bytes());
    head[40..48].copy_from_slice(&7_u64.to_le_bytes());
    stream.extend(head);
    stream
}

/// What is said of a stream whose first bytes these are.
fn judge(expected: &Expected, stream: &[u8]) -> Result<Verdict, String> {
    let mut follower = Follower::new(10);
    follower.follow(stream).map_err(|error| error.to_string())?;
    expected.check_head(&follower)
}

#[track_caller]
fn assert_verdict(got: Result<Verdict, String>, expected: Result<Verdict, &str>) {
    match (got, expected) {
        (Ok(got), Ok(expected)) => assert_eq!(got, expected),
        (Err(error), Err(words)) => assert!(error.contains(words), "{error}"),
        (got, expected) => panic!("{got:?} where {expected:?} was expected"),
    }
}

#[test]
fn only_the_planned_stream_passes() {
    for (record, verdict) in [
        (record(1, 0, 2, 7, 0), Ok(Verdict::Pass)),
        (record(1, 0, 2, 7, 0)[..300].to_vec(), Ok(Verdict::Undecided)),
        (record(2, 0, 2, 7, 0), Err("compound")),
        (record(1, 0, 2, 8, 0), Err("GUID 8, not 7")),
        (record(1, 0, 2, 7, 3), Err("increment, from the snapshot with the GUID 3")),
        (record(1, 0, 3, 7, 0), Err("volume, not of a filesystem")),
        (record(1, RAW, 2, 7, 0), Err("it is raw")),
        (record(1, REDACTED, 2, 7, 0), Err("redacted")),
        (resumed(0, (5, 0), (5, 512)), Err("not whole")),
        (vec![b'x'; Begin::LEN], Err("not a ZFS stream")),
    ] {
        assert_verdict(judge(&expected(), &record), verdict);
    }
}

#[test]
fn an_increment_starts_from_the_planned_base() {
    let expected = Expected { base: Some(Guid(3)), ..expected() };
    for (from, verdict) in
        [(3, Ok(Verdict::Pass)), (4, Err("from the GUID 4, not 3")), (0, Err("whole"))]
    {
        assert_verdict(judge(&expected, &record(1, 0, 2, 7, from)), verdict);
    }
}

#[test]
fn an_encrypted_dataset_must_come_raw() {
    let expected = Expected { raw: true, ..expected() };
    assert_verdict(judge(&expected, &record(1, RAW, 2, 7, 0)), Ok(Verdict::Pass));
    assert_verdict(judge(&expected, &record(1, 0, 2, 7, 0)), Err("not raw"));
}

#[test]
fn what_goes_on_does_so_where_the_other_was_cut_and_in_the_same_blocks() {
    let point = Resumed { object: 5, offset: 4096, large_blocks: true, block_size: Some(1 << 20) };
    let whole = record(1, 0, 2, 7, 0);
    let at = |point| resumed(LARGE_BLOCKS, point, (5, 1 << 20));
    let blocks = |first| resumed(LARGE_BLOCKS, (5, 4096), first);
    for (stream, verdict) in [
        (at((5, 4096)), Ok(Verdict::Pass)),
        (at((5, 4096))[..Begin::LEN + 50].to_vec(), Ok(Verdict::Undecided)),
        (at((5, 4096))[..500].to_vec(), Ok(Verdict::Undecided)),
        (at((5, 0)), Err("offset 0 of object 5, not at 4096 of 5")),
        (at((6, 4096)), Err("of object 6")),
        (blocks((5, 128 << 10)), Err("cut into other blocks")),
        (blocks((6, 1 << 20)), Err("goes on with object 6")),
        (whole, Err("from its beginning")),
    ] {
        let expected = Expected { resumed: Some(point), ..expected() };
        assert_verdict(judge(&expected, &stream), verdict);
    }
}

#[test]
fn block_sizes_are_looked_at_only_where_they_matter() {
    let point = Resumed { object: 5, offset: 0, large_blocks: false, block_size: None };
    let expected = Expected { resumed: Some(point), ..expected() };
    assert_verdict(judge(&expected, &resumed(0, (5, 0), (5, 512))), Ok(Verdict::Pass));
    let large = resumed(LARGE_BLOCKS, (5, 0), (5, 512));
    assert_verdict(judge(&expected, &large), Err("has large blocks"));
}

#[test]
fn a_raw_partial_is_never_fed_a_plain_stream() {
    let point = Resumed { object: 5, offset: 0, large_blocks: false, block_size: None };
    let expected = Expected { raw: true, resumed: Some(point), ..expected() };
    assert_verdict(judge(&expected, &resumed(0, (5, 0), (5, 512))), Err("not raw"));
    assert_verdict(judge(&expected, &resumed(RAW, (5, 0), (5, 512))), Ok(Verdict::Pass));
}

#[test]
fn a_stream_without_end_is_stopped() {
    assert_eq!(expected().check_size(4000 + SLACK), Ok(()));
    assert!(expected().check_size(4001 + SLACK).is_err());
    let all = Expected { announced: u64::MAX, ..expected() };
    assert_eq!(all.check_size(u64::MAX), Ok(()));
    let roomy = Expected { room: 1 << 40, ..expected() };
    assert_eq!(roomy.check_size(1 << 40), Ok(()), "small files are underestimated by a lot");
    assert!(roomy.check_size((1 << 40) + 1).is_err());
}
