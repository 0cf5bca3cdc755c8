use super::*;
use crate::report::Route;
use zfs::{Guid, Kind, Properties};

fn replica(machine: &str) -> Replica {
    Replica {
        place: format!(r"dc\{machine}\tank").parse().unwrap(),
        online: true,
        last_seen: 0,
        name: "a".parse().unwrap(),
        properties: Properties {
            kind: Kind::Filesystem,
            guid: Guid(0),
            used: 0,
            referenced: 0,
            written: 0,
            encrypted: false,
            origin: None,
            inconsistent: false,
            resume_token: None,
        },
        snapshots: Vec::new(),
        bookmarks: Vec::new(),
        snapshot_count: 0,
        newest: None,
        sending: 0,
    }
}

fn failure(code: Code, reason: &str) -> Failure {
    Failure::new(code, "receive", "tank/a", reason, "")
}

fn machines(replicas: &[&Replica]) -> String {
    let names: Vec<&str> = replicas.iter().map(|replica| replica.place.machine.as_str()).collect();
    names.join(" ")
}

#[test]
fn a_source_that_failed_lately_is_asked_after_the_others() {
    let (one, two) = (replica("m1"), replica("m2"));
    let mut ledger = Ledger::default();
    let lost = Trouble::transient(failure(Code::Unreachable, "gone"));
    ledger.leave(&key(&one), &lost, false);
    assert_eq!(machines(&ledger.usable(vec![&one, &two])), "m2 m1");
    ledger.leave(&key(&two), &lost, false);
    ledger.leave(&key(&two), &lost, false);
    assert_eq!(machines(&ledger.usable(vec![&one, &two])), "m1 m2");
    ledger.leave(&key(&two), &lost, true);
    assert_eq!(ledger.strikes(&key(&two)), 1, "progress makes good for what was before");
}

#[test]
fn what_cannot_be_reached_is_never_left_for_good() {
    let one = replica("m1");
    let mut ledger = Ledger::default();
    for (code, left) in [(Code::Unreachable, false), (Code::Offline, false), (Code::Failed, true)] {
        for _ in 0..MOST_STRIKES {
            ledger.leave(&key(&one), &Trouble::transient(failure(code, "again")), false);
        }
        assert_eq!(ledger.usable(vec![&one]).is_empty(), left, "{code:?}");
    }
    assert_eq!(ledger.out().unwrap().reason, "again");
}

#[test]
fn a_source_that_cannot_serve_is_left_at_once_and_all_reasons_are_told() {
    let (one, two) = (replica("m1"), replica("m2"));
    let mut ledger = Ledger::default();
    assert!(ledger.out().is_none());
    for (replica, reason) in [(&one, "no key"), (&two, "no base")] {
        let refused = Trouble::not_this_source(failure(Code::Refused, reason));
        ledger.leave(&key(replica), &refused, true);
    }
    assert!(ledger.usable(vec![&one, &two]).is_empty());
    let told = ledger.out().unwrap();
    assert_eq!(told.reason, "dc\\m1\\tank: no key\ndc\\m2\\tank: no base");
}

#[test]
fn what_came_from_where_and_why_it_was_left_is_remembered() {
    let (one, two) = (replica("m1"), replica("m2"));
    let origin = |replica: &Replica| Origin {
        place: replica.place.clone(),
        dataset: replica.name.clone(),
        route: Route::Direct,
    };
    let mut ledger = Ledger::default();
    ledger.use_source(&origin(&one));
    ledger.count(5);
    ledger.use_source(&origin(&one));
    ledger.count(6);
    ledger.leave(&key(&one), &Trouble::transient(failure(Code::Failed, "cut")), true);
    ledger.use_source(&origin(&two));
    ledger.count(7);
    ledger.use_source(&origin(&one));
    let told: Vec<_> = ledger
        .used()
        .iter()
        .map(|used| (used.origin.place.machine.as_str(), used.bytes, used.left.as_deref()))
        .collect();
    assert_eq!(told, [("m1", 11, Some("cut")), ("m2", 7, None), ("m1", 0, None)]);
}
