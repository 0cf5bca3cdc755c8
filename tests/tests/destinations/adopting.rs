//! A dataset that another tool made is taken over only where its user says so, and once.

use std::collections::BTreeSet;

use crate::scene::{BOTH, Scene};

#[test]
fn what_another_tool_made_is_taken_over_when_asked_and_once() {
    let scene = Scene::new();
    scene.create("data", "one");
    for way in BOTH {
        scene.send_by_hand("data@one", way, &scene.target(way, "data"), "-u");
    }
    a_look_changes_nothing(&scene);
    scene.advance("data", "two");
    it_needs_to_be_asked_for(&scene);
    it_is_taken_over(&scene);
    scene.advance("data", "three");
    scene.transfer_to_both("data", "three", &[]);
    unrelated_data_is_not_taken_over(&scene);
}

fn a_look_changes_nothing(scene: &Scene) {
    let before = scene.everything();
    for (_, ran) in scene.both(|way| scene.arguments(way, "data", &[])) {
        ran.ok().says("nothing to do: snapshot one");
    }
    scene.everything().assert_same(&before);
}

fn it_needs_to_be_asked_for(scene: &Scene) {
    let not_ours = "it holds older snapshots of the same data, and was not made by zatlas";
    for (_, ran) in scene.both_refused(|way| scene.arguments(way, "data", &[]), not_ours) {
        assert!(ran.stderr.ends_with("Take it over with --adopt.\n"), "{}", ran.stderr);
    }
}

fn it_is_taken_over(scene: &Scene) {
    let before = BOTH.map(|way| scene.machine(way).properties());
    for (_, ran) in scene.both(|way| scene.arguments(way, "data", &["--adopt"])) {
        ran.ok().says("takes over the dataset, which another tool made");
    }
    for (way, before) in BOTH.into_iter().zip(before) {
        scene.assert_arrived(way, "data", "two");
        let after = scene.machine(way).properties();
        // Of the dataset, from which its snapshots inherit them.
        let set = after.changed_since(&before).into_iter().map(|(_, property)| property);
        let marks = BTreeSet::from(["zatlas:stream", "zatlas:transfer"]);
        assert_eq!(set.collect::<BTreeSet<_>>(), marks, "and nothing else was set");
        assert_eq!(after.names().len(), before.names().len() + 1);
    }
}

fn unrelated_data_is_not_taken_over(scene: &Scene) {
    let arguments = |way| scene.arguments_to(way, "data", "unrelated", &["--adopt"]);
    for way in BOTH {
        scene.machine(way).zfs(&["create", "-u", &scene.target(way, "unrelated")]);
    }
    let no_snapshot = "the destination exists already, and has no snapshot to go on from";
    for (_, ran) in scene.both_refused(arguments, no_snapshot) {
        ran.says("zfs rename");
    }
    for way in BOTH {
        scene.machine(way).zfs(&["snapshot", &scene.target(way, "unrelated@one")]);
    }
    let other_data = "has no snapshot in common with the source";
    for (way, ran) in scene.both_refused(arguments, other_data) {
        let guid = scene.machine(way).get(&scene.target(way, "unrelated@one"), "guid");
        ran.says(&format!("it has one (GUID {guid})"));
    }
}
