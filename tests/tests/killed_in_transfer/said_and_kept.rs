//! Without time to go on by itself: what is said of the first failure, and what is kept for the same
//! command run again.

use std::time::{Duration, Instant};

use tests::{Ran, Signal};

use crate::{
    AT_ONCE, COPY, DOWNLOAD, Scene, children, is_wrapper, wait_until_gone, wait_until_hungry,
};

fn says_signal(ran: Ran, operation: &str) {
    let first = ran.stderr.lines().find(|line| line.starts_with("cannot ")).unwrap_or_default();
    assert!(first.starts_with(operation) && first.contains("signal: 9"), "{ran:#?}");
}

#[test]
fn killing_zfs_send_is_told_to_the_receiver() {
    for arguments in [&DOWNLOAD[..], &COPY] {
        let scene = Scene::new();
        let cli = scene.begin(&[arguments, &AT_ONCE].concat());
        scene.sending().signal(Signal::KILL);
        scene.release();
        says_signal(cli.finish().expect(1), "cannot send 'tank/data@s'");
        scene.nothing_is_left();
        scene.again(arguments);
    }
}

#[test]
fn killing_zfs_receive_is_told_to_the_user() {
    for arguments in [&DOWNLOAD[..], &COPY] {
        let scene = Scene::new();
        let cli = scene.begin(&[arguments, &AT_ONCE].concat());
        let receiving = scene.receiving();
        wait_until_hungry(&receiving);
        receiving.signal(Signal::KILL);
        scene.release();
        says_signal(cli.finish().expect(1), "cannot receive into 'home/data'");
        scene.wait_for_silence();
        scene.nothing_is_left();
        scene.again(arguments);
    }
}

#[test]
fn killing_the_sending_agent_takes_its_zfs_send_along() {
    for arguments in [&DOWNLOAD[..], &COPY] {
        let mut scene = Scene::new();
        let cli = scene.begin(&[arguments, &AT_ONCE].concat());
        let children = children(scene.sender.agent().pid());
        scene.sender.agent().kill();
        wait_until_gone(&children);
        cli.finish().expect(1).says("The connection was lost. Run the command again.");
        scene.wait_for_silence();
        scene.nothing_is_left();
        scene.release();
        scene.sender.start_agent("datacenter-01", &[]);
        scene.wait_for_both();
        scene.again(arguments);
    }
}

#[test]
fn killing_the_cli_ends_its_download() {
    let scene = Scene::new();
    scene.begin(&DOWNLOAD).kill();
    scene.wait_for_silence();
    scene.nothing_is_left();
    scene.release();
    scene.again(&DOWNLOAD);
}

#[test]
fn killing_the_cli_cancels_its_copy() {
    let scene = Scene::new();
    scene.begin(&COPY).kill();
    scene.wait_for_silence();
    scene.nothing_is_left();
    scene.release();
    scene.again(&COPY);
}

#[test]
fn ctrl_c_ends_a_download_or_copy_and_leaves_nothing() {
    for arguments in [&DOWNLOAD[..], &COPY] {
        let scene = Scene::new();
        let cli = scene.begin(&[arguments, &AT_ONCE].concat());
        let started = Instant::now();
        cli.signal(Signal::INT);
        cli.finish().expect(130).says("it was cancelled");
        let took = started.elapsed();
        eprintln!("measured: {} ended {took:.1?} after Ctrl-C in mid-transfer", arguments[0]);
        // It waited for the receiver's process, and the sender's follows.
        let receiving: Vec<_> =
            scene.receiver.strays().into_iter().filter(|stray| !is_wrapper(stray)).collect();
        assert!(receiving.is_empty(), "{receiving:?}");
        scene.wait_for_silence();
        scene.nothing_is_left();
        scene.release();
        scene.again(arguments);
    }
}

#[test]
fn an_agent_that_is_asked_to_end_stops_its_processes_within_10_s() {
    for stopped in ["sender", "receiver"] {
        let mut scene = Scene::new();
        let cli = scene.begin(&[&COPY[..], &AT_ONCE].concat());
        let started = Instant::now();
        let machine = if stopped == "sender" { &mut scene.sender } else { &mut scene.receiver };
        let status = machine.agent().stop();
        let took = started.elapsed();
        eprintln!("measured: the {stopped}'s agent ended {took:.1?} after SIGTERM in mid-transfer");
        assert_eq!(status.code(), Some(0), "{status}");
        assert!(took < Duration::from_secs(10), "{took:?}");
        let own = if stopped == "sender" { &scene.sender } else { &scene.receiver };
        let own: Vec<_> = own.strays().into_iter().filter(|stray| !is_wrapper(stray)).collect();
        assert!(own.is_empty(), "{own:?}");
        if stopped == "sender" {
            cli.finish().expect(1).says("Run the command again.");
            scene.sender.start_agent("datacenter-01", &[]);
        } else {
            let mut cli = cli;
            cli.kill();
            scene.receiver.start_agent("datacenter-02", &[]);
        }
        scene.wait_for_silence();
        scene.nothing_is_left();
        scene.release();
        scene.wait_for_both();
        scene.again(&COPY);
    }
}
