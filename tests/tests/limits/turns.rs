//! So many at once; the others wait, in the order in which they came, and know their place.

use std::fs;

use serde_json::Value;
use tests::{Tree, until};

use crate::scene::{RECEIVER, SENDER, Scene, has_begun, summary, waits};

const BYTES: u64 = 1 << 20;
const ONE: [&str; 2] = ["--max-transfers", "1"];

#[test]
fn those_who_wait_are_told_their_place_and_come_in_their_order() {
    let names = ["a", "b", "c"];
    let scene = Scene::new(&names, BYTES, &ONE, &[]);
    for name in names {
        scene.close(&scene.sender, name);
    }
    let first = scene.download("a", &[]);
    scene.wait_begun(&scene.sender, "a");
    let mut second = scene.copy("b", &[]);
    second.wait_for_line(&waits(SENDER, 1));
    let mut third = scene.download("c", &["--progress", "json"]);
    let told = third.wait_for_line("before it");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["event"], "note");
    assert_eq!(told["note"], waits(SENDER, 2));
    // Nothing is done for those who wait.
    assert_eq!(scene.calls("send").len(), 1);
    assert!(scene.calls("hold").iter().all(|call| call.ends_with("tank/a@one")));

    scene.open(&scene.sender, "a");
    summary(first.finish());
    scene.wait_begun(&scene.sender, "b");
    third.wait_for_line(": 1 before it");
    assert!(!has_begun(&scene.sender, "c"));
    scene.open(&scene.sender, "b");
    scene.open(&scene.sender, "c");
    assert_eq!(summary(second.finish())["retries"], 0);
    assert_eq!(summary(third.finish())["retries"], 0);
    for name in names {
        scene.assert_arrived(name);
    }
}

#[test]
fn a_machine_receives_only_so_many_copies_at_once() {
    let scene = Scene::new(&["a", "b", "c"], BYTES, &[], &["--max-transfers", "2"]);
    for name in ["a", "b"] {
        scene.close(&scene.sender, name);
    }
    let both = [scene.copy("a", &[]), scene.copy("b", &[])];
    scene.wait_begun(&scene.sender, "a");
    scene.wait_begun(&scene.sender, "b");
    let mut third = scene.copy("c", &[]);
    third.wait_for_line(&waits(RECEIVER, 1));
    // A download into the same machine is no copy, and its agent isn't asked.
    scene.receiver.cli(&["download", "c", "--to", "home/mine"]).ok();
    scene.open(&scene.sender, "b");
    summary(third.finish());
    scene.open(&scene.sender, "a");
    for process in both {
        summary(process.finish());
    }
    for name in ["a", "b", "c"] {
        scene.assert_arrived(name);
    }
}

/// Each sends to the other, and takes one at a time.
#[test]
fn two_machines_that_copy_to_each_other_do_not_wait_for_each_other() {
    let mut scene = Scene::new(&["a"], BYTES, &ONE, &ONE);
    scene.receiver.create("home/b", Tree { seed: 2, bytes: BYTES }, "one");
    scene.wait_for("b", RECEIVER);
    scene.close(&scene.sender, "a");
    scene.close(&scene.receiver, "b");
    let there = scene.copy("a", &[]);
    let back = scene.receiver.start_cli(&["copy", "b", &format!(r"{SENDER}\tank"), "--json"]);
    // Both are under way at once.
    scene.wait_begun(&scene.sender, "a");
    scene.wait_begun(&scene.receiver, "b");
    scene.open(&scene.sender, "a");
    scene.open(&scene.receiver, "b");
    summary(there.finish());
    summary(back.finish());
    scene.assert_arrived("a");
    assert_eq!(scene.sender.get("tank/b@one", "guid"), scene.receiver.get("home/b@one", "guid"));
    assert!(scene.sender.agent().is_running());
}

#[test]
fn a_wait_is_no_stall_and_counts_for_no_timeout() {
    let slow = [&ONE[..], &["--limit-rate-per-transfer", "1M"]].concat();
    let scene = Scene::new(&["a", "b"], 4 * BYTES, &slow, &[]);
    let first = scene.download("a", &[]);
    scene.wait_begun(&scene.sender, "a");
    // It waits for the 4 s that the first one takes at least.
    let mut second = scene.download("b", &["--stall", "1s", "--timeout", "1s"]);
    second.wait_for_line(&waits(SENDER, 1));
    summary(first.finish());
    assert_eq!(summary(second.finish())["retries"], 0);
    scene.assert_arrived("b");
}

/// What was the newest snapshot when it began to wait need not even be there any more.
#[test]
fn what_is_newest_is_looked_for_when_the_turn_has_come() {
    let scene = Scene::new(&["a", "b"], BYTES, &ONE, &[]);
    scene.close(&scene.sender, "a");
    let first = scene.download("a", &[]);
    scene.wait_begun(&scene.sender, "a");
    let mut second = scene.download("b", &[]);
    second.wait_for_line(&waits(SENDER, 1));
    scene.sender.zfs(&["destroy", "tank/b@one"]);
    scene.sender.with_files("tank/b", |folder| fs::write(folder.join("new"), "new").unwrap());
    scene.sender.zfs(&["snapshot", "tank/b@two"]);
    let guid = scene.sender.get("tank/b@two", "guid");
    until("two to be known", || {
        scene.fleet.show(&["b", "--json"]).stdout.contains(&guid).then_some(())
    });
    scene.open(&scene.sender, "a");
    summary(first.finish());
    assert_eq!(summary(second.finish())["retries"], 0);
    assert_eq!(scene.receiver.get("home/b@two", "guid"), guid);
}

#[test]
fn no_snapshot_is_taken_before_the_turn_has_come() {
    let scene = Scene::new(&["a"], BYTES, &ONE, &[]);
    scene.sender.zfs(&["create", "tank/bare"]);
    scene.wait_for("bare", SENDER);
    scene.close(&scene.sender, "a");
    let first = scene.download("a", &[]);
    scene.wait_begun(&scene.sender, "a");
    let mut second = scene.download("bare", &[]);
    second.wait_for_line(&waits(SENDER, 1));
    assert_eq!(scene.calls("snapshot"), [""; 0]);
    scene.open(&scene.sender, "a");
    summary(first.finish());
    let told = summary(second.finish());
    assert!(told["snapshot"]["name"].as_str().unwrap().starts_with("zatlas-"), "{told:#}");
}

#[test]
fn the_second_one_to_wait_for_a_first_snapshot_gets_that_of_the_first() {
    let scene = Scene::new(&["a"], BYTES, &ONE, &[]);
    scene.sender.zfs(&["create", "tank/bare"]);
    scene.wait_for("bare", SENDER);
    scene.close(&scene.sender, "a");
    let first = scene.download("a", &[]);
    scene.wait_begun(&scene.sender, "a");
    let mut both = ["home/one", "home/other"]
        .map(|to| scene.receiver.start_cli(&["download", "bare", "--to", to, "--json"]));
    // In whatever order they have come.
    for process in &mut both {
        process.wait_for_line(" before it");
    }
    scene.open(&scene.sender, "a");
    summary(first.finish());
    let [one, other] = both.map(|process| summary(process.finish())["snapshot"].clone());
    assert_eq!(one, other);
    assert_eq!(scene.calls("snapshot").len(), 1);
}

/// The first of several who wait has its turn where it waited for it.
#[test]
fn a_turn_is_made_use_of_though_a_nearer_source_is_there_by_now() {
    let scene = Scene::new(&["a", "b"], BYTES, &ONE, &[]);
    let mut near = scene.fleet.machine("near", &["pool"]);
    near.cli(&["download", "b", "--to", "pool/b"]).ok();
    scene.close(&scene.sender, "a");
    let first = scene.download("a", &[]);
    scene.wait_begun(&scene.sender, "a");
    let mut second = scene.copy("b", &[]);
    second.wait_for_line(&waits(SENDER, 1));
    near.start_agent("datacenter-02", &[]);
    scene.wait_for("b", r"datacenter-02\near");
    scene.open(&scene.sender, "a");
    summary(first.finish());
    let told = summary(second.finish());
    assert!(told["source"].as_str().unwrap().starts_with(SENDER), "{told:#}");
    scene.assert_arrived("b");
}

#[test]
fn a_copy_whose_source_fails_keeps_its_turn_to_receive() {
    let mut scene = Scene::new(&["a", "b"], BYTES, &[], &ONE);
    scene.close(&scene.sender, "a");
    let first = scene.copy("a", &[]);
    scene.wait_begun(&scene.sender, "a");
    let mut second = scene.copy("b", &[]);
    second.wait_for_line(&waits(RECEIVER, 1));
    scene.sender.agent().kill();
    scene.sender.start_agent("datacenter-01", &[]);
    let sends = until("another stream", || {
        let sends = scene.calls("send");
        (sends.len() > 1).then_some(sends)
    });
    assert!(sends.iter().all(|call| call.ends_with("tank/a@one")), "{sends:?}");
    scene.open(&scene.sender, "a");
    summary(first.finish());
    summary(second.finish());
    for name in ["a", "b"] {
        scene.assert_arrived(name);
    }
}

#[test]
fn a_dry_run_waits_for_nobody() {
    let scene = Scene::new(&["a", "b"], BYTES, &ONE, &ONE);
    scene.close(&scene.sender, "a");
    let first = scene.copy("a", &[]);
    scene.wait_begun(&scene.sender, "a");
    scene.download("b", &["--dry-run"]).finish().ok();
    scene.copy("b", &["--dry-run"]).finish().ok();
    scene.open(&scene.sender, "a");
    summary(first.finish());
}
