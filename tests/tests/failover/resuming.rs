//! The same transfer goes on by itself: over a cut link, past a source that hangs, and after a wait
//! for the only one. A receive that is only busy is never disturbed.

use std::time::{Duration, Instant};

use tests::{Signal, Tree, is_real, until};

use crate::scene::{LITTLE, Scene, Summary, Way};
use crate::source::{at_work, calls};

const STALL: [&str; 2] = ["--stall", "2s"];
/// Bytes of a stream's DRR_BEGIN record.
const FIRST_RECORD: u64 = 312;

#[test]
fn a_cut_link_is_mended_or_another_source_goes_on() {
    for others in [0, 1] {
        let mut scene = Scene::new(1 + others);
        scene.sources[0].machine.create("pool-source-1/data", LITTLE, "s");
        if others > 0 {
            scene.replicate(0, "-L -c", "s", 1, "");
        }
        let cable = scene.sources[0].machine.lay_cable();
        let ways =
            ["--capnp-public-address", &cable.address(), "--capnp-listen-address", &cable.end()];
        scene.sources[0].flags = ways.map(str::to_owned).into();
        scene.start();
        let contents = scene.contents("s");
        cable.cut_after(6 << 20);
        let mut cli = scene.begin(Way::Copy, &[]);
        until("the cut", || cable.is_cut().then_some(()));
        if others == 0 {
            cli.wait_for_line("it goes on by itself when it can");
        }
        cable.mend();
        let summary = Summary::of(cli.finish());
        scene.assert_arrived("s", &contents);
        let last = scene.sources.last().unwrap().place();
        assert_eq!(summary.places().last(), Some(&last.as_str()), "{:?}", summary.sources());
        let twice = summary.bytes().saturating_sub(scene.sources[0].stream_size("-L -c", "s"));
        eprintln!("measured: {twice} bytes twice after a cut");
        assert!(summary.json["retries"].as_u64().unwrap() > 0 && twice < 4 << 20, "{twice}");
    }
}

/// Packets are lost without a word, as behind a dead switch.
#[test]
fn a_link_that_swallows_everything_is_given_up_for_another_source() {
    if !is_real() {
        return; // On loopback everybody reaches everybody.
    }
    let scene = Scene::with_little_data(2);
    let contents = scene.contents("s");
    scene.sources[0].hold_after(6 << 20);
    let cli = scene.begin(Way::Download, &STALL);
    scene.sources[0].wait_until_holding();
    scene.fleet.separate(&scene.sources[0].machine, &scene.receiver);
    scene.sources[0].release();
    let summary = Summary::of(cli.finish());
    assert_eq!(summary.places(), [scene.sources[0].place(), scene.sources[1].place()]);
    until("the end of all processes", || scene.at_work().is_empty().then_some(()));
    scene.assert_arrived("s", &contents);
}

#[test]
fn a_source_that_hangs_is_left_for_another() {
    let mut scene = Scene::with_little_data(2);
    let contents = scene.contents("s");
    scene.sources[0].hold_after(6 << 20);
    let cli = scene.begin(Way::Download, &STALL);
    scene.sources[0].wait_until_holding();
    scene.sources[0].machine.agent().signal(Signal::STOP);
    scene.sources[0].signal_streams(Signal::STOP);
    let summary = Summary::of(cli.finish());
    let sources = summary.sources();
    assert_eq!(summary.places(), [scene.sources[0].place(), scene.sources[1].place()]);
    assert!(sources[0].2.unwrap().contains("sent nothing for 2 s"), "{sources:?}");
    scene.sources[0].kill();
    scene.assert_arrived("s", &contents);
}

#[test]
fn a_source_that_hangs_over_the_size_of_a_stream_is_left_for_another_or_sends_without() {
    // Where the first failure is the last, there is no other.
    for (replicas, timeout, sends) in [(2, "7d", 1), (1, "7d", 0), (2, "0s", 0)] {
        let scene = Scene::with_little_data(replicas);
        let contents = scene.contents("s");
        scene.sources[0].hang_over_sizes(true);
        let patience = [&STALL[..], &["--timeout", timeout]].concat();
        let summary = Summary::of(scene.begin(Way::Download, &patience).finish());
        assert_eq!(summary.places(), [scene.sources[sends].place()]);
        scene.sources[0].hang_over_sizes(false);
        scene.assert_arrived("s", &contents);
    }
}

#[test]
fn a_source_that_hangs_over_sizes_is_asked_for_one_of_them() {
    let mut scene = Scene::new(1);
    scene.sources[0].machine.create("pool-source-1/data", LITTLE, "s1");
    for label in ["s2", "s3", "s4"] {
        scene.sources[0].machine.zfs(&["snapshot", &scene.sources[0].snapshot(label)]);
    }
    scene.start();
    scene.sources[0].hang_over_sizes(true);
    let every = [&STALL[..], &["--all-snapshots"]].concat();
    let summary = Summary::of(scene.begin(Way::Download, &every).finish());
    assert!(summary.stderr.contains("does not say how much it sends"), "{}", summary.stderr);
    let asked = calls(&scene.sources[0].machine, |call| call.starts_with("send -nvP"));
    assert_eq!((asked, scene.sources[0].sends()), (1, 4));
    scene.sources[0].hang_over_sizes(false);
}

/// As over a huge dataset in which hardly anything has changed.
#[test]
fn a_send_that_says_nothing_after_its_first_record_is_not_taken_for_a_way_of_no_use() {
    let scene = Scene::with_little_data(1);
    let contents = scene.contents("s");
    scene.sources[0].hold_after(FIRST_RECORD);
    // Longer than a way may be quiet.
    let mut cli = scene.begin(Way::Download, &["--stall", "11s"]);
    scene.sources[0].wait_until_holding();
    cli.wait_for_line("sent nothing for 11 s");
    scene.sources[0].release();
    let summary = Summary::of(cli.finish());
    let sources = summary.json["sources"].as_array().unwrap();
    assert!(sources.iter().all(|source| source["route"] == "direct"), "{}", summary.json);
    assert!(!summary.stderr.contains("hardly anything"), "{}", summary.stderr);
    scene.assert_arrived("s", &contents);
}

#[test]
fn a_receive_that_is_only_busy_is_waited_for() {
    let scene = Scene::with_little_data(2);
    let contents = scene.contents("s");
    scene.sources[0].hold_after(1 << 20);
    let mut cli = scene.begin(Way::Copy, &STALL);
    scene.sources[0].wait_until_holding();
    let receiving = || at_work(&scene.receiver).pop();
    let receive = until("a receive", receiving);
    receive.signal(Signal::STOP);
    scene.sources[0].release();
    // What is shown is that nothing happens: three stalls and more must pass.
    let stopped = Instant::now();
    until("three stalls", || (stopped.elapsed() > Duration::from_secs(7)).then_some(()));
    assert!(cli.is_running());
    assert_eq!(receiving().map(|stray| stray.pid), Some(receive.pid), "it was killed");
    receive.signal(Signal::CONT);
    let summary = Summary::of(cli.finish());
    assert_eq!(summary.places(), [scene.sources[0].place()]);
    assert_eq!(summary.json["retries"], 0);
    scene.assert_arrived("s", &contents);
}

#[test]
fn without_a_source_it_waits_and_goes_on_when_one_returns() {
    for way in [Way::Download, Way::Copy] {
        let mut scene = Scene::with_little_data(1);
        let contents = scene.contents("s");
        scene.sources[0].hold_after(6 << 20);
        let mut cli = scene.begin(way, &[]);
        scene.sources[0].wait_until_holding();
        scene.sources[0].kill();
        let place = scene.sources[0].place();
        cli.wait_for_line(&format!("waiting for what is offline: {place}"));
        scene.sources[0].release();
        scene.start_source(0);
        let summary = Summary::of(cli.finish());
        assert!(summary.places().iter().all(|from| *from == place), "{:?}", summary.sources());
        assert!(summary.json["retries"].as_u64().unwrap() > 0);
        scene.assert_arrived("s", &contents);
    }
}

#[test]
fn without_a_source_it_gives_up_after_its_time_and_goes_on_when_run_again() {
    let mut scene = Scene::new(1);
    scene.sources[0].machine.create("pool-source-1/data", Tree { bytes: 8 << 20, ..LITTLE }, "s");
    scene.start();
    let contents = scene.contents("s");
    scene.sources[0].hold_after(4 << 20);
    let cli = scene.begin(Way::Copy, &["--timeout", "2s"]);
    scene.sources[0].wait_until_holding();
    scene.sources[0].kill();
    let ran = cli.finish().expect(5);
    ran.says("nothing came for ").says("Bring one of these online");
    scene.sources[0].release();
    scene.start_source(0);
    let summary = Summary::of(scene.begin(Way::Copy, &[]).finish());
    assert_eq!(summary.json["steps"][0]["action"], "resume", "{}", summary.json);
    scene.assert_arrived("s", &contents);
}
