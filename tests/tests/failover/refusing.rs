//! A replica that can't go on with what was begun is passed over, before a byte of it is fed, and
//! the next is tried; where there is no other, the original is waited for.

use sturdyref::capfile;
use tests::Tree;
use tests::liar::{Claim, Liar, Step, Tale};

use crate::scene::{LITTLE, Scene, Summary, Way};

/// An increment at the first; the second has its snapshot without the base.
fn without_base(replicas: usize) -> Scene {
    let scene = Scene::new(replicas);
    let tree = Tree { seed: 8, bytes: 1 << 20 };
    scene.sources[0].machine.create("pool-source-1/data", tree, "base");
    scene.more("s", LITTLE);
    scene.replicate(0, "-L -c", "s", 1, "");
    scene
}

#[test]
fn a_replica_that_lacks_the_base_is_passed_over() {
    let mut scene = without_base(3);
    scene.replicate(0, "-L -c", "base", 2, "");
    scene.replicate(0, "-L -c -i @base", "s", 2, "");
    scene.start();
    scene.bring_base();
    let contents = scene.contents("s");
    scene.sources[0].hold_after(6 << 20);
    let cli = scene.begin(Way::Copy, &[]);
    scene.sources[0].wait_until_holding();
    scene.sources[0].kill();
    let summary = Summary::of(cli.finish());
    scene.assert_arrived("s", &contents);
    assert_eq!(summary.places(), [scene.sources[0].place(), scene.sources[2].place()]);
    assert_eq!(scene.sources[1].sends(), 0);
}

#[test]
fn where_only_one_without_the_base_is_left_the_original_is_waited_for() {
    let mut scene = without_base(2);
    scene.start();
    scene.bring_base();
    let contents = scene.contents("s");
    scene.sources[0].hold_after(6 << 20);
    let mut cli = scene.begin(Way::Download, &[]);
    scene.sources[0].wait_until_holding();
    scene.sources[0].kill();
    cli.wait_for_line(&format!("waiting for what is offline: {}", scene.sources[0].place()));
    cli.wait_for_line("it goes on by itself when it can");
    scene.sources[0].release();
    scene.start_source(0);
    let summary = Summary::of(cli.finish());
    scene.assert_arrived("s", &contents);
    let original = scene.sources[0].place();
    assert!(summary.places().iter().all(|place| *place == original), "{:?}", summary.sources());
    assert_eq!(scene.sources[1].sends(), 0);
}

/// Each is asked to go on with what the first has begun.
#[test]
fn a_liar_that_goes_on_with_another_snapshot_is_refused() {
    let mut scene = Scene::with_little_data(2);
    let contents = scene.contents("s");
    let second = &scene.sources[1].machine;
    second.create("pool-source-2/other", Tree { seed: 9, bytes: 8 << 20 }, "s");
    let other = second.get("pool-source-2/other@s", "guid");
    let stream = crate::source::resumed_stream(second, "", "pool-source-2/other@s", None);
    let first = &scene.sources[0];
    let guid = first.machine.get(&first.snapshot("s"), "guid");
    let claim = Claim::of("source-1b", "tank", "data").snapshot("s", guid.parse().unwrap());
    let capability = capfile::read(scene.fleet.cap("datacenter-01")).unwrap();
    let liar = Liar::register(&capability, claim);
    liar.tell(Tale::of([Step::Write(stream), Step::End]));
    for way in [Way::Download, Way::Copy] {
        let before = scene.receives();
        scene.sources[0].hold_after(6 << 20);
        let cli = scene.begin(way, &[]);
        scene.sources[0].wait_until_holding();
        scene.sources[0].kill();
        let summary = Summary::of(cli.finish());
        scene.assert_arrived("s", &contents);
        let sources = summary.sources();
        let places = [
            scene.sources[0].place(),
            r"datacenter-01\source-1b\tank".into(),
            scene.sources[1].place(),
        ];
        assert_eq!(summary.places(), places);
        let of_other = format!("it is of a snapshot with the GUID {other}, not {guid}");
        assert!(sources[1].1 == 0 && sources[1].2.unwrap().contains(&of_other), "{sources:?}");
        assert_eq!(scene.receives() - before, 2, "zfs receive was started for the liar's stream");
        scene.receiver.zfs(&["destroy", "-r", crate::scene::TARGET]);
        scene.sources[0].release();
        scene.start_source(0);
    }
}
