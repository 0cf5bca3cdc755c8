//! What is done to datasets and pools shows soon, and what can't be listed is never forgotten.

use serde_json::Value;
use tests::{Fleet, is_real, until};

use crate::measure;

/// On real ZFS a change must show within this many seconds.
const SOON: f64 = 5.0;

/// The numbers of snapshots of a dataset's replicas.
fn snapshots(fleet: &Fleet, dataset: &str) -> Vec<u64> {
    let shown: Value = serde_json::from_str(&fleet.show(&[dataset, "--json"]).stdout).unwrap();
    let replicas = shown[0]["replicas"].as_array().unwrap();
    replicas.iter().map(|replica| replica["snapshots"].as_u64().unwrap()).collect()
}

#[test]
fn datasets_created_snapshotted_renamed_and_destroyed_are_followed() {
    let fleet = Fleet::start();
    let mut machine = fleet.machine("machine-01", &["tank-01"]);
    machine.zfs(&["create", "tank-01/kept"]);
    machine.start_agent("datacenter-01", &[]);
    let place = r"datacenter-01\machine-01\tank-01 (online)";
    let zfs = |arguments: &[&str]| drop(machine.zfs(arguments));
    let shows = |others: &[&str]| {
        let mut names = [&["kept"], others].concat();
        names.sort_unstable();
        let lines: Vec<String> = names.iter().map(|name| format!("{name}: {place}")).collect();
        fleet.wait_for_show(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    };

    shows(&[]);
    let times = [
        measure(
            "dataset created",
            || zfs(&["create", "-p", "tank-01/a/b"]),
            || shows(&["a", "a/b"]),
        ),
        measure(
            "snapshot taken",
            || zfs(&["snapshot", "tank-01/a/b@one"]),
            || until("the snapshot", || (snapshots(&fleet, "a/b") == [1]).then_some(())),
        ),
        measure(
            "dataset renamed, and what is below",
            || zfs(&["rename", "tank-01/a", "tank-01/c"]),
            || shows(&["c", "c/b"]),
        ),
        measure(
            "snapshot destroyed",
            || zfs(&["destroy", "tank-01/c/b@one"]),
            || until("no snapshot", || (snapshots(&fleet, "c/b") == [0]).then_some(())),
        ),
        measure("datasets destroyed", || zfs(&["destroy", "-r", "tank-01/c"]), || shows(&[])),
    ];
    if is_real() {
        assert!(times.iter().all(|seconds| *seconds < SOON), "{times:?}");
    }
}

#[test]
fn a_pool_that_is_exported_is_offline_but_one_taken_away_is_gone() {
    let fleet = Fleet::start();
    let mut machine = fleet.machine("machine-01", &["tank-01", "tank-02"]);
    machine.zfs(&["create", "tank-01/a"]);
    machine.zfs(&["create", "tank-02/b"]);
    machine.start_agent("datacenter-01", &[]);
    let shows = |state: &str| {
        fleet.wait_for_show(&[
            r"a: datacenter-01\machine-01\tank-01 (online)",
            &format!(r"b: datacenter-01\machine-01\tank-02 ({state})"),
        ]);
    };
    shows("online");
    measure("pool exported", || machine.export("tank-02"), || shows("offline"));
    measure("pool imported", || machine.import("tank-02"), || shows("online"));

    // Missing when the agent starts, and imported later.
    machine.agent().stop();
    machine.export("tank-02");
    machine.start_agent("datacenter-01", &[]);
    machine.agent().wait_for_line("there is no pool 'tank-02' now");
    shows("offline");
    machine.import("tank-02");
    shows("online");

    machine.agent().stop();
    machine.start_agent("datacenter-01", &["--zpools", "tank-01"]);
    fleet.wait_for_show(&[r"a: datacenter-01\machine-01\tank-01 (online)"]);

    // Without any pool an agent has nothing to do.
    machine.agent().stop();
    machine.start_agent("datacenter-01", &["--zpools", "tank-07,tank-08"]);
    assert_eq!(machine.agent().wait().code(), Some(1));
    let log = machine.agent().log();
    assert!(log.contains("none of the pools of --zpools exists; there are: "), "{log}");
}
