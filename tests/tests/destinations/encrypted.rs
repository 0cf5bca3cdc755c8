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
    let encryption = |way, to| scene.machine(way).get(&scene.target(way, to), "encryption");
    for (way, ran) in scene.both(|way| scene.arguments_to(way, "secret", "raw", &[])) {
        ran.ok().says("encrypted as it is");
        assert_eq!(encryption(way, "raw"), "aes-256-gcm");
    }
    let in_the_clear = |way| scene.arguments_to(way, "secret", "plain", &["--decrypt"]);
    for (way, ran) in scene.both(in_the_clear) {
        ran.ok().says("warning: it is encrypted at").says("DECRYPTED");
        assert_eq!(encryption(way, "plain"), "off");
    }
    scene.advance("secret", "two");
    let mixing = "what is there was received plain, and the source is encrypted";
    for (_, ran) in
        scene.both_refused(|way| scene.arguments_to(way, "secret", "plain", &[]), mixing)
    {
        assert!(ran.stderr.contains("--decrypt"), "{}", ran.stderr);
    }
    for (way, ran) in scene.both(in_the_clear) {
        ran.ok().says("DECRYPTED");
        scene.assert_arrived_as(way, "secret", "plain", "two");
    }
    // What was received raw goes on raw, whatever is said.
    for (_, ran) in scene.both(|way| scene.arguments_to(way, "secret", "raw", &["--decrypt"])) {
        let ran = ran.ok().says("encrypted as it is");
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
    let arguments = |way| scene.arguments_to(way, "open", "vault/open", &["--adopt"]);
    let unknown = "nothing tells whether it was received raw or plain";
    for (way, ran) in scene.both_refused(arguments, unknown) {
        let target = scene.target(way, "vault/open");
        ran.says(&format!("If plain, say so: zfs set zatlas:stream=plain '{target}'"));
        scene.machine(way).zfs(&["set", "zatlas:stream=plain", &target]);
    }
    for (way, ran) in scene.both(arguments) {
        ran.ok();
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
