//! What it costs to look: at where datasets are, and at what is held.

use crate::scene::{SENDER, Scene, processes};

const NONE: [&str; 0] = [];

#[test]
fn show_takes_one_round_trip_and_no_process() {
    let scene = Scene::new();
    let shown = scene.run(&["show", "data"], &["cli: bootstrap, open, list", "tracker: done"], &[]);
    assert_eq!(shown.stdout, format!("data: {SENDER} (online)\n"));
    for machine in [&scene.sender, &scene.receiver, &scene.laptop] {
        assert_eq!(processes(machine), NONE);
    }
}

#[test]
fn holds_takes_two_round_trips_and_one_listing_of_each_pool() {
    let scene = Scene::new();
    let all = ["cli: bootstrap, open, holds", "tracker: done"];
    assert_eq!(scene.run(&["holds"], &all, &[]).stdout, "");
    for machine in [&scene.sender, &scene.receiver] {
        assert_eq!(processes(machine), ["zfs list 1"]);
    }
    assert_eq!(processes(&scene.laptop), NONE);
}
