//! Which snapshot, from where, to which name.

use serde_json::Value;
use tests::{Fleet, is_real};

use crate::{RECEIVER, SENDER, Three, assert_arrived, little, three_machines};

#[test]
fn a_snapshot_is_chosen_or_taken() {
    let all = three_machines(Fleet::start(), |sender| {
        sender.create("tank-01/data", little(1), "old");
        sender.with_files("tank-01/data", |folder| {
            std::fs::write(folder.join("later"), "more").unwrap();
        });
        sender.zfs(&["snapshot", "tank-01/data@new"]);
        sender.zfs(&["create", "tank-01/bare"]);
        sender.with_files("tank-01/bare", |folder| little(2).write(folder));
    });
    the_newest_is_taken_unless_another_is_named(&all);
    a_dataset_without_any_gets_one(&all);
}

fn the_newest_is_taken_unless_another_is_named(all: &Three) {
    let (sender, laptop, receiver) = (&all.sender, &all.laptop, &all.receiver);
    laptop.cli(&["download", "data", "--to", "home"]).ok().says("snapshot new");
    assert_arrived(sender, "tank-01/data", laptop, "home/data", "new");

    let old = ["download", "data", "--snapshot", "old", "--to", "home/below/other name"];
    laptop.cli(&old).ok().says("creates home/below, which is missing");
    assert_arrived(sender, "tank-01/data", laptop, "home/below/other name", "old");

    // Where to is written with either separator.
    laptop.cli(&["copy", "data", &format!(r"{RECEIVER}\here\it is")]).ok();
    assert_arrived(sender, "tank-01/data", receiver, "tank-02/here/it is", "new");
    laptop.cli(&["copy", "data", "datacenter-02/receiver/tank-02/there/it is"]).ok();
    assert_arrived(sender, "tank-01/data", receiver, "tank-02/there/it is", "new");

    let from = ["download", "data", "--from", "datacenter-01/sender/tank-01", "--to", "home/from"];
    laptop.cli(&from).ok().says(&format!("from {SENDER}, directly"));
    let none = ["download", "data", "--snapshot", "none", "--to", "home/none"];
    laptop.cli(&none).expect(3).says("no replica has a snapshot 'none'; the newest are new, old");
}

fn a_dataset_without_any_gets_one(all: &Three) {
    let dry = all.laptop.cli(&["download", "bare", "--to", "home", "--dry-run"]).ok();
    dry.says("a new snapshot").says("dry run: nothing was done");
    assert_eq!(all.sender.zfs(&["list", "-H", "-t", "snapshot", "tank-01/bare"]), "");

    let ran = all.laptop.cli(&["download", "bare", "--to", "home", "--json"]).ok();
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    let snapshot = json["snapshot"]["name"].as_str().unwrap();
    assert!(snapshot.starts_with("zatlas-2"), "{snapshot}");
    let listed = all.sender.zfs(&["list", "-H", "-t", "snapshot", "-o", "name", "tank-01/bare"]);
    assert_eq!(listed, format!("tank-01/bare@{snapshot}"), "just one was taken");
    assert_arrived(&all.sender, "tank-01/bare", &all.laptop, "home/bare", snapshot);
}

#[test]
fn without_to_the_pool_is_the_only_one_or_has_to_be_named() {
    let all = three_machines(Fleet::start(), |sender| {
        sender.create("tank-01/data", little(1), "one");
    });
    if !is_real() {
        // In the lab all machines see the pools of all.
        all.laptop.cli(&["download", "data"]).ok().says("into home, the only pool of this machine");
        assert_arrived(&all.sender, "tank-01/data", &all.laptop, "home/data", "one");
    }
    let two = all.fleet.machine("desktop", &["one", "two"]);
    let ran = two.cli(&["download", "data"]).expect(4).says("this machine has several pools: ");
    assert!(ran.stderr.ends_with("Say which with --to POOL.\n"), "{}", ran.stderr);
    let ran = two.cli(&["download", "data", "--to", "three"]).expect(3);
    ran.says("there is no pool 'three' here");
    assert_eq!(two.properties().names(), ["one", "two"]);
}
