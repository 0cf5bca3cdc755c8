//! A destination that has what its source lacks: refused with the difference, and discarded only
//! where the user asks for it and the destination allows it.

use tests::Ran;

use crate::scene::{BOTH, Scene, Way};

#[test]
fn what_the_source_lacks_is_told_and_discarded_only_where_that_is_asked_for_and_allowed() {
    let mut scene = Scene::new();
    scene.create("data", "zero");
    for (_, ran) in scene.both(|way| match way {
        Way::Download => scene.arguments(way, "data", &[]),
        Way::Copy => scene.arguments(way, "data", &["--writable"]),
    }) {
        ran.ok();
    }
    scene.advance("data", "one");
    scene.transfer_to_both("data", "one", &[]);
    // What the source has no more is no difference: it is older than what both have.
    scene.sender.zfs(&["destroy", "tank-01/data@zero"]);
    scene.advance("data", "two");

    changes_are_told(&scene);
    snapshots_are_told(&scene);
    a_copy_needs_the_agents_permission(&scene);
    scene.restart_receiver(&["--allow-rollback"]);
    what_is_held_stays_with_all_the_rest(&scene);
    only_what_was_listed_goes(&scene);
    a_name_that_another_snapshot_has_is_refused(&scene);
}

fn write_to_both(scene: &Scene) {
    for way in BOTH {
        scene.write_there(way, &scene.target(way, "data"));
    }
}

fn written(scene: &Scene, way: Way) -> String {
    scene.machine(way).get(&scene.target(way, "data"), "written")
}

fn changes_are_told(scene: &Scene) {
    write_to_both(scene);
    let changed = "it was changed since one (";
    for (way, ran) in scene.both_refused(|way| scene.arguments(way, "data", &[]), changed) {
        let ran = ran.says(&format!("{changed}{} bytes)", written(scene, way)));
        assert!(ran.stderr.ends_with("Discard that with --rollback, or choose another name.\n"));
    }
}

/// The names and GUIDs of two snapshots that only the destination has.
fn own(scene: &Scene, way: Way) -> [String; 2] {
    ["mine", "also mine"].map(|label| {
        let snapshot = scene.target(way, &format!("data@{label}"));
        format!("{label} (GUID {})", scene.machine(way).get(&snapshot, "guid"))
    })
}

fn snapshots_are_told(scene: &Scene) {
    for way in BOTH {
        for label in ["data@mine", "data@also mine"] {
            scene.machine(way).zfs(&["snapshot", &scene.target(way, label)]);
        }
    }
    let lacks = "it has snapshots that the source lacks: ";
    let arguments = |way| scene.arguments(way, "data", &[]);
    for (way, ran) in scene.both_refused(arguments, lacks) {
        let [mine, also_mine] = own(scene, way);
        ran.says(&format!("{lacks}{mine}, {also_mine}\n"));
    }
    write_to_both(scene);
    for (way, ran) in scene.both_refused(arguments, lacks) {
        let [mine, also_mine] = own(scene, way);
        let bytes = written(scene, way);
        let changed = format!("it was changed since also mine ({bytes} bytes)");
        ran.says(&format!("{lacks}{mine}, {also_mine}; {changed}\n"));
    }
}

fn a_copy_needs_the_agents_permission(scene: &Scene) {
    let arguments = scene.arguments(Way::Copy, "data", &["--rollback"]);
    let ran = scene.refused(&arguments, &["and the destination does not allow --rollback"]);
    assert!(ran.stderr.ends_with("Allow it there with: agent --allow-rollback\n"));
}

fn what_is_held_stays_with_all_the_rest(scene: &Scene) {
    let hold = |verb| {
        for way in BOTH {
            scene.machine(way).zfs(&[verb, "mine", &scene.target(way, "data@also mine")]);
        }
    };
    hold("hold");
    scene.both_refused(|way| scene.arguments(way, "data", &["--rollback"]), "zfs holds");
    hold("release");
}

/// The lines of what a rollback destroys.
fn assert_listed([mine, also_mine]: &[String; 2], ran: &Ran) {
    let lines = ran.stderr.lines().map(str::trim_start);
    let lines = lines.skip_while(|line| !line.ends_with("rolls back to one, which destroys:"));
    let lines: Vec<_> = lines.skip(1).take_while(|line| line.starts_with("- ")).collect();
    assert_eq!(lines.len(), 3, "{ran:#?}");
    assert!(lines[0].starts_with(&format!("- snapshot {mine} of ")), "{lines:?}");
    assert!(lines[1].starts_with(&format!("- snapshot {also_mine} of ")), "{lines:?}");
    assert!(lines[2].ends_with(" written since"), "{lines:?}");
}

fn only_what_was_listed_goes(scene: &Scene) {
    for way in BOTH {
        let target = |label: &str| scene.target(way, &format!("data{label}"));
        for (snapshot, bookmark) in [("@zero", "#zero"), ("@mine", "#of mine")] {
            scene.machine(way).zfs(&["bookmark", &target(snapshot), &target(bookmark)]);
        }
    }
    let before = scene.everything();
    let dry_run = ["--rollback", "--dry-run"];
    for (way, ran) in scene.both(|way| scene.arguments(way, "data", &dry_run)) {
        assert_listed(&own(scene, way), &ran.ok());
    }
    scene.everything().assert_same(&before);

    let before = BOTH.map(|way| (own(scene, way), scene.machine(way).properties()));
    let ran = scene.both(|way| scene.arguments(way, "data", &["--rollback"]));
    for ((way, ran), (own, before)) in ran.into_iter().zip(before) {
        let ran = ran.ok().says("destroys the bookmark ");
        assert_eq!(ran.stderr.matches("destroys the bookmark ").count(), 1, "{}", ran.stderr);
        assert_listed(&own, &ran);
        scene.assert_arrived(way, "data", "two");
        let (after, target) = (scene.machine(way).properties(), scene.target(way, "data"));
        let mut expected: Vec<String> = before.names().into_iter().map(str::to_owned).collect();
        expected.retain(|name| !name.ends_with("mine"));
        expected.push(format!("{target}@two"));
        expected.sort();
        assert_eq!(after.names(), expected, "only what was listed has gone");
        assert_eq!(after.changed_since(&before), []);
    }
}

/// An older snapshot there has the name of the one that is to come.
fn a_name_that_another_snapshot_has_is_refused(scene: &Scene) {
    scene.advance("data", "zero");
    let clash = "another snapshot of the name zero is there";
    for (way, ran) in scene.both_refused(|way| scene.arguments(way, "data", &[]), clash) {
        let zero = scene.target(way, "data@zero");
        let remedy = format!("Give it another name: zfs rename '{zero}' NEW\n");
        assert!(ran.stderr.ends_with(&remedy), "{}", ran.stderr);
        scene.machine(way).zfs(&["rename", &zero, &scene.target(way, "data@other")]);
    }
    scene.transfer_to_both("data", "zero", &[]);
    assert!(BOTH.iter().all(|way| scene.machine(*way).has(&scene.target(*way, "data@other"))));
}
