//! What others do at a destination while a transfer into it is planned and done: it is neither
//! discarded nor taken for what was to arrive.

use std::fs;

use crate::scene::{BOTH, Scene, Way};

#[test]
fn what_appears_at_the_destination_meanwhile_stays_and_stays_what_it_is() {
    let mut scene = Scene::new();
    scene.restart_receiver(&["--allow-rollback"]);
    scene.create("data", "one");
    scene.transfer_to_both("data", "one", &[]);
    scene.advance("data", "two");
    for way in BOTH {
        scene.machine(way).zfs(&["snapshot", &scene.target(way, "data@mine")]);
        what_came_after_the_plan_stops_a_rollback(&scene, way);
        what_comes_after_the_rollback_is_not_rolled_back(&scene, way);
        a_namesake_is_not_what_was_to_arrive(&scene, way);
    }
    scene.transfer_to_both("data", "two", &[]);
}

fn what_came_after_the_plan_stops_a_rollback(scene: &Scene, way: Way) {
    let (machine, late) = (scene.machine(way), scene.target(way, "data@late"));
    let before = machine.properties();
    let cli = scene.begin_to_plan(&scene.arguments(way, "data", &["--rollback"]));
    machine.zfs(&["snapshot", &late]);
    scene.go_on();
    cli.finish().expect(6).says("its snapshots have changed since the plan was made");
    machine.properties().assert_only_new(&before, &[&late]);
    machine.zfs(&["destroy", &late]);
}

/// The stream after the rollback fails; before the next plan something new is there.
fn what_comes_after_the_rollback_is_not_rolled_back(scene: &Scene, way: Way) {
    let (machine, new) = (scene.machine(way), scene.target(way, "data@new"));
    before_a_receive(scene, way, &format!(r#""$ZFS" snapshot '{new}'; exit 1"#));
    let ran = scene.transfer(way, "data", &["--rollback"]).expect(6);
    let guid = machine.get(&new, "guid");
    ran.says(&format!("it has snapshots that the source lacks: new (GUID {guid})"));
    assert!(!machine.has(&scene.target(way, "data@mine")), "this was to go");
    machine.zfs(&["destroy", &new]);
}

fn a_namesake_is_not_what_was_to_arrive(scene: &Scene, way: Way) {
    let (machine, namesake) = (scene.machine(way), scene.target(way, "data@two"));
    before_a_receive(scene, way, &format!(r#""$ZFS" snapshot '{namesake}'"#));
    let ran = scene.transfer(way, "data", &[]).expect(6);
    assert!(!ran.stderr.contains("arrived"), "{}", ran.stderr);
    assert_ne!(machine.get(&namesake, "guid"), scene.sender.get("tank-01/data@two", "guid"));
    machine.zfs(&["destroy", &namesake]);
}

/// Has this happen before the next `zfs receive`, and once.
fn before_a_receive(scene: &Scene, way: Way, script: &str) {
    let first = scene.machine(way).path("first");
    fs::write(&first, format!("rm '{}'\n{script}\n", first.display())).unwrap();
}
