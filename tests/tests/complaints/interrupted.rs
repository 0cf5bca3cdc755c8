//! What a transfer leaves that was cut can be found, gone on with, or thrown away.

use std::fs;

use crate::scene::{COPY, DOWNLOAD, SENDER, Scene, document};
use tests::until;

#[test]
fn a_resume_token_whose_snapshot_is_gone_blocks_for_ever() {
    let scene = Scene::new(4 << 20);
    for arguments in [&DOWNLOAD[..], &COPY] {
        scene.interrupt(arguments);
        let held = scene.sender.zfs(&["holds", "-H", "tank/data@one"]);
        let tag = held.split('\t').nth(1).unwrap();
        scene.receiver.cli(&["holds", "--release", tag]).ok();
        scene.advance("data", "two");
        scene.sender.zfs(&["destroy", "tank/data@one"]);
        until("the tracker to know that it is gone", || {
            let ran = scene.receiver.cli(&[arguments, &["--dry-run"]].concat());
            ran.stderr.contains("no machine, online or off, has that snapshot").then_some(())
        });

        let ran = scene.receiver.cli(arguments).expect(6);
        let ran = ran.says("an interrupted receive of 'tank/data@one'").says("is there");
        assert!(ran.stderr.lines().last().unwrap().contains("--restart"), "{ran:#?}");
        scene.receiver.cli(&[arguments, &["--restart"]].concat()).ok();
        scene.assert_arrived("tank/data@two", "home/data@two");

        scene.receiver.zfs(&["destroy", "-r", "home/data"]);
        scene.sender.zfs(&["rename", "tank/data@two", "tank/data@one"]);
        scene.wait_until_known("data", "one");
    }
}

#[test]
fn no_bookmark_for_later_increments() {
    let scene = Scene::new(1 << 20);
    let (broken, bookmark) =
        (scene.sender.path("broken"), scene.sender.bookmark_of("tank/data@one"));
    for arguments in [&DOWNLOAD[..], &COPY] {
        fs::write(&broken, "bookmark tank/data@one").unwrap();
        scene.receiver.cli(arguments).ok().says("can't bookmark one: cannot bookmark");
        assert!(!scene.sender.has(&bookmark));
        fs::remove_file(&broken).unwrap();
        // The next run, which has nothing else to do, makes up for it.
        scene.receiver.cli(arguments).ok().says("nothing to do");
        assert!(scene.sender.has(&bookmark), "{bookmark}");
        scene.assert_arrived("tank/data@one", "home/data@one");
        scene.receiver.zfs(&["destroy", "-r", "home/data"]);
        scene.sender.zfs(&["destroy", &bookmark]);
    }
}

#[test]
fn stale_holds_that_nobody_can_find() {
    let mut scene = Scene::new(4 << 20);
    scene.interrupt(&COPY);
    // What may come back for its snapshot keeps it, over restarts too, and says so.
    scene.sender.agent().kill();
    scene.sender.start_agent("datacenter-01", &[]);
    scene.sender.wait_registered();
    let listed = document(&scene.receiver.cli(&["holds", "--json"]).ok());
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");
    for (key, value) in [("place", SENDER), ("snapshot", "tank/data@one")] {
        assert_eq!(listed[0][key], value, "{listed:#}");
    }
    let destination = listed[0]["destination"].as_str().unwrap();
    assert!(destination.contains("home/data") || destination.contains(r"home\data"), "{listed:#}");
    let tag = listed[0]["tag"].as_str().unwrap();
    let held = scene.sender.try_zfs(&["destroy", "tank/data@one"]);
    assert!(held.status == 1 && held.stderr.contains("held"), "{held:#?}");

    scene.receiver.cli(&["holds", "--release", tag]).ok();
    assert!(scene.sender.properties().held().is_empty());
    scene.receiver.cli(&["holds", "--release", tag]).expect(3);

    // What has come to its end has let go by itself.
    scene.receiver.cli(&COPY).ok();
    scene.assert_arrived("tank/data@one", "home/data@one");
    assert_eq!(document(&scene.receiver.cli(&["holds", "--json"]).ok()), serde_json::json!([]));
}
