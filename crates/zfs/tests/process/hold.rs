//! Holds: put, released, listed.

use zfs::process::{Depth, OperationError};
use zfs::{HoldTag, Reason};

use crate::fake::{Fake, name, snapshot, within};

fn tag() -> HoldTag {
    name("zatlas two words")
}

/// Prints a message of ZFS and fails.
fn failing(message: &str) -> Fake {
    Fake::new(&format!("echo \"{message}\" >&2; exit 1"))
}

#[tokio::test]
async fn holding_and_releasing_name_the_tag_and_the_snapshot() {
    let fake = Fake::logging("");
    assert!(within(fake.zfs().hold(&snapshot(), &tag())).await.unwrap());
    assert!(within(fake.zfs().release(&snapshot(), &tag())).await.unwrap());
    assert_eq!(
        fake.read("log"),
        "C [zfs] [hold] [zatlas two words] [tank/fs@s]\n\
         C [zfs] [release] [zatlas two words] [tank/fs@s]\n"
    );
}

#[tokio::test]
async fn what_is_held_or_released_already_is_no_failure() {
    let fake = failing("cannot hold snapshot 'tank/fs@s': tag already exists on this dataset");
    assert!(!within(fake.zfs().hold(&snapshot(), &tag())).await.unwrap());
    let fake =
        failing("cannot release hold from snapshot 'tank/fs@s': no such tag on this dataset");
    assert!(!within(fake.zfs().release(&snapshot(), &tag())).await.unwrap());
}

#[tokio::test]
async fn what_does_not_exist_is_a_failure() {
    let fake = failing("cannot hold snapshot 'tank/fs@s': dataset does not exist");
    let error = within(fake.zfs().hold(&snapshot(), &tag())).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot hold tank/fs@s");
    assert!(error.is_not_found());
    let error = within(fake.zfs().release(&snapshot(), &tag())).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot release a hold on tank/fs@s");
    assert!(error.is_not_found());
}

#[tokio::test]
async fn only_snapshots_with_holds_are_asked_for_them() {
    let fake = Fake::logging(
        r#"case $1 in
             list) printf "tank/a b@s one\t7\t2\ntank/a b@s two\t8\t0\ntank/b/%%recv@x\t9\t1\ntank/c@s\t5\t1\n";;
             holds) printf "tank/a b@s one\tone\t5\ntank/a b@s one\ttwo\t6\ntank/c@s\tx\t7\n";;
           esac"#,
    );
    let holds = within(fake.zfs().holds(&name("tank"), Depth::Everything)).await.unwrap();
    let tags: Vec<_> = holds.iter().map(|(_, hold)| hold.tag.as_str()).collect();
    assert_eq!(tags, ["one", "two", "x"]);
    within(fake.zfs().holds(&name("tank/a b"), Depth::Alone)).await.unwrap();
    assert_eq!(
        fake.read("log"),
        "C [zfs] [list] [-Hp] [-t] [snapshot] [-o] [name,guid,userrefs] [-r] [tank]\n\
         C [zfs] [holds] [-Hp] [tank/a b@s one] [tank/c@s]\n\
         C [zfs] [list] [-Hp] [-t] [snapshot] [-o] [name,guid,userrefs] [-d] [1] [tank/a b]\n\
         C [zfs] [holds] [-Hp] [tank/a b@s one] [tank/c@s]\n"
    );
}

#[tokio::test]
async fn where_nothing_is_held_nothing_is_asked() {
    let fake = Fake::logging(r#"printf "tank/fs@s\t7\t0\n""#);
    assert_eq!(within(fake.zfs().holds(&name("tank"), Depth::Everything)).await.unwrap(), []);
    assert_eq!(fake.read("log").lines().count(), 1);
}

#[tokio::test]
async fn many_holds_are_asked_for_in_commands_of_bounded_length() {
    let fake = Fake::logging(
        r#"case $1 in
             list) i=0; while [ $i -lt 250 ]; do printf "tank/d@s%d\t7\t1\n" $i; i=$((i+1)); done;;
             holds) shift 2; for s; do printf "%s\tx\t5\n" "$s"; done;;
           esac"#,
    );
    let holds = within(fake.zfs().holds(&name("tank"), Depth::Everything)).await.unwrap();
    assert_eq!(holds.len(), 250);
    assert_eq!(holds[249].1.snapshot.to_string(), "tank/d@s249");
    let log = fake.read("log");
    let counts: Vec<_> = log.lines().map(|line| line.matches("[tank/d@").count()).collect();
    assert_eq!(counts, [0, 100, 100, 50]);
}

#[tokio::test]
async fn a_snapshot_that_vanishes_hides_no_other_ones_holds() {
    let fake = Fake::new(
        r#"case $1 in
             list) printf "tank/a@s\t7\t1\ntank/a@gone\t8\t1\ntank/a@t\t9\t1\n";;
             holds) shift 2; for s; do
               if [ "$s" = tank/a@gone ]; then
                 echo "cannot open '$s': dataset does not exist" >&2; exit 1; fi
               printf "%s\tx\t5\n" "$s"; done;;
           esac"#,
    );
    let holds = within(fake.zfs().holds(&name("tank/a"), Depth::Alone)).await.unwrap();
    let held: Vec<_> =
        holds.iter().map(|(guid, hold)| format!("{} {guid}", hold.snapshot)).collect();
    assert_eq!(held, ["tank/a@s 7", "tank/a@t 9"]);
}

#[tokio::test]
async fn a_listing_of_holds_that_fails_is_no_listing() {
    let fake = failing("cannot open 'tank': dataset does not exist");
    let error = within(fake.zfs().holds(&name("tank"), Depth::Everything)).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot list the holds of tank");
    assert_eq!(error.reason(), Some(Reason::NotFound));
    let fake = Fake::new(
        r#"case $1 in list) printf "tank/fs@s\t7\t1\n";; *) echo "I/O error" >&2; exit 1;; esac"#,
    );
    let error = within(fake.zfs().holds(&name("tank"), Depth::Everything)).await.unwrap_err();
    assert_eq!(error.why(), "I/O error");
}
