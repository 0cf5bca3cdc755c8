//! A destination that has what its source lacks: refused with the difference, and discarded only
//! where the user asks for it and the destination allows it.

use crate::scene::{BOTH, Scene, Way};

#[test]
fn what_the_source_lacks_is_told_and_discarded_only_where_that_is_asked_for_and_allowed() {
    let mut scene = Scene::new();
    scene.create("data", "zero");
    for way in BOTH {
        let writable: &[&str] = if way == Way::Copy { &["--writable"] } else { &[] };
        scene.transfer(way, "data", writable).ok();
    }
    scene.advance("data", "one");
    for way in BOTH {
        scene.transfer(way, "data", &[]).ok();
    }
    // What the source has no more is no difference: it is older than what both have.
    scene.sender.zfs(&["destroy", "tank-01/data@zero"]);
    scene.advance("data", "two");

    for way in BOTH {
        changes_are_told(&scene, way);
    }
    for way in BOTH {
        snapshots_are_told(&scene, way);
    }
    a_copy_needs_the_agents_permission(&scene);
    scene.restart_receiver(&["--allow-rollback"]);
    for way in BOTH {
        what_is_held_stays_with_all_the_rest(&scene, way);
    }
    for way in BOTH {
        only_what_was_listed_goes(&scene, way);
    }
    for way in BOTH {
        a_name_that_another_snapshot_has_is_refused(&scene, way);
    }
}

fn changes_are_told(scene: &Scene, way: Way) {
    let target = scene.target(way, "data");
    scene.write_there(way, &target);
    let ran = scene.refused(&scene.arguments(way, "data", &[]), &[]);
    let bytes = scene.machine(way).get(&target, "written");
    let ran = ran.says(&format!("it was changed since one ({bytes} bytes)"));
    assert!(ran.stderr.ends_with("Discard that with --rollback, or choose another name.\n"));
}

/// The names and GUIDs of two snapshots that only the destination has.
fn own(scene: &Scene, way: Way) -> [String; 2] {
    let (machine, target) = (scene.machine(way), scene.target(way, "data"));
    ["mine", "also mine"].map(|label| {
        format!("{label} (GUID {})", machine.get(&format!("{target}@{label}"), "guid"))
    })
}

fn snapshots_are_told(scene: &Scene, way: Way) {
    let (machine, target) = (scene.machine(way), scene.target(way, "data"));
    machine.zfs(&["snapshot", &format!("{target}@mine")]);
    machine.zfs(&["snapshot", &format!("{target}@also mine")]);
    let [mine, also_mine] = own(scene, way);
    let difference = format!("it has snapshots that the source lacks: {mine}, {also_mine}\n");
    scene.refused(&scene.arguments(way, "data", &[]), &[&difference]);

    scene.write_there(way, &target);
    let bytes = machine.get(&target, "written");
    let difference = format!(
        "it has snapshots that the source lacks: {mine}, {also_mine}; it was changed since also \
         mine ({bytes} bytes)\n"
    );
    scene.refused(&scene.arguments(way, "data", &[]), &[&difference]);
}

fn a_copy_needs_the_agents_permission(scene: &Scene) {
    let arguments = scene.arguments(Way::Copy, "data", &["--rollback"]);
    let ran = scene.refused(&arguments, &["and the destination does not allow --rollback"]);
    assert!(ran.stderr.ends_with("Allow it there with: agent --allow-rollback\n"));
}

fn what_is_held_stays_with_all_the_rest(scene: &Scene, way: Way) {
    let (machine, target) = (scene.machine(way), scene.target(way, "data"));
    let held = format!("{target}@also mine");
    machine.zfs(&["hold", "mine", &held]);
    // That it can't be done may be seen only when it is tried: then the source keeps a hold.
    let before = machine.properties();
    let ran = scene.transfer(way, "data", &["--rollback"]).expect(6);
    ran.says("zfs holds");
    machine.properties().assert_only_new(&before, &[]);
    machine.zfs(&["release", "mine", &held]);
}

fn only_what_was_listed_goes(scene: &Scene, way: Way) {
    let (machine, target) = (scene.machine(way), scene.target(way, "data"));
    let listed = |ran: &tests::Ran| {
        let lines = ran.stderr.lines().map(str::trim_start);
        let lines = lines.skip_while(|line| !line.ends_with("rolls back to one, which destroys:"));
        lines.skip(1).take_while(|line| line.starts_with("- ")).map(str::to_owned).collect()
    };
    let [mine, also_mine] = own(scene, way);
    let is_list = |lines: Vec<String>| {
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with(&format!("- snapshot {mine} of ")), "{lines:?}");
        assert!(lines[1].starts_with(&format!("- snapshot {also_mine} of ")), "{lines:?}");
        assert!(lines[2].ends_with(" written since"), "{lines:?}");
    };
    let before = machine.properties();
    let dry = scene.transfer(way, "data", &["--rollback", "--dry-run"]).ok();
    is_list(listed(&dry));
    machine.properties().assert_only_new(&before, &[]);

    let ran = scene.transfer(way, "data", &["--rollback"]).ok();
    is_list(listed(&ran));
    scene.assert_arrived(way, "data", "two");
    let names = machine.zfs(&["list", "-H", "-t", "all", "-o", "name", "-r", &target]);
    let expected = ["", "@zero", "@one", "@two"].map(|part| format!("{target}{part}"));
    assert_eq!(names.lines().collect::<Vec<_>>(), expected, "only those that were listed");
    let others: Vec<_> = before.names().into_iter().filter(|it| !it.contains("mine")).collect();
    let after = machine.properties();
    assert!(others.iter().all(|name| after.names().contains(name)), "{:?}", after.names());
}

/// An older snapshot there has the name of the one that is to come.
fn a_name_that_another_snapshot_has_is_refused(scene: &Scene, way: Way) {
    let (machine, target) = (scene.machine(way), scene.target(way, "data"));
    if !scene.sender.has("tank-01/data@zero") {
        scene.advance("data", "zero");
    }
    let zero = format!("{target}@zero");
    let ran = scene.refused(
        &scene.arguments(way, "data", &[]),
        &["another snapshot of the name zero is there"],
    );
    let remedy = format!("Give it another name: zfs rename '{zero}' NEW\n");
    assert!(ran.stderr.ends_with(&remedy), "{}", ran.stderr);
    machine.zfs(&["rename", &zero, &format!("{target}@the other")]);
    scene.transfer(way, "data", &[]).ok();
    scene.assert_arrived(way, "data", "zero");
    assert!(machine.has(&format!("{target}@the other")));
}
