//! Filesystems and volumes, large and small, of all legal names.

use std::time::Instant;

use tests::{Fleet, Tree, is_real};

use crate::{RECEIVER, Three, assert_arrived, encrypted, little, three_machines};

/// Downloads a dataset to the laptop and copies it to the receiver.
fn there_and_there(all: &Three, dataset: &str, snapshot: &str, also_new: &[&str]) {
    let source = format!("tank-01/{dataset}");
    let sender = all.sender.properties();
    let (laptop, receiver) = (all.laptop.properties(), all.receiver.properties());
    let new_in = |pool: &str| {
        let mut new: Vec<String> = also_new.iter().map(|path| format!("{pool}/{path}")).collect();
        new.push(format!("{pool}/{dataset}"));
        new.push(format!("{pool}/{dataset}@{snapshot}"));
        new
    };

    let started = Instant::now();
    let ran = all.laptop.cli(&["download", dataset, "--to", "home"]).ok();
    eprintln!("measured: download of {dataset}: {:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(ran.stdout, "", "a download prints nothing on standard output");
    let new = new_in("home");
    let new: Vec<&str> = new.iter().map(String::as_str).collect();
    all.laptop.properties().assert_only_new(&laptop, &new);
    let at_laptop = format!("home/{dataset}");
    assert_arrived(&all.sender, &source, &all.laptop, &at_laptop, snapshot);
    assert_eq!(all.laptop.get(&at_laptop, "readonly"), "off", "a download is its user's");

    let started = Instant::now();
    let ran = all.laptop.cli(&["copy", dataset, RECEIVER]).ok();
    eprintln!("measured: copy of {dataset}: {:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(ran.stdout, "", "a copy prints nothing on standard output");
    let new = new_in("tank-02");
    let new: Vec<&str> = new.iter().map(String::as_str).collect();
    all.receiver.properties().assert_only_new(&receiver, &new);
    let at_receiver = format!("tank-02/{dataset}");
    assert_arrived(&all.sender, &source, &all.receiver, &at_receiver, snapshot);
    assert_eq!(all.receiver.get(&at_receiver, "readonly"), "on", "a copy stays one");

    // That increments survive what is pruned there; nothing is held any more.
    let bookmark = all.sender.bookmark_of(&format!("{source}@{snapshot}"));
    all.sender.properties().assert_only_new(&sender, &[&bookmark]);
    assert_eq!(all.sender.strays().len() + all.receiver.strays().len(), 0);
}

#[test]
fn filesystems_and_volumes_of_all_names_arrive_whole() {
    let all = three_machines(Fleet::start(), |sender| {
        sender.create("tank-01/dataset-01", Tree { seed: 64, bytes: 64 << 20 }, "one");
        sender.create_volume("tank-01/volume", Tree { seed: 2, bytes: 8 << 20 }, "one");
        sender.create("tank-01/a/b", little(3), "one");
        sender.create("tank-01/2024-data", little(4), "one");
        sender.create("tank-01/.cache", little(5), "one");
        sender.create("tank-01/two words", little(6), "the first");
        if is_real() {
            encrypted::create(sender);
        }
    });
    there_and_there(&all, "dataset-01", "one", &[]);
    there_and_there(&all, "volume", "one", &[]);
    // The parent that is missing is made, in such a way that it hides nothing.
    there_and_there(&all, "a/b", "one", &["a"]);
    for (machine, parent) in [(&all.laptop, "home/a"), (&all.receiver, "tank-02/a")] {
        assert_eq!(machine.get(parent, "canmount"), "off");
        assert_eq!(machine.get(parent, "mounted"), "no");
    }
    there_and_there(&all, "2024-data", "one", &[]);
    there_and_there(&all, ".cache", "one", &[]);
    there_and_there(&all, "two words", "the first", &[]);
    if is_real() {
        encrypted::arrives_encrypted_and_its_key_does_not(&all);
    }
}
