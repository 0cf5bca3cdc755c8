//! Who waits no longer keeps nobody waiting.

use tests::Signal;

use crate::scene::{RECEIVER, SENDER, Scene, has_begun, summary, waits};

const BYTES: u64 = 1 << 20;
const ONE: [&str; 2] = ["--max-transfers", "1"];

#[test]
fn who_gives_up_or_is_killed_leaves_the_queue() {
    for signal in [Signal::INT, Signal::KILL] {
        let scene = Scene::new(&["a", "b", "c"], BYTES, &ONE, &[]);
        scene.close(&scene.sender, "a");
        let first = scene.download("a", &[]);
        scene.wait_begun(&scene.sender, "a");
        let mut second = scene.download("b", &[]);
        second.wait_for_line(&waits(SENDER, 1));
        let mut third = scene.download("c", &[]);
        third.wait_for_line(&waits(SENDER, 2));
        second.signal(signal);
        second.wait();
        third.wait_for_line(&waits(SENDER, 1));
        scene.open(&scene.sender, "a");
        summary(first.finish());
        summary(third.finish());
        assert!(!has_begun(&scene.sender, "b"));
        assert!(!scene.receiver.has("home/b"));
        scene.assert_arrived("c");
    }
}

#[test]
fn who_is_killed_at_work_lets_the_next_one_in() {
    let scene = Scene::new(&["a", "b"], BYTES, &ONE, &[]);
    scene.close(&scene.sender, "a");
    let mut first = scene.download("a", &[]);
    scene.wait_begun(&scene.sender, "a");
    let mut second = scene.download("b", &[]);
    second.wait_for_line(&waits(SENDER, 1));
    first.kill();
    summary(second.finish());
}

#[test]
fn a_copy_that_is_cancelled_leaves_the_queue() {
    let scene = Scene::new(&["a", "b", "c"], BYTES, &[], &ONE);
    scene.close(&scene.sender, "a");
    let first = scene.copy("a", &[]);
    scene.wait_begun(&scene.sender, "a");
    let mut second = scene.copy("b", &[]);
    second.wait_for_line(&waits(RECEIVER, 1));
    let mut third = scene.copy("c", &[]);
    third.wait_for_line(&waits(RECEIVER, 2));
    second.signal(Signal::INT);
    second.finish().expect(130);
    third.wait_for_line(&waits(RECEIVER, 1));
    scene.open(&scene.sender, "a");
    summary(first.finish());
    summary(third.finish());
    assert!(!has_begun(&scene.sender, "b"));
}

/// The machine that they wait at is restarted: they line up anew, and all is done in the end.
#[test]
fn those_who_wait_outlast_the_agent_that_they_wait_at() {
    let mut scene = Scene::new(&["a", "b"], BYTES, &ONE, &[]);
    scene.close(&scene.sender, "a");
    let first = scene.download("a", &[]);
    scene.wait_begun(&scene.sender, "a");
    let mut second = scene.download("b", &[]);
    second.wait_for_line(&waits(SENDER, 1));
    scene.sender.agent().kill();
    second.wait_for_line("it goes on by itself when it can");
    scene.open(&scene.sender, "a");
    scene.sender.start_agent("datacenter-01", &ONE);
    summary(first.finish());
    summary(second.finish());
    scene.assert_arrived("a");
    scene.assert_arrived("b");
}
