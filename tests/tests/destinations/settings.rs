//! The properties of what arrives, and that they are its own from then on.

use crate::scene::{BOTH, Scene, Way};

#[test]
fn what_arrives_has_the_properties_that_were_asked_for_and_keeps_its_own() {
    let scene = Scene::new();
    scene.create("data", "one");
    a_copy_is_readonly_and_a_download_is_not_unless_they_are_told_so(&scene);
    an_increment_changes_no_property(&scene);
    only_what_is_harmless_elsewhere_is_carried(&scene);
}

fn a_copy_is_readonly_and_a_download_is_not_unless_they_are_told_so(scene: &Scene) {
    for (way, to, flags, readonly) in [
        (Way::Download, "as usual", &[][..], "off"),
        (Way::Download, "told so", &["--readonly"], "on"),
        (Way::Copy, "as usual", &[], "on"),
        (Way::Copy, "told so", &["--writable"], "off"),
    ] {
        scene.run(&scene.arguments_to(way, "data", to, flags)).ok();
        let target = scene.target(way, to);
        assert_eq!(scene.machine(way).get(&target, "readonly"), readonly, "{way:?} {flags:?}");
    }
}

/// Whatever its user has set, and whatever the options of a first transfer say.
fn an_increment_changes_no_property(scene: &Scene) {
    scene.advance("data", "two");
    for (way, flags) in [(Way::Download, ["--readonly"]), (Way::Copy, ["--writable"])] {
        for to in ["as usual", "told so"] {
            let (machine, target) = (scene.machine(way), scene.target(way, to));
            for setting in ["compression=gzip", "canmount=off", "atime=off", "user:note=mine"] {
                machine.zfs(&["set", setting, &target]);
            }
            let before = machine.properties();
            let more = [&flags[..], &["--props", "local"]].concat();
            scene.run(&scene.arguments_to(way, "data", to, &more)).ok();
            machine.properties().assert_only_new(&before, &[&format!("{target}@two")]);
        }
    }
}

fn only_what_is_harmless_elsewhere_is_carried(scene: &Scene) {
    let mountpoint = scene.sender.path("elsewhere");
    let set = |setting: &str| scene.sender.try_zfs(&["set", setting, "tank-01/data"]);
    set("compression=zstd-3").ok();
    set("recordsize=32K").ok();
    set("setuid=off").ok();
    set("user:note=mine").ok();
    // Where nothing shares, the property is set and a warning comes.
    set("sharenfs=on");
    assert_eq!(scene.sender.get("tank-01/data", "sharenfs"), "on");
    set(&format!("mountpoint={}", mountpoint.display())).ok();
    for way in BOTH {
        scene.run(&scene.arguments_to(way, "data", "with", &["--props", "local"])).ok();
        scene.run(&scene.arguments_to(way, "data", "without", &[])).ok();
        let value = |to, property| scene.machine(way).get(&scene.target(way, to), property);
        assert_eq!(value("with", "compression"), "zstd-3");
        assert_eq!(value("with", "recordsize"), "32768");
        assert_eq!(value("without", "compression"), "on");
        assert_eq!(value("without", "recordsize"), "131072");
        for to in ["with", "without"] {
            assert_eq!(value(to, "sharenfs"), "off");
            assert_eq!(value(to, "setuid"), "on");
            assert_eq!(value(to, "user:note"), "-");
            assert!(value(to, "mountpoint").ends_with(&scene.target(way, to)));
        }
    }
}
