//! Datasets and places that don't exist, are ambiguous, or are offline.

use tests::Tree;

use crate::{RECEIVER, SENDER, Three, changes, three_machines};

#[test]
fn what_is_unknown_ambiguous_or_offline_is_refused() {
    let mut all = three_machines();
    what_is_not_known_is_not_found(&all);
    unrelated_data_of_the_same_name_is_ambiguous(&all);
    what_is_offline_is_said_to_be(&mut all);
}

fn what_is_not_known_is_not_found(all: &Three) {
    let laptop = &all.laptop;
    laptop.cli(&["download", "none", "--to", "home"]).expect(3).says("'none'");
    laptop.cli(&["copy", "none", RECEIVER]).expect(3).says("'none'");
    laptop.cli(&["download", "data", "--to", "house"]).expect(3).says("there is no pool 'house'");
    for place in [
        r"datacenter-09\receiver\tank-02",
        r"datacenter-02\other\tank-02",
        r"datacenter-02\receiver\tank-09",
    ] {
        let ran = laptop.cli(&["copy", "data", place]).expect(3).says(place);
        ran.says("The nearest known places are: ").says(RECEIVER);
    }
    let from = ["download", "data", "--to", "home", "--from", RECEIVER];
    laptop.cli(&from).expect(3).says(&format!("it is at {SENDER}"));
    for machine in [laptop, &all.sender, &all.receiver] {
        assert_eq!(changes(machine), [""; 0]);
    }
}

fn unrelated_data_of_the_same_name_is_ambiguous(all: &Three) {
    all.receiver.create("tank-02/data", Tree { seed: 2, bytes: 1 << 20 }, "one");
    all.fleet.wait_for_show(&[&format!("data: {SENDER} (online), {RECEIVER} (online)")]);
    for command in [
        &["download", "data", "--to", "home"][..],
        &["copy", "data", &format!(r"{RECEIVER}\other")],
    ] {
        let ran = all.laptop.cli(command).expect(4);
        ran.says("there are 2 different datasets of this name").says(SENDER).says(RECEIVER);
    }
    assert_eq!(changes(&all.laptop), [""; 0]);
    let from = ["download", "data", "--to", "home", "--from", RECEIVER];
    all.laptop.cli(&from).ok();
    let sent = all.receiver.contents("tank-02/data@one");
    assert_eq!(all.laptop.contents("home/data@one"), sent, "the source that was named");
}

fn what_is_offline_is_said_to_be(all: &mut Three) {
    all.receiver.agent().kill();
    all.fleet.wait_for_show(&[&format!("data: {SENDER} (online), {RECEIVER} (offline)")]);
    let ran = all.laptop.cli(&["copy", "data", RECEIVER, "--from", SENDER]).expect(5);
    ran.says(r"datacenter-02\receiver").says("it was last seen on 2");
    all.sender.agent().kill();
    all.fleet.wait_for_show(&[&format!("data: {SENDER} (offline), {RECEIVER} (offline)")]);
    let new = ["download", "data", "--to", "home/new", "--from", SENDER];
    let ran = all.laptop.cli(&new).expect(5);
    ran.says("the place that --from names is offline").says(SENDER).says("last seen 2");
    assert!(!all.laptop.has("home/new"));
}
