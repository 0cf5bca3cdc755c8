use zfs::process::SendFlags;
use zfs::{Properties, ResumeToken};

use super::*;
use crate::plan;
use crate::plan::examples::{replica, snapshot, token};

const BASE: u64 = 1;
const GOAL: u64 = 2;

/// `tank/a`, with a bookmark of what was before the snapshot `now`.
fn dataset(encrypted: bool) -> Dataset {
    Dataset {
        name: "tank/a".parse().unwrap(),
        properties: Properties { encrypted, ..replica("m", &[]).properties },
        snapshots: vec![snapshot("now", GOAL, 20)],
        bookmarks: vec![snapshot("kept", BASE, 10)],
    }
}

fn stream_of(dataset: &Dataset, request: &StreamRequest) -> Result<Stream, Failure> {
    let listed = RefCell::default();
    Subject { zfs: Zfs::default(), name: dataset.name.clone(), listed }.stream_of(dataset, request)
}

/// For the goal, under the name that it has elsewhere.
fn request(start: Start, decrypt: bool) -> StreamRequest {
    StreamRequest { snapshot: snapshot("elsewhere", GOAL, 5), start, decrypt, limit_rate: None }
}

fn fresh(base: Option<u64>, raw: bool) -> Start {
    let base = base.map(|guid| plan::Base { snapshot: snapshot("b", guid, 3), is_bookmark: false });
    let flags = SendFlags { raw, large_blocks: true, compressed: true };
    Start::Fresh { base, flags }
}

fn resumed(token: ResumeToken) -> Start {
    Start::Resumed(Box::new(token))
}

#[track_caller]
fn assert_fails(got: Result<Stream, Failure>, code: Code, reason: &str) {
    let failure = got.expect_err(reason);
    assert_eq!(failure.code, code, "{failure}");
    assert!(failure.reason.contains(reason), "{failure}");
}

#[test]
fn encrypted_data_goes_raw_or_in_the_clear_where_that_was_asked_for() {
    for raw in [false, true] {
        let mut rest = token(GOAL, None);
        rest.raw = raw;
        for start in [fresh(None, raw), fresh(Some(BASE), raw), resumed(rest)] {
            for (encrypted, decrypt) in [(false, false), (false, true), (true, false), (true, true)]
            {
                let got = stream_of(&dataset(encrypted), &request(start.clone(), decrypt));
                match (encrypted, raw, decrypt) {
                    (true, false, false) => assert_fails(got, Code::Refused, "in the clear"),
                    (false, true, _) => assert_fails(got, Code::Refused, "it is not encrypted"),
                    _ => drop(got.unwrap()),
                }
            }
        }
    }
}

#[test]
fn what_is_sent_is_found_by_its_guid_whatever_it_is_called() {
    let snapshot_now: SnapshotName = "tank/a@now".parse().unwrap();
    let got = stream_of(&dataset(false), &request(fresh(Some(BASE), false), false)).unwrap();
    let flags = SendFlags { raw: false, large_blocks: true, compressed: true };
    let base = Some(Base::Bookmark("tank/a#kept".parse().unwrap()));
    assert_eq!(got, Stream::Snapshot { snapshot: snapshot_now.clone(), base, flags });

    let rest = token(GOAL, Some(BASE));
    let got = stream_of(&dataset(false), &request(resumed(rest.clone()), false)).unwrap();
    let token = rest.at(&snapshot_now);
    assert_eq!(got, Stream::Resumed { snapshot: snapshot_now, token });
}

#[test]
fn what_is_gone_is_not_sent() {
    let gone = |start| stream_of(&dataset(false), &request(start, false));
    let no_base = "neither snapshot nor bookmark with the GUID 9";
    assert_fails(gone(fresh(Some(9), false)), Code::NoSuchDataset, no_base);
    assert_fails(gone(resumed(token(GOAL, Some(9)))), Code::NoSuchDataset, no_base);
    let other =
        StreamRequest { snapshot: snapshot("now", 9, 20), ..request(fresh(None, false), false) };
    let no_snapshot = "no snapshot with the GUID 9 ('now')";
    assert_fails(stream_of(&dataset(false), &other), Code::NoSuchDataset, no_snapshot);
}

#[test]
fn a_token_makes_the_snapshot_that_was_asked_for_and_all_of_it() {
    let got = |token| stream_of(&dataset(false), &request(resumed(token), false));
    assert_fails(got(token(BASE, None)), Code::Refused, "of another snapshot");
    let incomplete = "redacted or incomplete";
    for (redacted, saved) in [(true, false), (false, true)] {
        let mut token = token(GOAL, None);
        (token.redacted, token.saved) = (redacted, saved);
        assert_fails(got(token), Code::Refused, incomplete);
    }
}
