//! What may be written to while it receives isn't received into.

use crate::scene::{BOTH, Scene, Way};

#[test]
fn what_is_mounted_writable_is_refused_until_it_is_readonly_or_unmounted() {
    let scene = Scene::new();
    scene.create("data", "one");
    for (_, ran) in scene.both(|way| match way {
        Way::Download => scene.arguments(way, "data", &[]),
        // Without its option a copy is read-only, and may stay mounted.
        Way::Copy => scene.arguments(way, "data", &["--writable"]),
    }) {
        ran.ok();
    }
    scene.advance("data", "two");
    let zfs = |arguments: &[&str]| {
        for way in BOTH {
            scene.machine(way).zfs(&[arguments, &[&scene.target(way, "data")]].concat());
        }
    };
    let assert_mounted = |value| {
        for way in BOTH {
            let mounted = scene.machine(way).get(&scene.target(way, "data"), "mounted");
            assert_eq!(mounted, value, "it stays as it was");
        }
    };

    zfs(&["mount"]);
    let mounted = "it is mounted, and can be written to";
    for (way, ran) in scene.both_refused(|way| scene.arguments(way, "data", &[]), mounted) {
        let target = scene.target(way, "data");
        let remedy = format!("Do one of: zfs unmount '{target}'; zfs set readonly=on '{target}'\n");
        assert!(ran.stderr.ends_with(&remedy), "{}", ran.stderr);
    }
    zfs(&["set", "readonly=on"]);
    scene.transfer_to_both("data", "two", &[]);
    assert_mounted("yes");

    zfs(&["unmount"]);
    zfs(&["set", "readonly=off"]);
    scene.advance("data", "three");
    scene.transfer_to_both("data", "three", &[]);
    assert_mounted("no");
}
