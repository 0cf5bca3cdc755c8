//! An encrypted dataset is sent as it is on disk: whoever receives it learns nothing. zfs-sim knows
//! no encryption.

use std::fs;

use tests::Machine;

use crate::{RECEIVER, Three, assert_arrived, little};

/// Where the sender's key is.
fn key_location(sender: &Machine) -> String {
    format!("file://{}", sender.path("key").display())
}

/// Creates the dataset at the sender.
pub(crate) fn create(sender: &Machine) {
    fs::write(sender.path("key"), [7; 32]).unwrap();
    let at = format!("keylocation={}", key_location(sender));
    let options = ["-o", "encryption=on", "-o", "keyformat=raw", "-o", &at];
    sender.zfs(&[&["create"], &options[..], &["tank-01/secret"]].concat());
    sender.with_files("tank-01/secret", |folder| little(7).write(folder));
    sender.zfs(&["snapshot", "tank-01/secret@one"]);
}

/// Downloads and copies it.
pub(crate) fn arrives_encrypted_and_its_key_does_not(all: &Three) {
    let before = all.sender.properties();
    all.laptop
        .cli(&["download", "secret", "--to", "home"])
        .ok()
        .says("encrypted as it is")
        .says("zfs load-key 'home/secret' && zfs mount 'home/secret'");
    all.laptop.cli(&["copy", "secret", RECEIVER, "--from", crate::SENDER]).ok();
    let bookmark = all.sender.bookmark_of("tank-01/secret@one");
    all.sender.properties().assert_only_new(&before, &[&bookmark]);

    for (machine, target) in [(&all.laptop, "home/secret"), (&all.receiver, "tank-02/secret")] {
        assert_eq!(machine.get(target, "encryption"), "aes-256-gcm");
        assert_eq!(machine.get(target, "keystatus"), "unavailable");
        // Only with the key can be seen that it is what was sent.
        machine.zfs(&["load-key", "-L", &key_location(&all.sender), target]);
        assert_arrived(&all.sender, "tank-01/secret", machine, target, "one");
    }
}
