//! The ways that bytes take: directly, by the tracker where they must, without TLS, by Unix sockets.

use tests::{Fleet, is_real};

use crate::{RECEIVER, SENDER, assert_arrived, little, three_machines};

fn download_and_copy(fleet: Fleet) {
    let all = three_machines(fleet, |sender| sender.create("tank-01/data", little(1), "one"));
    all.laptop.cli(&["download", "data", "--to", "home"]).ok().says("directly");
    assert_arrived(&all.sender, "tank-01/data", &all.laptop, "home/data", "one");
    all.laptop.cli(&["copy", "data", RECEIVER]).ok().says("directly");
    assert_arrived(&all.sender, "tank-01/data", &all.receiver, "tank-02/data", "one");
}

#[test]
fn machines_that_cannot_reach_each_other_are_relayed_and_told_so() {
    let mut all = three_machines(Fleet::start(), |sender| {
        sender.create("tank-01/data", little(1), "one");
    });
    if is_real() {
        all.fleet.separate(&all.sender, &all.receiver);
        all.fleet.separate(&all.sender, &all.laptop);
    } else {
        // It tells of an address where nothing listens.
        all.sender.agent().stop();
        all.sender.start_agent("datacenter-01", &["--capnp-public-address", "tcp:127.0.0.1:1"]);
        all.wait_for_the_senders();
    }
    let relayed = format!("from {SENDER}, relayed by the tracker");
    all.laptop.cli(&["copy", "data", RECEIVER]).ok().says(&relayed);
    assert_arrived(&all.sender, "tank-01/data", &all.receiver, "tank-02/data", "one");
    let download = ["download", "data", "--to", "home", "--from", SENDER];
    all.laptop.cli(&download).ok().says(&relayed);
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
