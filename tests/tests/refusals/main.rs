//! What is refused: bad names, unknown things, ambiguous ones, wrong capabilities and configurations.
//! Always with the contract's status, a first line that says what and a last one that helps.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod capabilities;
mod configuration;
mod names;
mod places;

use std::fs;

use tests::{Fleet, Machine, Tree};

/// A sender with `data@one`, a receiver, and a laptop; each logs what `zfs` is run for.
struct Three {
    sender: Machine,
    receiver: Machine,
    laptop: Machine,
    // Dropped last.
    fleet: Fleet,
}

const SENDER: &str = r"datacenter-01\sender\tank-01";
const RECEIVER: &str = r"datacenter-02\receiver\tank-02";

fn three_machines() -> Three {
    let fleet = Fleet::start();
    let mut sender = fleet.machine("sender", &["tank-01"]);
    let mut receiver = fleet.machine("receiver", &["tank-02"]);
    let mut laptop = fleet.machine("laptop", &["home"]);
    for machine in [&mut sender, &mut receiver, &mut laptop] {
        let log = machine.path("zfs.log").display().to_string();
        machine.wrap_zfs(&format!(r#"echo "$@" >>'{log}'; exec "$ZFS" "$@""#));
    }
    sender.create("tank-01/data", Tree { seed: 1, bytes: 1 << 20 }, "one");
    sender.start_agent("datacenter-01", &[]);
    receiver.start_agent("datacenter-02", &[]);
    receiver.wait_registered();
    fleet.wait_for_show(&[&format!("data: {SENDER} (online)")]);
    Three { sender, receiver, laptop, fleet }
}

/// What the product has run `zfs` for on this machine, but for looking.
fn changes(machine: &Machine) -> Vec<String> {
    let log = fs::read_to_string(machine.path("zfs.log")).unwrap_or_default();
    let looks = |line: &&str| line.starts_with("list ") || line.starts_with("get ");
    log.lines().filter(|line| !looks(line)).map(str::to_owned).collect()
}
