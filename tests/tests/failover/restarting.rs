//! A stream with large blocks whose receiver was started anew: nobody knows any more how what has
//! arrived was cut into blocks, so only who sent it goes on. zfs-sim has no large blocks.

use tests::{Process, is_real};

use crate::large_blocks;
use crate::scene::{LITTLE, Scene, Summary, Way};

/// Two replicas; the one that isn't chosen first sends until it is held back.
fn begun(way: Way) -> (Scene, Process) {
    let mut scene = Scene::new(2);
    large_blocks::create(&scene.sources[0].machine, "pool-source-1/data", LITTLE, "s");
    scene.replicate(0, "-L -c", "s", 1, "");
    scene.start();
    scene.sources[1].hold_after(6 << 20);
    let cli = scene.begin(way, &["--from", &scene.sources[1].place()]);
    scene.sources[1].wait_until_holding();
    (scene, cli)
}

#[test]
fn a_download_run_again_goes_on_with_its_sender_alone() {
    if !is_real() {
        return;
    }
    let (mut scene, mut cli) = begun(Way::Download);
    let contents = scene.contents("s");
    cli.kill();
    scene.wait_for_silence();
    scene.sources[1].release();
    scene.sources[1].hold_after(4 << 20);
    let mut cli = scene.begin(Way::Download, &[]);
    scene.sources[1].wait_until_holding();
    cli.kill();
    scene.wait_for_silence();
    assert_eq!(scene.sources[0].sends(), 0, "another went on");

    // Gone for good.
    scene.sources[1].kill();
    scene.wait_for(&scene.sources[1], "offline");
    let ran = scene.begin(Way::Download, &[]).finish().expect(6);
    let ran = ran.says("only the source that sent it may go on with it");
    ran.says("Bring that source online, or begin anew with --restart.");
    assert_eq!(scene.sources[0].sends(), 0, "another went on");
    let summary = Summary::of(scene.begin(Way::Download, &["--restart"]).finish());
    assert_eq!(summary.places(), [scene.sources[0].place()]);
    scene.assert_arrived("s", &contents);
}

#[test]
fn a_copy_goes_on_with_its_sender_alone_after_its_agent_was_killed() {
    if !is_real() {
        return;
    }
    let (mut scene, cli) = begun(Way::Copy);
    let contents = scene.contents("s");
    scene.receiver.agent().kill();
    drop(cli);
    scene.wait_for_silence();
    scene.sources[1].release();
    scene.start_receiver();
    let summary = Summary::of(scene.begin(Way::Copy, &[]).finish());
    assert_eq!(summary.places(), [scene.sources[1].place()]);
    assert_eq!(scene.sources[0].sends(), 0, "another went on");
    scene.assert_arrived("s", &contents);
}
