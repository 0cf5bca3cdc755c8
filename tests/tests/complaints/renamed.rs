//! Names change, at either end and at any time; the data stays the same.

use serde_json::Value;
use tests::until;

use crate::scene::{COPY, DOWNLOAD, SENDER, Scene, document};

#[test]
fn renamed_datasets() {
    let scene = Scene::new(4 << 20);
    scene.receiver.cli(&COPY).ok();
    a_source_renamed_between_two_runs(&scene);
    a_destination_renamed_between_two_runs(&scene);
    a_source_renamed_in_mid_stream(&scene);
}

/// What was sent, and what it started from.
fn sent(told: &Value) -> (String, Option<String>) {
    let steps = told["steps"].as_array().unwrap();
    let [step] = &steps[..] else { panic!("{told:#}") };
    assert_eq!(step["action"], "send", "{told:#}");
    let name = |of: &Value| of["name"].as_str().map(str::to_owned);
    (name(&step["snapshot"]).unwrap(), name(&step["base"]))
}

fn a_source_renamed_between_two_runs(scene: &Scene) {
    scene.sender.zfs(&["rename", "tank/data", "tank/renamed"]);
    scene.advance("renamed", "two");
    until("the old name to be forgotten", || {
        let shown = scene.fleet.show(&["data"]).stdout;
        (!shown.contains(SENDER)).then_some(())
    });
    // Of the old name there is only what was made of it.
    let ran = scene.receiver.cli(&COPY).expect(3);
    ran.says("the only dataset of this name is the destination itself");
    let copy = ["copy", "renamed", r"datacenter-02\receiver\home\data", "--json"];
    let told = document(&scene.receiver.cli(&copy).ok());
    assert_eq!(sent(&told), ("two".to_owned(), Some("one".to_owned())));
    scene.assert_arrived("tank/renamed@two", "home/data@two");
}

fn a_destination_renamed_between_two_runs(scene: &Scene) {
    scene.receiver.zfs(&["rename", "home/data", "home/kept"]);
    scene.advance("renamed", "three");
    let download = ["download", "renamed", "--to", "home/kept", "--json"];
    let told = document(&scene.receiver.cli(&download).ok());
    assert_eq!(sent(&told), ("three".to_owned(), Some("two".to_owned())));
    scene.assert_arrived("tank/renamed@three", "home/kept@three");
}

fn a_source_renamed_in_mid_stream(scene: &Scene) {
    scene.sender.zfs(&["rename", "tank/renamed", "tank/data"]);
    scene.wait_until_known("data", "three");
    let from = ["--json", "--from", SENDER];
    let cli = scene.begin(&scene.sender, "send", &[&DOWNLOAD[..], &from].concat());
    scene.sender.zfs(&["rename", "tank/data", "tank/elsewhere"]);
    scene.release(&scene.sender);
    // The stream itself doesn't care.
    cli.finish().ok();
    scene.wait_for_silence();
    // Under the new name it is known to be there, and let go of what was held under the old one.
    scene.wait_until_known("elsewhere", "three");
    scene.receiver.cli(&["download", "elsewhere", "--to", "home/data"]).ok().says("nothing to do");
    scene.assert_arrived("tank/elsewhere@three", "home/data@three");

    // One that was cut is gone on with under the new name.
    scene.receiver.zfs(&["destroy", "-r", "home/data"]);
    scene.sender.zfs(&["rename", "tank/elsewhere", "tank/data"]);
    scene.wait_until_known("data", "three");
    scene.interrupt(&[&DOWNLOAD[..], &from].concat());
    scene.sender.zfs(&["rename", "tank/data", "tank/elsewhere"]);
    scene.wait_until_known("elsewhere", "three");
    let renamed = ["download", "elsewhere", "--to", "home/data"];
    let told = document(&scene.receiver.cli(&[&renamed[..], &from].concat()).ok());
    assert_eq!(told["steps"][0]["action"], "resume", "{told:#}");
    scene.assert_arrived("tank/elsewhere@three", "home/data@three");
}
