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
    for (to, of_download, of_copy) in [
        ("as usual", (&[][..], "off"), (&[][..], "on")),
        ("told so", (&["--readonly"], "on"), (&["--writable"], "off")),
    ] {
        let (flags, readonly): (Vec<_>, Vec<_>) = [of_download, of_copy].into_iter().unzip();
        for (way, ran) in scene.both(|way| scene.arguments_to(way, "data", to, flags[way as usize]))
        {
            ran.ok();
            let value = scene.machine(way).get(&scene.target(way, to), "readonly");
            assert_eq!(value, readonly[way as usize], "{way:?} {to}");
        }
    }
}

/// Whatever its user has set, and whatever the options of a first transfer say.
fn an_increment_changes_no_property(scene: &Scene) {
    scene.advance("data", "two");
    for to in ["as usual", "told so"] {
        let before = BOTH.map(|way| {
            for setting in ["compression=gzip", "canmount=off", "atime=off", "user:note=mine"] {
                scene.machine(way).zfs(&["set", setting, &scene.target(way, to)]);
            }
            scene.machine(way).properties()
        });
        let ran = scene.both(|way| {
            let readonly = if way == Way::Copy { "--writable" } else { "--readonly" };
            scene.arguments_to(way, "data", to, &[readonly, "--props", "local"])
        });
        for ((way, ran), before) in ran.into_iter().zip(before) {
            ran.ok();
            let new = format!("{}@two", scene.target(way, to));
            scene.machine(way).properties().assert_only_new(&before, &[&new]);
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
    for (to, flags) in [("with", &["--props", "local"][..]), ("without", &[])] {
        for (way, ran) in scene.both(|way| scene.arguments_to(way, "data", to, flags)) {
            ran.ok();
            let target = scene.target(way, to);
            let value = |property| scene.machine(way).get(&target, property);
            let carried = (value("compression"), value("recordsize"));
            let expected = if to == "with" { ("zstd-3", "32768") } else { ("on", "131072") };
            assert_eq!((&carried.0[..], &carried.1[..]), expected, "{target}");
            assert_eq!(value("sharenfs"), "off");
            assert_eq!(value("setuid"), "on");
            assert_eq!(value("user:note"), "-");
            assert!(value("mountpoint").ends_with(&target));
        }
    }
}
