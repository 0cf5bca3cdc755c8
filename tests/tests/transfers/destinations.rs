//! What is there already: never touched, but for what an interrupted transfer of ours has left.

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
    ran.says("cannot receive 'home/data': ").says("has no snapshot in common with the source");
    let ran = all.laptop.cli(&["copy", "data", RECEIVER, "--from", crate::SENDER]).expect(6);
    ran.says("cannot receive 'tank-02/data': the destination is a volume, and the source a ");
    // Nor can anything lie below a volume.
    let below = format!(r"{RECEIVER}\data\below");
    all.laptop.cli(&["copy", "data", &below, "--from", crate::SENDER]).expect(6);

    all.laptop.properties().assert_only_new(&laptop, &[]);
    all.receiver.properties().assert_only_new(&receiver, &[]);
    assert_eq!(all.laptop.contents("home/data@mine"), contents);

    let download = ["download", "data", "--to", "home/copy", "--from", crate::SENDER];
    all.laptop.cli(&download).ok();
    let (sender, laptop) = (all.sender.properties(), all.laptop.properties());
    all.laptop.cli(&download).ok().says("nothing to do: snapshot one (GUID ");
    all.laptop.properties().assert_only_new(&laptop, &[]);
    all.sender.properties().assert_only_new(&sender, &[]);
}

#[test]
fn an_interrupted_receive_goes_on_only_where_it_is_ours_and_its_snapshot_is_somewhere() {
    let all = three_machines(Fleet::start(), |sender| {
        sender.create("tank-01/data", little(1), "one");
    });
    let mark = "-o zatlas:transfer=0123456789abcdef";
    // Of another dataset, which is gone.
    cut_receive(&all.laptop, "home", "home/data", mark);
    let before = all.laptop.properties();
    let ran = all.laptop.cli(&["download", "data", "--to", "home"]).expect(6);
    ran.says("an interrupted receive of 'home/origin-of-a-cut@one'")
        .says("no machine, online or off, has that snapshot any more")
        .says("begin anew: --restart");
    all.laptop.properties().assert_only_new(&before, &[]);
    let ran = all.laptop.cli(&["download", "data", "--to", "home", "--restart"]).ok();
    ran.says("throws away what an interrupted receive of ours has left");
    assert_arrived(&all.sender, "tank-01/data", &all.laptop, "home/data", "one");

    all.laptop.zfs(&["destroy", "-r", "home/data"]);
    // The mark of a parent that was received is inherited, and says nothing of its children.
    all.laptop.zfs(&["set", "zatlas:transfer=0123456789abcdef", "home"]);
    cut_receive(&all.laptop, "home", "home/data", "");
    let before = all.laptop.properties();
    for flags in [&[][..], &["--restart"]] {
        let ran = all.laptop.cli(&[&["download", "data", "--to", "home"], flags].concat());
        ran.expect(6).says("an unfinished receive that is not of zatlas is there");
        all.laptop.properties().assert_only_new(&before, &[]);
    }

    cut_receive(&all.receiver, "tank-02", "tank-02/data", "");
    let before = all.receiver.properties();
    for flags in [&[][..], &["--restart"]] {
        all.laptop.cli(&[&["copy", "data", RECEIVER], flags].concat()).expect(6);
        all.receiver.properties().assert_only_new(&before, &[]);
    }
}
