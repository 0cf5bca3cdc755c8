//! No faster than it may be, whoever says so; and what is slow for that reason is let be.

use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Process, until};

use crate::scene::{Scene, has_begun, summary};

const MIB: u64 = 1 << 20;
/// Of each dataset.
const BYTES: u64 = 4 * MIB;

/// So many seconds' worth go at once where nothing went before.
const AT_ONCE: f64 = 0.3;

type Begin = fn(&Scene, &str, &[&str]) -> Process;

/// It didn't come in less time than the rate allows, and in one go.
#[track_caller]
fn assert_limited(told: &Value, bytes_per_second: u64) {
    let (bytes, seconds) = (told["bytes"].as_u64().unwrap(), told["seconds"].as_f64().unwrap());
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let least = bytes as f64 / bytes_per_second as f64;
    assert!(bytes >= BYTES, "{told:#}");
    assert!(seconds >= least - AT_ONCE, "it took {seconds} s, and not {least}: {told:#}");
    assert_eq!(told["retries"], 0, "{told:#}");
}

/// One transfer, with the flags of the sender's agent, of the receiver's, and its own.
fn one_with(sends: &[&str], receives: &[&str], begin: Begin, own: &[&str]) {
    let scene = Scene::new(&["data"], BYTES, sends, receives);
    let told = summary(begin(&scene, "data", own).finish());
    assert_limited(&told, 2 * MIB);
    scene.assert_arrived("data");
}

#[test]
fn a_download_is_as_slow_as_it_is_asked_to_be() {
    one_with(&[], &[], Scene::download, &["--limit-rate", "2M"]);
}

#[test]
fn a_copy_is_as_slow_as_it_is_asked_to_be() {
    one_with(&[], &[], Scene::copy, &["--limit-rate", "2M"]);
}

#[test]
fn a_sender_sends_no_faster_than_it_may() {
    one_with(&["--limit-rate", "2M"], &[], Scene::download, &[]);
    one_with(&["--limit-rate-per-transfer", "2M"], &[], Scene::copy, &["--limit-rate", "8M"]);
}

#[test]
fn a_machine_receives_no_faster_than_it_may() {
    one_with(&[], &["--limit-rate", "2M"], Scene::copy, &[]);
    one_with(&[], &["--limit-rate-per-transfer", "2M"], Scene::copy, &[]);
}

#[test]
fn what_a_transfer_may_take_is_the_same_after_its_source_was_away() {
    let mut scene = Scene::new(&["data"], 2 * BYTES, &[], &[]);
    let mut process = scene.download("data", &["--limit-rate", "2M"]);
    scene.wait_begun(&scene.sender, "data");
    scene.sender.agent().kill();
    process.wait_for_line("it goes on by itself when it can");
    scene.sender.start_agent("datacenter-01", &[]);
    let told = summary(process.finish());
    let (bytes, seconds) = (told["bytes"].as_u64().unwrap(), told["seconds"].as_f64().unwrap());
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let least = bytes as f64 / (2 * MIB) as f64;
    // What goes at once where nothing went before does so at both its beginnings.
    assert!(seconds >= least - 2.0 * AT_ONCE, "it took {seconds} s, and not {least}: {told:#}");
    scene.assert_arrived("data");
}

/// Whatever the sources send, and however many they are.
#[test]
fn a_machine_receives_no_faster_than_it_may_from_all_together() {
    let scene = Scene::new(&["a", "b"], 2 * BYTES, &[], &["--limit-rate", "4M"]);
    let start = Instant::now();
    for process in ["a", "b"].map(|name| scene.copy(name, &[])) {
        assert_eq!(summary(process.finish())["retries"], 0);
    }
    assert!(
        start.elapsed() >= Duration::from_secs_f64(4.0 - AT_ONCE),
        "16 MiB in {:?}",
        start.elapsed()
    );
}

#[test]
fn several_datasets_of_one_command_share_what_it_may_take() {
    let scene = Scene::new(&["all/a", "all/b"], 2 * BYTES, &[], &[]);
    let flags = ["-r", "--jobs", "2", "--limit-rate", "4M"];
    let begin: [Begin; 2] = [Scene::download, Scene::copy];
    for begin in begin {
        let start = Instant::now();
        begin(&scene, "all", &flags).finish().ok();
        assert!(
            start.elapsed() >= Duration::from_secs_f64(4.0 - AT_ONCE),
            "16 MiB in {:?}",
            start.elapsed()
        );
        scene.assert_arrived("all/a");
        scene.assert_arrived("all/b");
        scene.receiver.zfs(&["destroy", "-r", "home/all"]);
    }
}

#[test]
fn those_that_share_a_limit_have_equal_parts_of_it() {
    let names = ["a", "b", "c"];
    let scene = Scene::new(&names, BYTES, &["--limit-rate", "3M"], &[]);
    for name in names {
        scene.close(&scene.sender, name);
    }
    let begun = names.map(|name| scene.download(name, &[]));
    for name in names {
        scene.wait_begun(&scene.sender, name);
    }
    let start = Instant::now();
    for name in names {
        scene.open(&scene.sender, name);
    }
    let mut running: Vec<Process> = begun.into();
    let mut ended: Vec<Duration> = Vec::new();
    until("the end of all", || {
        let before = running.len();
        running.retain_mut(Process::is_running);
        ended.extend((running.len()..before).map(|_| start.elapsed()));
        running.is_empty().then_some(())
    });
    let (first, last) = (ended[0], ended[2]);
    assert!(last >= Duration::from_secs_f64(4.0 - AT_ONCE), "12 MiB came in {last:?}");
    assert!(first.as_secs_f64() >= 0.8 * last.as_secs_f64(), "one was favoured: {ended:?}");
    for name in names {
        scene.assert_arrived(name);
    }
}

/// Each of these streams lasts for longer than a source may be silent.
#[test]
fn what_is_slow_because_it_is_told_to_be_is_not_taken_for_stalled() {
    let patience = ["--stall", "1s"];
    for (sends, receives, own) in [
        (&[][..], &[][..], &["--limit-rate", "2M"][..]),
        (&["--limit-rate", "4M"], &[], &[]),
        (&[], &["--limit-rate", "4M"], &[]),
    ] {
        let scene = Scene::new(&["a", "b"], BYTES, sends, receives);
        let both = ["a", "b"].map(|name| scene.copy(name, &[&patience[..], own].concat()));
        for process in both {
            let told = summary(process.finish());
            assert_eq!(told["retries"], 0, "{told:#}");
            assert_eq!(told["sources"].as_array().unwrap().len(), 1, "{told:#}");
        }
        assert!(has_begun(&scene.sender, "a") && has_begun(&scene.sender, "b"));
        scene.assert_arrived("a");
        scene.assert_arrived("b");
    }
}

#[test]
fn a_rate_that_is_none_is_refused() {
    let scene = Scene::new(&["data"], MIB, &[], &[]);
    for rate in ["fast", "10", "0", "10Mbit"] {
        let ran = scene.download("data", &["--limit-rate", rate]).finish().expect(2);
        ran.says("use the argument of --limit-rate");
    }
}
