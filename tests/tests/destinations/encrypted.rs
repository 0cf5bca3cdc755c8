//! Encrypted data is raw, or in the clear where its user says so, and stays what it is. zfs-sim
//! knows no encryption.

use std::fs;

use tests::{Machine, is_real};

use crate::scene::{BOTH, Scene, Way};

fn create_encrypted(machine: &Machine, dataset: &str) {
    let key = machine.path("key");
    fs::write(&key, [7; 32]).unwrap();
    let at = format!("keylocation=file://{}", key.display());
    let options = ["-o", "encryption=on", "-o", "keyformat=raw", "-o", &at];
    machine.zfs(&[&["create"], &options[..], &[dataset]].concat());
}

#[test]
fn raw_and_plain_are_never_mixed() {
    if !is_real() {
        return;
    }
    let scene = Scene::new();
    create_encrypted(&scene.sender, "tank-01/secret");
    scene.sender.zfs(&["snapshot", "tank-01/secret@one"]);
    scene.wait_until_known("secret", "one");
    for way in BOTH {
        let encryption = |to| scene.machine(way).get(&scene.target(way, to), "encryption");
        let ran = scene.run(&scene.arguments_to(way, "secret", "raw", &[])).ok();
        ran.says("encrypted as it is");
        assert_eq!(encryption("raw"), "aes-256-gcm");
        let decrypted = scene.arguments_to(way, "secret", "plain", &["--decrypt"]);
        scene.run(&decrypted).ok().says("warning: it is encrypted at").says("DECRYPTED");
        assert_eq!(encryption("plain"), "off");
    }
    scene.advance("secret", "two");
    for way in BOTH {
        let into_plain = |more: &[&str]| scene.arguments_to(way, "secret", "plain", more);
        let mixing = "what is there was received plain, and the source is encrypted";
        let ran = scene.refused(&into_plain(&[]), &[mixing]);
        assert!(ran.stderr.contains("--decrypt"), "{}", ran.stderr);
        scene.run(&into_plain(&["--decrypt"])).ok().says("DECRYPTED");
        scene.assert_arrived_as(way, "secret", "plain", "two");
        // What was received raw goes on raw, whatever is said.
        let into_raw = scene.arguments_to(way, "secret", "raw", &["--decrypt"]);
        let ran = scene.run(&into_raw).ok().says("encrypted as it is");
        assert!(!ran.stderr.contains("DECRYPTED"), "{}", ran.stderr);
    }
    an_encrypted_lineage_of_which_nothing_is_known_is_refused(&scene);
}

/// Made by another tool, below an encrypted parent: raw and plain look the same.
fn an_encrypted_lineage_of_which_nothing_is_known_is_refused(scene: &Scene) {
    scene.create("open", "one");
    for way in BOTH {
        create_encrypted(scene.machine(way), &scene.target(way, "vault"));
        let target = scene.target(way, "vault/open");
        scene.send_by_hand("open@one", way, &target, "-u");
    }
    scene.advance("open", "two");
    for way in BOTH {
        let target = scene.target(way, "vault/open");
        let arguments = scene.arguments_to(way, "open", "vault/open", &["--adopt"]);
        let unknown = "nothing tells whether it was received raw or plain";
        let remedy = format!("If plain, say so: zfs set zatlas:stream=plain '{target}'");
        scene.refused(&arguments, &[unknown, &remedy]);
        scene.machine(way).zfs(&["set", "zatlas:stream=plain", &target]);
        scene.run(&arguments).ok();
        scene.assert_arrived_as(way, "open", "vault/open", "two");
    }
    raw_data_of_another_tool_goes_on_raw(scene);
}

fn raw_data_of_another_tool_goes_on_raw(scene: &Scene) {
    let file = scene.sender.path("raw");
    let file = file.display();
    scene.sender.shell(&format!(r#""$ZFS" send -w tank-01/secret@one >'{file}'"#)).ok();
    scene.laptop.shell(&format!(r#""$ZFS" receive -u home/adopted <'{file}'"#)).ok();
    let arguments = scene.arguments_to(Way::Download, "secret", "adopted", &["--adopt"]);
    scene.run(&arguments).ok().says("encrypted as it is");
    let guid = scene.sender.get("tank-01/secret@two", "guid");
    assert_eq!(scene.laptop.get("home/adopted@two", "guid"), guid);
}
