//! With time to go on by itself, as it has by default: whoever is killed, the transfer ends well, and
//! no more than what was on its way is sent twice.

use tests::{Process, Signal, until};

use crate::{COPY, DOWNLOAD, Scene, WHOLE, received, wait_until_hungry};

/// The command that was begun succeeds, with little more than the whole.
#[track_caller]
fn goes_on(scene: &Scene, cli: Process) {
    let ran = cli.finish().ok();
    let bytes = received(&ran);
    assert!(bytes < WHOLE + (2 << 20), "{bytes} bytes of {WHOLE}: it began anew");
    scene.all_is_there();
}

/// Both commands, their results as documents.
fn both() -> [Vec<&'static str>; 2] {
    [&DOWNLOAD[..], &COPY].map(|arguments| [arguments, &["--json"]].concat())
}

#[test]
fn a_zfs_send_that_is_killed_is_followed_by_another() {
    for arguments in both() {
        let scene = Scene::new();
        let mut cli = scene.begin(&arguments);
        scene.sending().signal(Signal::KILL);
        scene.release();
        cli.wait_for_line("signal: 9");
        goes_on(&scene, cli);
    }
}

/// What is thrown away first is not what arrives after that.
#[test]
fn what_was_to_be_thrown_away_is_thrown_away_once() {
    for arguments in both() {
        let scene = Scene::new();
        scene.begin(&arguments).kill();
        scene.wait_for_silence();
        scene.release();
        let mut cli = scene.begin(&[&arguments[..], &["--restart"]].concat());
        scene.sending().signal(Signal::KILL);
        scene.release();
        cli.wait_for_line("signal: 9");
        goes_on(&scene, cli);
    }
}

#[test]
fn a_zfs_receive_that_is_killed_is_followed_by_another() {
    for arguments in both() {
        let scene = Scene::new();
        let cli = scene.begin(&arguments);
        let receiving = scene.receiving();
        wait_until_hungry(&receiving);
        receiving.signal(Signal::KILL);
        scene.release();
        goes_on(&scene, cli);
    }
}

#[test]
fn a_link_that_is_cut_is_dialled_again() {
    for arguments in both() {
        let mut scene = Scene::new();
        let cable = scene.sender.lay_cable();
        scene.sender.agent().stop();
        scene.sender.start_agent_behind(&cable, "datacenter-01", &[]);
        scene.wait_for_both();
        let cli = scene.begin(&arguments);
        assert!(cable.passed() > 1 << 20, "the data came another way");
        cable.cut();
        scene.wait_for_silence();
        scene.release();
        cable.mend();
        goes_on(&scene, cli);
    }
}

#[test]
fn a_sending_agent_that_comes_back_is_gone_on_with() {
    for arguments in both() {
        let mut scene = Scene::new();
        let mut cli = scene.begin(&arguments);
        scene.sender.agent().kill();
        cli.wait_for_line("it goes on by itself when it can");
        scene.wait_for_silence();
        scene.release();
        scene.sender.start_agent("datacenter-01", &[]);
        goes_on(&scene, cli);
    }
}

#[test]
fn a_copy_is_started_again_when_its_destinations_agent_comes_back() {
    for end in ["killed", "asked to end"] {
        let mut scene = Scene::new();
        let mut cli = scene.begin(&[&COPY[..], &["--json"]].concat());
        match end {
            "killed" => scene.receiver.agent().kill(),
            _ => drop(scene.receiver.agent().stop()),
        }
        scene.wait_for_silence();
        scene.nothing_is_left();
        scene.release();
        scene.receiver.start_agent("datacenter-02", &[]);
        cli.wait_for_line("the transfer is started again, and goes on with what has arrived");
        goes_on(&scene, cli);
    }
}

#[test]
fn a_tracker_that_is_killed_hurts_no_direct_transfer() {
    for arguments in both() {
        let mut scene = Scene::new();
        let cli = scene.begin(&arguments);
        scene.fleet.tracker().kill();
        scene.release();
        until("a complete snapshot while there is no tracker", || {
            scene.receiver.has("home/data@s").then_some(())
        });
        scene.fleet.start_tracker();
        goes_on(&scene, cli);
    }
}

#[test]
fn a_copy_is_found_again_over_a_restart_of_the_tracker() {
    let mut scene = Scene::new();
    let mut cli = scene.begin(&[&COPY[..], &["--json"]].concat());
    scene.fleet.tracker().kill();
    cli.wait_for_line("lost sight of the transfer");
    scene.fleet.start_tracker();
    cli.wait_for_line("the transfer is in sight again");
    scene.release();
    goes_on(&scene, cli);
}

#[test]
fn a_source_that_is_killed_after_the_tracker_was_is_gone_on_with() {
    for arguments in both() {
        let mut scene = Scene::new();
        let mut cli = scene.begin(&arguments);
        scene.fleet.tracker().kill();
        scene.fleet.start_tracker();
        scene.wait_for_both();
        scene.sender.agent().kill();
        cli.wait_for_line("it goes on by itself when it can");
        scene.release();
        scene.sender.start_agent("datacenter-01", &[]);
        goes_on(&scene, cli);
    }
}
