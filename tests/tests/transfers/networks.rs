//! The ways that bytes take: directly, by the tracker where they must, without TLS, by Unix sockets.

use tests::{Fleet, is_real, until};

use crate::{RECEIVER, SENDER, Three, assert_arrived, little, three_machines};

/// Where nobody listens, whoever dials it.
const NOWHERE: [&str; 2] = ["--capnp-public-address", "tcp:127.0.0.1:1"];

fn download_and_copy(fleet: Fleet) {
    let all = three_machines(fleet, |sender| sender.create("tank-01/data", little(1), "one"));
    all.copies_and_downloads(", directly\n");
}

impl Three {
    /// Both ways to receive, each by this path.
    #[track_caller]
    fn copies_and_downloads(&self, path: &str) {
        let path = format!("from {SENDER}{path}");
        self.laptop.cli(&["copy", "data", RECEIVER]).ok().says(&path);
        assert_arrived(&self.sender, "tank-01/data", &self.receiver, "tank-02/data", "one");
        let download = ["download", "data", "--to", "home", "--from", SENDER];
        self.laptop.cli(&download).ok().says(&path);
        assert_arrived(&self.sender, "tank-01/data", &self.laptop, "home/data", "one");
    }

    /// Nobody can dial the sender any more.
    fn hide_sender(&mut self) {
        self.sender.agent().stop();
        self.sender.start_agent("datacenter-01", &NOWHERE);
        self.wait_for_the_senders();
    }

    /// Nobody can dial the receiver any more.
    fn hide_receiver(&mut self) {
        self.receiver.agent().stop();
        // By this the tracker is seen to know of the pool.
        self.receiver.zfs(&["create", "tank-02/new"]);
        self.receiver.start_agent("datacenter-02", &NOWHERE);
        let shown = || self.fleet.show(&["new"]).stdout.contains(RECEIVER);
        until("the receiver's pool", || shown().then_some(()));
    }
}

fn three() -> Three {
    three_machines(Fleet::start(), |sender| sender.create("tank-01/data", little(1), "one"))
}

#[test]
fn a_sender_that_nobody_can_dial_dials_its_receivers() {
    let mut all = three();
    all.hide_sender();
    all.copies_and_downloads(", directly, dialled by the sender\n");
}

#[test]
fn it_does_so_without_tls_too() {
    let fleet = Fleet::start_with(&["--capnp-disable-tls"]);
    let mut all = three_machines(fleet, |sender| sender.create("tank-01/data", little(1), "one"));
    all.hide_sender();
    all.copies_and_downloads(", directly, dialled by the sender\n");
}

#[test]
fn a_receiver_that_nobody_can_dial_dials_the_sender() {
    let mut all = three();
    all.hide_receiver();
    all.copies_and_downloads(", directly\n");
}

#[test]
fn machines_that_cannot_reach_each_other_are_relayed_and_told_so() {
    let mut all = three();
    let relayed = ", relayed by the tracker";
    if is_real() {
        all.fleet.separate(&all.sender, &all.receiver);
        all.fleet.separate(&all.sender, &all.laptop);
        all.copies_and_downloads(relayed);
    } else {
        // A cli that downloads is always in reach.
        all.hide_sender();
        all.hide_receiver();
        let relayed = format!("from {SENDER}{relayed}");
        all.laptop.cli(&["copy", "data", RECEIVER]).ok().says(&relayed);
        assert_arrived(&all.sender, "tank-01/data", &all.receiver, "tank-02/data", "one");
    }
}

#[test]
fn a_way_on_which_nothing_but_the_first_words_comes_through_is_gone_once() {
    let mut all = three();
    let cable = all.sender.lay_cable();
    all.sender.agent().stop();
    all.sender.start_agent_behind(&cable, "datacenter-01", &[]);
    all.wait_for_the_senders();
    cable.swallow_after(16 << 10);
    let ran = all.laptop.cli(&["download", "data", "--to", "home", "--stall", "10s"]).ok();
    ran.says(&format!("from {SENDER}, directly\n"))
        .says("hardly anything comes this way")
        .says(&format!("from {SENDER}, directly, dialled by the sender"));
    assert_arrived(&all.sender, "tank-01/data", &all.laptop, "home/data", "one");
}

#[test]
fn a_fleet_without_tls_works_the_same() {
    download_and_copy(Fleet::start_with(&["--capnp-disable-tls"]));
}

#[test]
fn a_tracker_on_a_unix_socket_works_the_same() {
    let fleet = Fleet::start_on_unix_socket();
    if is_real() {
        // The machines are elsewhere in the network: without an address they can only be relayed.
        let all = three_machines(fleet, |sender| sender.create("tank-01/data", little(1), "one"));
        all.laptop.cli(&["copy", "data", RECEIVER]).ok().says("relayed");
        assert_arrived(&all.sender, "tank-01/data", &all.receiver, "tank-02/data", "one");
    } else {
        download_and_copy(fleet);
    }
}
