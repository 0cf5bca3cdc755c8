//! What it costs to bring a dataset of 1 MiB from one machine to another.

use crate::scene::{RECEIVER, Scene, processes};

/// Between cli and tracker, for a download that brings something. The answers to `done` are lost,
/// and so nothing waits for them.
const DOWNLOAD: [&str; 5] = [
    "cli: bootstrap, open, dataset",
    "cli: replicas",
    "tracker: done",
    "cli: reach",
    "cli: release",
];

/// Between receiver and source, for a first stream.
const FIRST: [&str; 6] = [
    "receiver: bootstrap, open",
    "receiver: estimate",
    "receiver: hold",
    "receiver: send",
    "source: end",
    "receiver: finish",
];

/// What a source takes for it.
const SENT: [&str; 8] = [
    "zfs bookmark 1",
    "zfs get 2",
    "zfs hold 1",
    "zfs holds 1",
    "zfs list 5",
    "zfs release 1",
    "zfs send 1",
    "zfs send -n 1",
];

const NONE: [&str; 0] = [];

#[test]
fn a_first_download() {
    let scene = Scene::new();
    scene.run(&["download", "data"], &DOWNLOAD, &FIRST);
    assert_eq!(processes(&scene.sender), SENT);
    assert_eq!(
        processes(&scene.laptop),
        ["zfs get 4", "zfs list 1", "zfs receive 1", "zpool get 1", "zpool list 3"]
    );
}

#[test]
fn a_copy() {
    let scene = Scene::new();
    let watch = ["cli: bootstrap, open, copy", "cli: observe"];
    scene.run(&["copy", "data", RECEIVER], &watch, &FIRST);
    assert_eq!(processes(&scene.sender), SENT);
    assert_eq!(
        processes(&scene.receiver),
        ["zfs get 4", "zfs list 1", "zfs receive 1", "zpool get 1", "zpool list 2"]
    );
    assert_eq!(processes(&scene.laptop), NONE);
}

#[test]
fn a_dry_run() {
    let scene = Scene::new();
    let words = ["download", "data", "--dry-run"];
    scene.run(&words, &DOWNLOAD[..4], &FIRST[..2]);
    assert_eq!(processes(&scene.sender), ["zfs list 2", "zfs send -n 1"]);
    assert_eq!(
        processes(&scene.laptop),
        ["zfs get 1", "zfs list 1", "zpool get 1", "zpool list 3"]
    );
}

#[test]
fn an_increment() {
    let scene = Scene::new();
    scene.laptop.cli(&["download", "data", "--snapshot", "one"]).ok();
    let source = [
        "receiver: bootstrap, open",
        "receiver: estimate",
        "receiver: hold, hold",
        "receiver: send",
        "source: end",
        "receiver: finish",
    ];
    scene.run(&["download", "data"], &DOWNLOAD, &source);
    assert_eq!(
        processes(&scene.sender),
        [
            "zfs bookmark 1",
            "zfs get 3",
            "zfs hold 2",
            "zfs holds 1",
            "zfs list 5",
            "zfs release 2",
            "zfs send 1",
            "zfs send -n 1",
        ]
    );
    assert_eq!(
        processes(&scene.laptop),
        ["zfs get 4", "zfs list 2", "zfs receive 1", "zpool get 1", "zpool list 2"]
    );
}

#[test]
fn a_download_of_what_is_there_already() {
    let mut scene = Scene::new();
    scene.laptop.cli(&["download", "data"]).ok();
    scene.restart_sender();
    let tracker =
        ["cli: bootstrap, open, dataset", "cli: replicas", "tracker: done", "cli: release"];
    scene.run(&["download", "data"], &tracker, &[]);
    assert_eq!(processes(&scene.sender), NONE);
    assert_eq!(processes(&scene.laptop), ["zfs get 1", "zfs list 2", "zpool list 2"]);
}
