//! An encrypted dataset is sent as it is on disk: whoever receives it learns nothing.

use std::fs;

use tests::{Fleet, is_real};

use crate::{RECEIVER, assert_arrived, little, three_machines};

#[test]
fn an_encrypted_dataset_arrives_encrypted_and_its_key_does_not() {
    if !is_real() {
        // zfs-sim knows no encryption; in the lab this test does its work.
        return;
    }
    let mut location = String::new();
    let all = three_machines(Fleet::start(), |sender| {
        let key = sender.path("key");
        fs::write(&key, [7; 32]).unwrap();
        location = format!("file://{}", key.display());
        let at = format!("keylocation={location}");
        let options = ["-o", "encryption=on", "-o", "keyformat=raw", "-o", &at];
        sender.zfs(&[&["create"], &options[..], &["tank-01/secret"]].concat());
        sender.with_files("tank-01/secret", |folder| little(1).write(folder));
        sender.zfs(&["snapshot", "tank-01/secret@one"]);
    });
    let before = all.sender.properties();
    all.laptop
        .cli(&["download", "secret", "--to", "home"])
        .ok()
        .says("encrypted as it is")
        .says("zfs load-key 'home/secret' && zfs mount 'home/secret'");
    all.laptop.cli(&["copy", "secret", RECEIVER]).ok();
    all.sender.properties().assert_only_new(&before, &[]);

    for (machine, target) in [(&all.laptop, "home/secret"), (&all.receiver, "tank-02/secret")] {
        assert_eq!(machine.get(target, "encryption"), "aes-256-gcm");
        assert_eq!(machine.get(target, "keystatus"), "unavailable");
        // Only with the key can be seen that it is what was sent.
        machine.zfs(&["load-key", "-L", &location, target]);
        assert_arrived(&all.sender, "tank-01/secret", machine, target, "one");
    }
}
