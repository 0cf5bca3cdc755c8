//! What the book tells, and what it forgets.

use super::*;

#[tokio::test]
async fn the_book_forgets_what_is_gone_but_not_what_is_out_of_sight() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    hold(&holds, "tank/a@s", 1, T1).await;
    hold(&holds, "spare/x@s", 4, T1).await;
    let known = || fs::read_to_string(machine.path("book.json")).unwrap().matches("guid").count();
    // The pool `spare` is exported.
    machine.has(&[("tank/a@s", 1)]);
    holds.release_transfer(&"tank/a".parse().unwrap(), T1).await.unwrap();
    assert_eq!(listed(&holds, now() + DAY).await, [""; 0]);
    assert_eq!(known(), 1);
    machine.has(&[("tank/a@s", 1), ("spare/x@s", 4)]);
    assert_eq!(
        listed(&holds, now() + DAY).await,
        [format!("spare/x@s zatlas-m-{T1} {DESTINATION}")]
    );
    assert_eq!(known(), 1);
}

#[tokio::test]
async fn what_was_just_asked_for_stays_in_the_book_until_it_is_held() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    let key = Key { guid: Guid(1), transfer: T1.parse().unwrap() };
    let begun = now();
    holds.book(|book| book.used(key, &"tank/a".parse().unwrap(), DESTINATION, begun)).unwrap();
    // A listing that began before it sees no hold yet.
    assert_eq!(listed(&holds, begun).await, [""; 0]);
    assert!(holds.book(|book| book.find(&key)).is_some());
}

#[tokio::test]
async fn a_book_that_cannot_be_written_lets_nothing_be_held() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    fs::create_dir(machine.path("book.json.new")).unwrap();
    let snapshot = "tank/a@s".parse().unwrap();
    let failure = holds.hold(&snapshot, Guid(1), T1, DESTINATION).await.unwrap_err();
    assert!(failure.to_string().contains("book.json"), "{failure}");
    assert_eq!(machine.held(), [""; 0]);
}

#[test]
fn a_damaged_book_is_a_clear_error_and_stays_as_it_is() {
    let machine = Machine::new();
    fs::write(machine.path("book.json"), "[{\"guid\": 1").unwrap();
    let opened = Holds::open(Zfs::default(), &"m".parse().unwrap(), machine.path("book.json"));
    let words = opened.unwrap_err().to_string();
    assert!(words.contains("book.json is damaged: move it away"), "{words}");
    assert_eq!(fs::read_to_string(machine.path("book.json")).unwrap(), "[{\"guid\": 1");
}

#[tokio::test]
async fn a_book_of_an_earlier_version_is_read_and_kept_until_holds_are_looked_for() {
    let machine = Machine::new();
    machine.has(&[("tank/a@s", 1), ("spare/x@s", 1)]);
    let tag = format!("zatlas-m-{T1}");
    machine.add("tank/a@s", &tag);
    machine.add("spare/x@s", &tag);
    let (used, what_for) = (now(), DESTINATION.replace('\\', r"\\"));
    for pool in ["", r#""pool": "spare","#] {
        let line = format!(r#""guid": 1, "transfer": "{T1}", {pool} "destination": "{what_for}""#);
        let book = format!("[{{{line}, \"last_used\": {used}}}]");
        fs::write(machine.path("book.json"), book).unwrap();
        let holds = machine.agent("m");
        assert_eq!(holds.list(&pools(), used + DAY).await.unwrap().0[0].destination, DESTINATION);
    }
    for dataset in ["spare/x", "tank/a"] {
        let holds = machine.agent("m");
        holds.release_transfer(&dataset.parse().unwrap(), T1).await.unwrap();
    }
    assert_eq!(machine.held(), [""; 0]);
    assert_eq!(listed(&machine.agent("m"), now() + DAY).await, [""; 0]);
    assert_eq!(fs::read_to_string(machine.path("book.json")).unwrap(), "[]\n");
}
