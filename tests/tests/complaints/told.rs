//! What people are told: how far it is, and what went wrong.

use std::fs;

use tests::Machine;

use crate::scene::{COPY, DOWNLOAD, Scene, stall};
use crate::terminal;

#[test]
fn progress_that_never_reaches_100_percent() {
    let scene = Scene::new(2 << 20);
    scene.advance("data", "two");
    scene.advance("data", "three");
    fs::write(scene.sender.path("hold"), "send").unwrap();
    // A guess that is far off, a source that stalls and several steps, all in one.
    fs::write(scene.sender.path("tiny"), "").unwrap();
    let stall = format!("{}s", stall());
    let arguments = [&DOWNLOAD[..], &["--all-snapshots", "--stall", &stall]].concat();
    let (status, shown) = terminal::run(scene.receiver.cli_command(&arguments));
    assert!(status.success(), "{shown}");
    scene.release(&scene.sender);
    scene.wait_for_silence();
    scene.assert_arrived("tank/data@three", "home/data@three");

    let percents = terminal::percents(&shown);
    assert_eq!(percents.last(), Some(&100), "{percents:?} in {shown}");
    assert!(percents.is_sorted(), "it goes back: {percents:?} in {shown}");
    assert!(percents.iter().all(|percent| *percent <= 100), "{percents:?}");
    assert!(percents.iter().any(|percent| *percent < 100), "{percents:?}");
}

#[test]
fn the_real_zfs_error_missing() {
    const WORDS: &str = "the moon is in the wrong phase";
    let scene = Scene::new(1 << 20);
    let breaks = |machine: &Machine, command: &str| {
        let broken = machine.path("broken");
        fs::write(&broken, command).unwrap();
        for arguments in [&DOWNLOAD[..], &COPY] {
            let ran = scene.receiver.cli(&[arguments, &["--timeout", "0s"]].concat());
            assert_eq!(ran.status, 1, "{ran:#?}");
            let told = ran.stderr.lines().find(|line| line.starts_with("cannot "));
            assert!(told.is_some_and(|line| line.contains(WORDS)), "{ran:#?}");
        }
        fs::remove_file(broken).unwrap();
        scene.wait_for_silence();
    };
    breaks(&scene.receiver, "receive -s");
    breaks(&scene.sender, &format!("send {}", first_flag(&scene)));
    scene.receiver.cli(&DOWNLOAD).ok();
    scene.assert_arrived("tank/data@one", "home/data@one");
}

/// What streams are sent with first of all.
fn first_flag(scene: &Scene) -> String {
    let cli = scene.begin(&scene.sender, "send", &COPY);
    let strays = scene.sender.strays();
    let send = strays.iter().find(|stray| stray.is("send")).expect("a send");
    let place = send.arguments.iter().position(|word| word == "send").unwrap();
    let flag = send.arguments[place + 1].clone();
    cli.signal(tests::Signal::INT);
    cli.finish().expect(130);
    scene.release(&scene.sender);
    scene.wait_for_silence();
    scene.receiver.zfs(&["receive", "-A", "home/data"]);
    flag
}
