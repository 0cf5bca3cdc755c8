//! What may be written to while it receives isn't received into.

use crate::scene::{BOTH, Scene, Way};

#[test]
fn what_is_mounted_writable_is_refused_until_it_is_readonly_or_unmounted() {
    let scene = Scene::new();
    scene.create("data", "one");
    for way in BOTH {
        // Without its option a copy is read-only, and may stay mounted.
        let writable: &[&str] = if way == Way::Copy { &["--writable"] } else { &[] };
        scene.transfer(way, "data", writable).ok();
    }
    scene.advance("data", "two");
    for way in BOTH {
        let (machine, target) = (scene.machine(way), scene.target(way, "data"));
        machine.zfs(&["mount", &target]);
        let ran = scene
            .refused(&scene.arguments(way, "data", &[]), &["it is mounted, and can be written to"]);
        let remedy = format!("Do one of: zfs unmount '{target}'; zfs set readonly=on '{target}'\n");
        assert!(ran.stderr.ends_with(&remedy), "{}", ran.stderr);

        machine.zfs(&["set", "readonly=on", &target]);
        scene.transfer(way, "data", &[]).ok();
        scene.assert_arrived(way, "data", "two");
        assert_eq!(machine.get(&target, "mounted"), "yes", "it stays as it was");
    }
    scene.advance("data", "three");
    for way in BOTH {
        let (machine, target) = (scene.machine(way), scene.target(way, "data"));
        machine.zfs(&["unmount", &target]);
        machine.zfs(&["set", "readonly=off", &target]);
        scene.transfer(way, "data", &[]).ok();
        scene.assert_arrived(way, "data", "three");
        assert_eq!(machine.get(&target, "mounted"), "no", "it stays as it was");
    }
}
