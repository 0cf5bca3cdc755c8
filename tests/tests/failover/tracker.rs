//! The tracker in mid-transfer: a stream needs it for nothing, and a failover needs one that is back.

use tests::until;

use crate::scene::{Scene, Summary, TARGET, Way};

#[test]
fn a_transfer_ends_without_the_tracker() {
    for way in [Way::Download, Way::Copy] {
        let mut scene = Scene::with_little_data(1);
        let contents = scene.contents("s");
        scene.sources[0].hold_after(6 << 20);
        let cli = scene.begin(way, &[]);
        scene.sources[0].wait_until_holding();
        scene.fleet.tracker().kill();
        scene.sources[0].release();
        match way {
            Way::Download => drop(Summary::of(cli.finish())),
            Way::Copy => {
                until("the snapshot", || scene.receiver.has(&format!("{TARGET}@s")).then_some(()));
                // The last that it does; nobody is there to be told.
                let source = &scene.sources[0].machine;
                until("the end of holds", || source.properties().held().is_empty().then_some(()));
                scene.wait_for_silence();
            }
        }
        scene.assert_arrived("s", &contents);
    }
}

#[test]
fn failover_works_after_the_tracker_was_killed_and_started_again() {
    for way in [Way::Download, Way::Copy] {
        let mut scene = Scene::with_little_data(2);
        let contents = scene.contents("s");
        scene.sources[0].hold_after(6 << 20);
        let cli = scene.begin(way, &[]);
        scene.sources[0].wait_until_holding();
        scene.fleet.tracker().kill();
        scene.fleet.start_tracker();
        scene.wait_for(&scene.sources[1], "online");
        scene.sources[0].kill();
        let summary = Summary::of(cli.finish());
        assert_eq!(summary.places(), [scene.sources[0].place(), scene.sources[1].place()]);
        scene.assert_arrived("s", &contents);
    }
}
