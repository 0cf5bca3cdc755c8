use super::*;
use crate::report::Route;
use schema::Code;
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
fn only_what_nobody_understands_ends_after_many_times() {
    let one = replica("m1");
    for (class, left) in [(Class::Transient, false), (Class::Unknown, true)] {
        let mut ledger = Ledger::default();
        let trouble = Trouble { class, failure: failure(Code::Failed, "again") };
        for _ in 1..MOST_UNKNOWN {
            ledger.leave(&key(&one), &trouble, false);
        }
        ledger.leave(&key(&one), &trouble, true);
        for _ in 1..MOST_UNKNOWN {
            ledger.leave(&key(&one), &trouble, false);
            assert!(!ledger.usable(vec![&one]).is_empty(), "progress makes good for what was");
        }
        ledger.leave(&key(&one), &trouble, false);
        assert_eq!(ledger.usable(vec![&one]).is_empty(), left, "{class:?}");
        assert!(!ledger.will_ask());
    }
}

#[test]
fn what_cannot_serve_is_asked_again_and_what_lied_is_not() {
    let one = replica("m1");
    for (class, asked) in [(Class::NotThisSource, true), (Class::Distrusted, false)] {
        let mut ledger = Ledger::default();
        let trouble = Trouble { class, failure: failure(Code::Refused, "no") };
        ledger.leave(&key(&one), &trouble, true);
        assert!(ledger.usable(vec![&one]).is_empty());
        assert_eq!(ledger.will_ask(), asked, "{class:?}");
        for out in ledger.out.values_mut().filter(|out| out.until.is_some()) {
            out.until = Some(Instant::now());
        }
        assert_eq!(!ledger.usable(vec![&one]).is_empty(), asked, "{class:?}");
    }
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
    assert_eq!(told, [("m2", 7, None), ("m1", 11, None)]);
}

#[test]
fn patience_grows_with_stalls_alone() {
    let one = key(&replica("m1"));
    let mut ledger = Ledger::default();
    ledger.leave(&one, &Trouble::transient(failure(Code::Failed, "suspended")), false);
    assert_eq!(ledger.stalls(&one), 0);
    ledger.stalled(&one, false);
    ledger.stalled(&one, false);
    assert_eq!(ledger.stalls(&one), 2);
    ledger.stalled(&one, true);
    assert_eq!(ledger.stalls(&one), 1, "it was not stuck all the time");
}
