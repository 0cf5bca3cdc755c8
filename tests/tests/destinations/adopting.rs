//! A dataset that another tool made is taken over only where its user says so, and once.

use crate::scene::{BOTH, Scene, Way};

#[test]
fn what_another_tool_made_is_taken_over_when_asked_and_once() {
    let scene = Scene::new();
    scene.create("data", "one");
    for way in BOTH {
        scene.send_by_hand("data@one", way, &scene.target(way, "data"), "-u");
        is_known(&scene, way);
    }
    scene.advance("data", "two");
    for way in BOTH {
        it_needs_to_be_asked_for(&scene, way);
        takes_it_over(&scene, way);
    }
    scene.advance("data", "three");
    for way in BOTH {
        scene.transfer(way, "data", &[]).ok();
        scene.assert_arrived(way, "data", "three");
    }
    unrelated_data_is_not_taken_over(&scene);
}

/// Nothing is written by a look.
fn is_known(scene: &Scene, way: Way) {
    let machine = scene.machine(way);
    let before = machine.properties();
    scene.transfer(way, "data", &[]).ok().says("nothing to do: snapshot one");
    machine.properties().assert_only_new(&before, &[]);
}

fn it_needs_to_be_asked_for(scene: &Scene, way: Way) {
    let ran = scene.refused(
        &scene.arguments(way, "data", &[]),
        &["it holds older snapshots of the same data, and was not made by zatlas"],
    );
    assert!(ran.stderr.ends_with("Take it over with --adopt.\n"), "{}", ran.stderr);
}

fn takes_it_over(scene: &Scene, way: Way) {
    let (machine, target) = (scene.machine(way), scene.target(way, "data"));
    let before = machine.properties();
    let ran = scene.transfer(way, "data", &["--adopt"]).ok();
    ran.says("takes over the dataset, which another tool made");
    scene.assert_arrived(way, "data", "two");
    let marks = ["zatlas:transfer", "zatlas:stream"];
    assert!(marks.iter().all(|mark| machine.get(&target, mark) != "-"));
    // Once the marks are gone, all is as it was: nothing else was set.
    let marked = marks.map(|mark| (mark, machine.get(&target, mark)));
    for mark in marks {
        machine.zfs(&["inherit", mark, &target]);
    }
    machine.properties().assert_only_new(&before, &[&format!("{target}@two")]);
    for (mark, value) in marked {
        machine.zfs(&["set", &format!("{mark}={value}"), &target]);
    }
}

fn unrelated_data_is_not_taken_over(scene: &Scene) {
    for way in BOTH {
        let target = scene.target(way, "unrelated");
        let machine = scene.machine(way);
        machine.zfs(&["create", "-u", &target]);
        let no_snapshot = "the destination exists already, and has no snapshot to go on from";
        let arguments = scene.arguments_to(way, "data", "unrelated", &["--adopt"]);
        scene.refused(&arguments, &[no_snapshot, "zfs rename"]);
        machine.zfs(&["snapshot", &format!("{target}@one")]);
        let guid = machine.get(&format!("{target}@one"), "guid");
        scene.refused(
            &arguments,
            &["has no snapshot in common with the source", &format!("it has one (GUID {guid})")],
        );
    }
}
