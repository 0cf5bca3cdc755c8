//! Who doesn't send is noticed; who is slow, or busy, is left alone.

use std::time::{Duration, Instant};

use crate::scene::{COPY, DOWNLOAD, Scene, document, stall};
use tests::until;

#[test]
fn replication_stuck_with_no_watchdog() {
    let scene = Scene::new(4 << 20);
    let stall = stall();
    for arguments in [&DOWNLOAD[..], &COPY] {
        let stalled = format!("{stall}s");
        let arguments = [arguments, &["--json", "--stall", &stalled]].concat();
        let cli = scene.begin(&scene.sender, "send", &arguments);
        // Nobody lets the stream go on: it is left for another one, from the same source.
        let ran = cli.finish().ok().says(&format!("the source has sent nothing for {stall} s"));
        scene.release(&scene.sender);
        scene.wait_for_silence();
        let told = document(&ran);
        assert_eq!(told["retries"], 1, "{told:#}");
        assert_eq!(told["sources"].as_array().unwrap().len(), 1, "{told:#}");
        scene.assert_arrived("tank/data@one", "home/data@one");
        scene.receiver.zfs(&["destroy", "-r", "home/data"]);
    }
}

#[test]
fn a_watchdog_that_kills_healthy_transfers() {
    let stall = stall();
    let scene = Scene::new(16 << 20);
    // The receiving `zfs` is busy, and takes nothing for longer than a source may send nothing.
    let flags = ["--json", "--progress", "json", "--stall", &format!("{stall}s")];
    let arguments = [&DOWNLOAD[..], &flags].concat();
    let mut cli = scene.begin(&scene.receiver, "receive", &arguments);
    let told = |log: &str| u32::try_from(log.matches(r#""event":"progress""#).count()).unwrap();
    let before = told(&cli.log());
    until("progress that is told each second, for three times as long", || {
        assert!(cli.is_running(), "{}", cli.log());
        (told(&cli.log()) > before + 3 * stall).then_some(())
    });
    scene.release(&scene.receiver);
    let told = document(&cli.finish().ok());
    assert_eq!(told["retries"], 0, "{told:#}");
    assert!(told["seconds"].as_f64().unwrap() > f64::from(stall));
    scene.assert_arrived("tank/data@one", "home/data@one");
}

#[test]
fn a_watchdog_that_kills_a_receive_that_commits() {
    let stall = stall();
    let scene = Scene::new(4 << 20);
    for arguments in [&DOWNLOAD[..], &COPY] {
        // It has been given everything, and takes longer over it than a source may send nothing.
        let flags = ["--json", "--progress", "json", "--stall", &format!("{stall}s")];
        let arguments = [arguments, &flags].concat();
        let mut cli = scene.begin(&scene.receiver, "commit", &arguments);
        let begun = Instant::now();
        until("three times as long", || {
            assert!(cli.is_running(), "{}", cli.log());
            (begun.elapsed() > 3 * Duration::from_secs(stall.into())).then_some(())
        });
        scene.release(&scene.receiver);
        let told = document(&cli.finish().ok());
        assert_eq!(told["retries"], 0, "{told:#}");
        scene.assert_arrived("tank/data@one", "home/data@one");
        scene.receiver.zfs(&["destroy", "-r", "home/data"]);
    }
}
