//! What is said of a transfer, and that saying is all that a dry run does.

use serde_json::Value;
use tests::Fleet;

use crate::{RECEIVER, SENDER, Three, little, three_machines};

#[test]
fn a_transfer_is_told_before_and_after_to_people_and_programs() {
    let all = three_machines(Fleet::start(), |sender| {
        sender.create("tank-01/a/b", little(1), "one");
    });
    a_dry_run_tells_everything_and_does_nothing(&all);
    what_was_done_is_told(&all);
}

fn a_dry_run_tells_everything_and_does_nothing(all: &Three) {
    let before = (all.laptop.properties(), all.receiver.properties());
    let download = all.laptop.cli(&["download", "a/b", "--to", "home", "--dry-run"]).ok();
    let copy = all.laptop.cli(&["copy", "a/b", RECEIVER, "--dry-run"]).ok();
    let copy = copy.says(r"to tank-02/a/b on datacenter-02\receiver");
    for ran in [download.says("to home/a/b\n"), copy] {
        let ran = ran.says("snapshot one (GUID ").says(&format!("from {SENDER}, directly"));
        ran.says("/a, which is missing").says("dry run: nothing was done");
    }
    all.laptop.properties().assert_only_new(&before.0, &[]);
    all.receiver.properties().assert_only_new(&before.1, &[]);
}

fn what_was_done_is_told(all: &Three) {
    let guid = all.sender.get("tank-01/a/b@one", "guid");
    let ran = all.laptop.cli(&["download", "a/b", "--to", "home", "--json"]).ok();
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    for (key, value) in [
        ("source", SENDER),
        ("target", "home/a/b"),
        ("kind", "filesystem"),
        ("route", "direct"),
        ("verifiedGuid", &guid),
    ] {
        assert_eq!(json[key], value, "{key}");
    }
    assert_eq!(json["dryRun"], false);
    assert!(json["bytes"].as_u64().unwrap() > 1 << 20, "{json}");

    let ran = all.laptop.cli(&["copy", "a/b", RECEIVER, "--quiet"]).ok();
    let last = ran.stderr.lines().last().unwrap();
    assert_eq!(last, "to use it, on receiver: mount it: zfs mount 'tank-02/a/b'");
    assert!(ran.says(&format!("GUID {guid} verified")).stdout.is_empty());
}
