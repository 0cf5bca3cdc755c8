use proptest::prelude::*;

use super::*;
use crate::query::Query;
use crate::testing::*;

const ALICE: Identity = Identity([1; 32]);
const BOB: Identity = Identity([2; 32]);

/// One machine with two pools, of which `tank` was listed.
fn fleet() -> (Catalogue, Epoch) {
    let mut catalogue = Catalogue::default();
    let pools = pools(&["tank", "spare"]);
    let epoch = catalogue.register(&machine(r"dc\m"), ALICE, &pools, 100).unwrap().epoch;
    let update = Update::Replace(datasets(&["a", "a/b", "c"]));
    catalogue.update(epoch, &pool("tank"), update, 100).unwrap();
    (catalogue, epoch)
}

/// Each replica as `name place (state)`.
fn lines(catalogue: &Catalogue) -> Vec<String> {
    let state = |online| if online { "online" } else { "offline" };
    let all = Query::all();
    let replicas = catalogue.list(&all, None, 1000);
    replicas.map(|r| format!("{} {} ({})", r.name, r.place, state(r.online))).collect()
}

#[test]
fn a_machine_that_leaves_stays_known() {
    let (mut catalogue, epoch) = fleet();
    let changes = catalogue.disconnect(epoch, 150);
    assert_eq!(
        lines(&catalogue),
        [r"a dc\m\tank (offline)", r"a/b dc\m\tank (offline)", r"c dc\m\tank (offline)"]
    );
    assert_eq!(catalogue.replicas(&path("a"), 1000)[0].last_seen, 150);
    // The pool that was never imported was not seen.
    assert_eq!(changes.len(), 2);
    assert_eq!(catalogue.disconnect(epoch, 160), []);
}

#[test]
fn the_same_identity_replaces_its_ghost_whose_words_count_no_more() {
    let (mut catalogue, old) = fleet();
    let pools = pools(&["tank", "spare"]);
    let registered = catalogue.register(&machine(r"dc\m"), ALICE, &pools, 200).unwrap();
    assert_eq!(registered.replaced, Some(old));
    // Offline until the new session tells of the pool; then only its word counts.
    assert!(lines(&catalogue).iter().all(|line| line.ends_with("(offline)")));
    catalogue.set_pool_state(registered.epoch, &pool("tank"), true, 200).unwrap();

    let late = Update::Replace(Vec::new());
    assert_eq!(catalogue.update(old, &pool("tank"), late, 210), Err(SessionError::Over));
    assert_eq!(catalogue.heartbeat(old, 210), Err(SessionError::Over));
    let state = catalogue.set_pool_state(old, &pool("tank"), false, 210);
    assert_eq!(state, Err(SessionError::Over));
    assert_eq!(catalogue.disconnect(old, 210), []);
    assert_eq!(
        lines(&catalogue),
        [r"a dc\m\tank (online)", r"a/b dc\m\tank (online)", r"c dc\m\tank (online)"]
    );
}

#[test]
fn a_name_belongs_to_its_identity_until_it_is_forgotten() {
    let (mut catalogue, epoch) = fleet();
    let (id, pools) = (machine(r"dc\m"), pools(&["tank"]));
    assert_eq!(catalogue.register(&id, BOB, &pools, 200).unwrap_err(), NameTaken { owner: ALICE });
    // The same name elsewhere is another machine.
    catalogue.register(&machine(r"dc-2\m"), BOB, &pools, 200).unwrap();

    assert_eq!(catalogue.forget(&id).unwrap().0, Some(epoch));
    assert_eq!(catalogue.heartbeat(epoch, 200), Err(SessionError::Over));
    assert_eq!(lines(&catalogue), [""; 0]);
    catalogue.register(&id, BOB, &pools, 300).unwrap();
    assert_eq!(catalogue.forget(&machine(r"dc\x")).unwrap_err(), NoSuchMachine);
}

#[test]
fn a_pool_that_fails_keeps_its_content_and_one_taken_out_loses_it() {
    let (mut catalogue, epoch) = fleet();
    catalogue.set_pool_state(epoch, &pool("tank"), false, 300).unwrap();
    assert_eq!(lines(&catalogue)[0], r"a dc\m\tank (offline)");
    assert_eq!(catalogue.replicas(&path("a"), 1000)[0].last_seen, 300);
    // Said again, it was not seen again.
    assert_eq!(catalogue.set_pool_state(epoch, &pool("tank"), false, 400), Ok(Vec::new()));

    let registered = catalogue.register(&machine(r"dc\m"), ALICE, &pools(&["spare"]), 500).unwrap();
    assert_eq!(lines(&catalogue), [""; 0]);
    let unknown = catalogue.set_pool_state(registered.epoch, &pool("tank"), true, 500);
    assert_eq!(unknown, Err(SessionError::UnknownPool(pool("tank"))));
}

#[test]
fn an_update_replaces_or_changes_and_only_what_differs_is_written() {
    let (mut catalogue, epoch) = fleet();
    let tank = pool("tank");
    let same = Update::Replace(datasets(&["a", "a/b", "c"]));
    let changes = catalogue.update(epoch, &tank, same, 101).unwrap();
    assert!(matches!(*changes, [Change::Pool(..)]), "{changes:?}");

    let removed = vec![path("c"), path("unknown")];
    let changed = vec![(path("a"), content(&[9])), (path("d"), content(&[]))];
    let changes = catalogue.update(epoch, &tank, Update::Change { changed, removed }, 102).unwrap();
    assert_eq!(changes.len(), 4, "{changes:?}");
    assert_eq!(catalogue.list(&Query::all(), None, 0).count(), 3);
    let a = catalogue.list(&Query::all(), None, 0).next().unwrap();
    assert_eq!((a.snapshot_count, a.newest.unwrap().guid.0), (1, 9));

    catalogue.update(epoch, &tank, Update::Replace(datasets(&["a/b"])), 103).unwrap();
    assert_eq!(lines(&catalogue), [r"a/b dc\m\tank (online)"]);
}

#[test]
fn heartbeats_are_written_once_a_minute() {
    let (mut catalogue, epoch) = fleet();
    let written = |catalogue: &mut Catalogue, now| catalogue.heartbeat(epoch, now).unwrap().len();
    assert_eq!([105, 159, 160, 165].map(|now| written(&mut catalogue, now)), [0, 0, 2, 0]);
}

proptest! {
    #[test]
    fn a_catalogue_is_the_sum_of_its_changes(operations in operations()) {
        let (mut catalogue, mut copy) = (Catalogue::default(), Catalogue::default());
        let mut sessions = Vec::new();
        for (step, operation) in operations.iter().enumerate() {
            copy.apply_all(&run(operation, &mut catalogue, &mut sessions, 40 * step as i64));
            check(&catalogue);
        }
        prop_assert_eq!(copy, restarted(catalogue));
    }
}
