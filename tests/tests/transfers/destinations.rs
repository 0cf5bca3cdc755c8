//! What is there already: never touched, but for the remains of a failed first receive of ours.

use tests::{Fleet, Machine};

use crate::{RECEIVER, assert_arrived, little, three_machines};

/// Leaves an unfinished first receive at `target`, as a cut transfer would.
fn cut_receive(machine: &Machine, pool: &str, target: &str, options: &str) {
    let origin = format!("{pool}/origin-of-a-cut");
    machine.create(&origin, little(99), "one");
    let pipe = format!(
        r#""$ZFS" send '{origin}@one' | head -c 500000 | "$ZFS" receive -s -u {options} '{target}'"#
    );
    let ran = machine.shell(&pipe);
    assert_ne!(ran.status, 0, "the receive was cut: {ran:?}");
    assert_ne!(machine.get(target, "receive_resume_token"), "-");
    machine.zfs(&["destroy", "-r", &origin]);
}

#[test]
fn a_dataset_that_is_there_is_refused_and_not_touched() {
    let all = three_machines(Fleet::start(), |sender| {
        sender.create("tank-01/data", little(1), "one");
        sender.zfs(&["create", "tank-01/data/below"]);
    });
    all.laptop.create("home/data", little(2), "mine");
    all.receiver.zfs(&["create", "-V", "1M", "tank-02/data"]);
    let (laptop, receiver) = (all.laptop.properties(), all.receiver.properties());
    let contents = all.laptop.contents("home/data@mine");

    let ran = all.laptop.cli(&["download", "data", "--to", "home"]).expect(6);
    ran.says("cannot receive 'home/data': the destination exists already");
    let ran = all.laptop.cli(&["copy", "data", RECEIVER, "--from", crate::SENDER]).expect(6);
    ran.says("cannot receive 'tank-02/data': the destination exists already");
    // Nor can anything lie below a volume.
    let below = format!(r"{RECEIVER}\data\below");
    all.laptop.cli(&["copy", "data", &below, "--from", crate::SENDER]).expect(6);

    all.laptop.properties().assert_only_new(&laptop, &[]);
    all.receiver.properties().assert_only_new(&receiver, &[]);
    assert_eq!(all.laptop.contents("home/data@mine"), contents);

    all.laptop.cli(&["download", "data", "--to", "home/copy", "--from", crate::SENDER]).ok();
    let again = ["download", "data", "--to", "home/copy", "--from", crate::SENDER];
    all.laptop.cli(&again).expect(6).says("it is there already, with this snapshot");
}

#[test]
fn a_failed_first_receive_of_ours_is_begun_again_and_no_other() {
    let all = three_machines(Fleet::start(), |sender| {
        sender.create("tank-01/data", little(1), "one");
    });
    let cut = |options: &str| cut_receive(&all.laptop, "home", "home/data", options);
    cut("-o zatlas:transfer=0123456789abcdef");
    let ran = all.laptop.cli(&["download", "data", "--to", "home"]).ok();
    ran.says("a failed receive of ours is thrown away there first");
    assert_arrived(&all.sender, "tank-01/data", &all.laptop, "home/data", "one");

    all.laptop.zfs(&["destroy", "-r", "home/data"]);
    // The mark of a parent that was received is inherited, and says nothing of its children.
    all.laptop.zfs(&["set", "zatlas:transfer=0123456789abcdef", "home"]);
    cut("");
    let before = all.laptop.properties();
    let ran = all.laptop.cli(&["download", "data", "--to", "home"]).expect(6);
    ran.says("an unfinished receive that is not of zatlas is there");
    all.laptop.properties().assert_only_new(&before, &[]);

    cut_receive(&all.receiver, "tank-02", "tank-02/data", "");
    let before = all.receiver.properties();
    all.laptop.cli(&["copy", "data", RECEIVER]).expect(6);
    all.receiver.properties().assert_only_new(&before, &[]);
}
