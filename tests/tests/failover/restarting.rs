//! A stream with large blocks whose receiver was started anew: nobody knows any more how what has
//! arrived was cut into blocks, so only who sent it goes on. zfs-sim has no large blocks; it only
//! says that there may be some, where the record size is large.

use tests::{Process, Tree, is_real};

use crate::large_blocks;
use crate::scene::{LITTLE, Scene, Summary, TARGET, Way};

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

/// Who sends is written down anew where another goes on, of an increment too.
#[test]
fn an_increment_goes_on_with_who_sent_it_last() {
    let mut scene = Scene::new(2);
    let little = Tree { seed: 3, bytes: 1 << 20 };
    large_blocks::create(&scene.sources[0].machine, "pool-source-1/data", little, "base");
    scene.more("s", LITTLE);
    scene.replicate(0, "-L -c", "base", 1, "-o recordsize=1M");
    scene.replicate(0, "-L -c -i @base", "s", 1, "");
    scene.start();
    scene.bring_base();
    let contents = scene.contents("s");
    for source in &scene.sources {
        source.hold_after(4 << 20);
    }
    let mut cli = scene.begin(Way::Download, &[]);
    scene.sources[0].wait_until_holding();
    scene.sources[0].kill();
    scene.sources[1].wait_until_holding();
    cli.kill();
    scene.wait_for_silence();
    let guid = |of: &str| scene.sources[1].machine.get(of, "guid");
    let sender = [&scene.sources[1].dataset, &scene.sources[1].snapshot("s")].map(|of| guid(of));
    assert_eq!(scene.receiver.get(TARGET, "zatlas:sender"), sender.join("@"));

    scene.sources[1].kill();
    scene.sources[0].release();
    scene.start_source(0);
    scene.wait_for(&scene.sources[1], "offline");
    let sends = scene.sources[0].sends();
    let ran = scene.begin(Way::Download, &[]).finish().expect(6);
    ran.says("only the source that sent it may go on with it");
    assert_eq!(scene.sources[0].sends(), sends, "another went on");
    scene.sources[1].release();
    scene.start_source(1);
    let summary = Summary::of(scene.begin(Way::Download, &[]).finish());
    assert_eq!(summary.places(), [scene.sources[1].place()]);
    scene.assert_arrived("s", &contents);
}
