//! The destination: which it is, what is there already, what there is room for.

use std::fs;

use serde_json::Value;
use tests::{Tree, is_real, until};

use crate::scene::{COPY, DOWNLOAD, SENDER, Scene, document};

#[test]
fn destination_has_been_modified() {
    let scene = Scene::new(1 << 20);
    scene.receiver.cli(&DOWNLOAD).ok();
    if is_real() {
        scene.receiver.zfs(&["mount", "home/data"]);
    }
    let mine = |folder: &std::path::Path| fs::write(folder.join("mine"), "mine").unwrap();
    scene.receiver.with_files("home/data", mine);
    if is_real() {
        scene.receiver.zfs(&["unmount", "home/data"]);
    }
    scene.advance("data", "two");

    let before = scene.receiver.properties();
    let ran = scene.receiver.cli(&DOWNLOAD).expect(6).says("it was changed since one (");
    assert!(ran.stderr.lines().last().unwrap().contains("--rollback"), "{ran:#?}");
    scene.receiver.properties().assert_only_new(&before, &[]);

    let rollback = [&DOWNLOAD[..], &["--rollback"]].concat();
    scene.receiver.cli(&rollback).ok();
    scene.assert_arrived("tank/data@two", "home/data@two");
}

#[test]
fn same_name_other_guid() {
    let scene = Scene::new(1 << 20);
    let mut other = scene.fleet.machine("other", &["pond"]);
    other.create("pond/data", Tree { seed: 2, bytes: 1 << 20 }, "one");
    other.start_agent("datacenter-02", &[]);
    other.wait_registered();
    let place = r"datacenter-02\other\pond";
    until("the other data to be known", || {
        scene.fleet.show(&["data"]).stdout.contains(place).then_some(())
    });

    let ran = scene.receiver.cli(&DOWNLOAD).expect(4).says("2 different datasets of this name");
    ran.says(SENDER).says(place);
    scene.receiver.cli(&[&DOWNLOAD[..], &["--from", SENDER]].concat()).ok();
    scene.assert_arrived("tank/data@one", "home/data@one");

    // The same label, too, and still nothing of the one goes into the other.
    let before = scene.receiver.properties();
    let ran = scene.receiver.cli(&[&DOWNLOAD[..], &["--from", place]].concat()).expect(6);
    let guids = [&scene.receiver, &other].map(|machine| {
        let pool = if machine.has("home/data@one") { "home" } else { "pond" };
        machine.get(&format!("{pool}/data@one"), "guid")
    });
    let ran = ran.says("no snapshot in common with the source");
    ran.says(&format!("GUID {}", guids[0])).says("zfs rename");
    scene.receiver.properties().assert_only_new(&before, &[]);
}

#[test]
fn no_choice_of_destination_path() {
    let scene = Scene::new(1 << 20);
    let pool = scene.receiver.properties();
    scene.receiver.cli(&["download", "data", "--to", "home/here/it is"]).ok();
    scene.assert_arrived("tank/data@one", "home/here/it is@one");
    scene.receiver.cli(&["copy", "data", r"datacenter-02\receiver\home\there\2024"]).ok();
    scene.assert_arrived("tank/data@one", "home/there/2024@one");
    scene.receiver.cli(&["download", "data", "--to", "home"]).ok();
    scene.assert_arrived("tank/data@one", "home/data@one");
    let mut new = vec!["home/here".to_owned(), "home/there".to_owned()];
    for target in ["home/here/it is", "home/there/2024", "home/data"] {
        new.extend([target.to_owned(), format!("{target}@one")]);
    }
    // And nowhere else.
    let new: Vec<&str> = new.iter().map(String::as_str).collect();
    let names = scene.receiver.properties();
    let names: Vec<&str> = names.names().into_iter().filter(|name| !name.contains('#')).collect();
    assert_eq!(names.len(), pool.names().len() + new.len(), "{names:?}");
    assert!(new.iter().all(|name| names.contains(name)), "{names:?}");
}

#[test]
fn receives_mounting_over_live_paths() {
    let scene = Scene::new(1 << 20);
    let live = scene.receiver.path("live");
    fs::create_dir(&live).unwrap();
    fs::write(live.join("precious"), "precious").unwrap();
    scene.sender.zfs(&["create", "tank/data/below"]);
    scene.sender.zfs(&["snapshot", "tank/data/below@one"]);
    scene.wait_until_known("data/below", "one");
    if is_real() {
        // Where it is mounted at the sender. Machines share the lab's folders.
        scene.sender.zfs(&["unmount", "tank/data/below"]);
        scene.sender.zfs(&["set", "canmount=noauto", "tank/data/below"]);
    }
    scene.sender.zfs(&["set", &format!("mountpoint={}", live.display()), "tank/data/below"]);

    let to_home = ["download", "data", "--to", "home", "-r", "--props", "local"];
    scene.receiver.cli(&to_home).ok();
    scene.receiver.cli(&["copy", "data/below", r"datacenter-02\receiver\home\a\b"]).ok();
    if is_real() {
        // As at the next boot.
        scene.receiver.zfs(&["mount", "-a"]);
    }
    for target in ["home/data", "home/data/below", "home/a/b"] {
        assert_eq!(scene.receiver.get(target, "canmount"), "noauto", "{target}");
        assert_eq!(scene.receiver.get(target, "mounted"), "no", "{target}");
        assert_ne!(scene.receiver.get(target, "mountpoint"), live.to_str().unwrap(), "{target}");
    }
    assert_eq!(scene.receiver.get("home/a", "canmount"), "off");
    assert_eq!(fs::read_to_string(live.join("precious")).unwrap(), "precious");
}

/// ZFS skips what the user may not set, and succeeds.
#[test]
fn properties_that_are_not_set_in_silence() {
    let scene = Scene::new(1 << 20);
    fs::write(scene.receiver.path("powerless"), "").unwrap();
    for arguments in [&DOWNLOAD[..], &COPY] {
        let ran = scene.receiver.cli(arguments).ok();
        let ran = ran.says("canmount could not be set, so home/data may be mounted at the next");
        ran.says("the property zatlas:transfer could not be set on home/data");
        assert_ne!(scene.receiver.get("home/data", "canmount"), "noauto");
        scene.assert_arrived("tank/data@one", "home/data@one");
        scene.receiver.zfs(&["destroy", "-r", "home/data"]);
    }
}

#[test]
fn a_full_pool_or_quota() {
    let scene = Scene::new(8 << 20);
    let used: u64 = scene.receiver.get("home", "used").parse().unwrap();
    let little = format!("quota={}", used + (3 << 20));
    scene.receiver.zfs(&["set", &little, "home"]);
    let before = scene.receiver.properties();
    for arguments in [&DOWNLOAD[..], &COPY] {
        // Before the first byte, where the size is known.
        let ran = scene.receiver.cli(arguments).expect(6);
        assert!(ran.stderr.contains("quota"), "{ran:#?}");
        scene.receiver.properties().assert_only_new(&before, &[]);
    }
    // At once when it is hit, in ZFS's words, where it isn't; what has arrived stays.
    fs::write(scene.sender.path("tiny"), "").unwrap();
    for arguments in [&DOWNLOAD[..], &COPY] {
        let ran = scene.receiver.cli(arguments).expect(6).says("space quota exceeded");
        assert!(ran.stderr.lines().last().unwrap().contains("run the command again"), "{ran:#?}");
        scene.receiver.zfs(&["set", "quota=none", "home"]);
        let ran = scene.receiver.cli(&[arguments, &["--json"]].concat()).ok();
        let steps = document(&ran)["steps"].clone();
        assert!(steps.as_array().unwrap().iter().any(is_resume), "{steps:#}");
        scene.assert_arrived("tank/data@one", "home/data@one");
        scene.receiver.zfs(&["destroy", "-r", "home/data"]);
        scene.receiver.zfs(&["set", &little, "home"]);
    }
}

fn is_resume(step: &Value) -> bool {
    step["action"] == "resume"
}
