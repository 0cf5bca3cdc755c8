//! Room: compared with what is to come before the first byte, and told by ZFS after it.

use std::fs;

use crate::scene::{BOTH, Scene, Way};

#[test]
fn room_is_looked_at_before_and_a_quota_hit_later_is_no_loss() {
    let mut scene = Scene::new();
    // More than the hundredth part of a pool.
    scene.create_with("data", "one", 12 << 20);
    a_quota_hit_in_mid_stream_ends_it_at_once_and_the_same_command_goes_on(&scene);
    what_there_is_no_room_for_is_refused_before_its_first_byte(&mut scene);
}

fn what_there_is_no_room_for_is_refused_before_its_first_byte(scene: &mut Scene) {
    for way in BOTH {
        let parent = scene.target(way, "tiny");
        scene.machine(way).zfs(&["create", "-o", "quota=1M", &parent]);
        scene.runs(way);
        let arguments = scene.arguments_to(way, "data", "tiny/data", &[]);
        let ran = scene.refused(&arguments, &["are to come, and there is room for "]);
        assert!(ran.stderr.contains("raise its quota"), "{}", ran.stderr);
        nothing_was_received(scene, way);
    }
    scene.restart_receiver(&["--reserve", "99%"]);
    let reserved = "with 99% of the pool kept free";
    scene.refused(&scene.arguments(Way::Copy, "data", &[]), &[reserved]);
    nothing_was_received(scene, Way::Copy);
    scene.restart_receiver(&["--reserve", "10%"]);
    scene.transfer(Way::Copy, "data", &["--dry-run"]).ok();
}

fn nothing_was_received(scene: &Scene, way: Way) {
    let runs = scene.runs(way);
    assert!(!runs.is_empty(), "it was looked at");
    assert!(runs.iter().all(|run| !run.starts_with("receive")), "{runs:?}");
}

fn a_quota_hit_in_mid_stream_ends_it_at_once_and_the_same_command_goes_on(scene: &Scene) {
    for way in BOTH {
        let (machine, parent) = (scene.machine(way), scene.target(way, "small"));
        machine.zfs(&["create", "-o", "quota=64M", &parent]);
        // Once the room has been looked at.
        let first = machine.path("first");
        fs::write(&first, format!("\"$ZFS\" set quota=4M '{parent}'\n")).unwrap();
        let arguments = scene.arguments_to(way, "data", "small/data", &[]);
        let ran = scene.run(&arguments).expect(6).says("space quota exceeded");
        let remedy = "raise its quota, then run the command again: it goes on where it was.\n";
        assert!(ran.stderr.ends_with(remedy), "{}", ran.stderr);
        assert!(!ran.stderr.contains("it goes on by itself"), "{}", ran.stderr);
        let receives = scene.runs(way).iter().filter(|run| run.starts_with("receive")).count();
        assert_eq!(receives, 1, "it is no use to try again");
        scene.wait_for_silence();

        fs::remove_file(&first).unwrap();
        machine.zfs(&["set", "quota=64M", &parent]);
        scene.run(&arguments).ok().says("goes on with one, of which ");
        scene.assert_arrived_as(way, "data", "small/data", "one");
        assert!(scene.sender.properties().held().is_empty());
    }
}
