//! Two sources die, one after the other, and the third completes what they began.

use std::time::Instant;

use tests::{Tree, is_real, until};

use crate::scene::{LITTLE, Scene, Summary, TARGET, Way};
use crate::{encryption, large_blocks};

/// How `zfs send` is told to make the streams.
const PLAIN: &str = "-L -c";

/// Kills the source of the first third of the stream in mid-stream, and that of the second one.
fn dies_twice(scene: &mut Scene, way: Way, label: &str, whole: u64) {
    let contents = scene.contents(label);
    let share = whole * 3 / 10;
    let started = Instant::now();
    scene.sources[0].hold_after(share);
    scene.sources[1].hold_after(share);
    let cli = scene.begin(way, &[]);
    for source in &mut scene.sources[..2] {
        source.wait_until_holding();
        // A base that is left as a bookmark needs no hold.
        let mut needed = ["base", label].map(|label| source.snapshot(label)).to_vec();
        needed.retain(|snapshot| source.machine.has(snapshot));
        assert_eq!(source.machine.properties().held(), needed);
        source.kill();
    }
    let summary = Summary::of(cli.finish());
    let took = started.elapsed();
    if scene.receiver.get(TARGET, "keystatus") == "unavailable" {
        encryption::load_key(&scene.receiver, TARGET);
    }
    scene.assert_arrived(label, &contents);

    // The dead are told that they need hold nothing more, though nobody runs who asked for that.
    scene.fleet.tracker().kill();
    scene.fleet.start_tracker();
    for number in 0..2 {
        scene.sources[number].start_agent();
        let source = &scene.sources[number];
        let is_free = || source.machine.zfs(&["holds", "-H", &source.snapshot(label)]).is_empty();
        until(&format!("nothing held at {}", source.place()), || is_free().then_some(()));
    }

    let sources = summary.sources();
    let places: Vec<String> = scene.sources.iter().map(|source| source.place()).collect();
    assert_eq!(summary.places(), places);
    for (place, bytes, left) in &sources {
        assert!(*bytes > 0, "{sources:?}");
        assert_eq!(left.is_none(), *place == places[2], "{sources:?}");
        assert!(summary.stderr.contains(&format!("from {place}")), "{}", summary.stderr);
    }
    for (_, _, left) in &sources[..2] {
        let told = format!("left: {}", left.unwrap());
        assert!(summary.stderr.contains(&told), "no '{told}' in {}", summary.stderr);
    }
    assert_eq!(sources.iter().map(|(_, bytes, _)| bytes).sum::<u64>(), summary.bytes());
    let twice = summary.bytes().saturating_sub(whole);
    eprintln!(
        "measured: {label} by {way:?}: a stream of {whole} bytes in {took:.1?}, {twice} bytes twice, {:.2}%",
        100.0 * twice as f64 / whole as f64
    );
    // What was on its way is lost at each cut, 2 MiB and more, however long the stream is.
    let most = (whole / 20).max(8 << 20);
    assert!(twice < most, "{twice} bytes of {whole} were sent twice: {sources:?}");
}

/// Three replicas under other paths and compressions.
fn three_replicas(tree: Tree) -> Scene {
    let mut scene = Scene::new(3);
    scene.sources[0].machine.create("pool-source-1/data", tree, "s");
    scene.replicate(0, "-L -c", "s", 1, "-o compression=gzip-1");
    scene.replicate(0, "-L", "s", 2, "-o compression=off");
    scene.start();
    scene
}

#[test]
fn a_copy_of_256_mib_is_completed_by_the_third_source() {
    let mut scene = three_replicas(Tree { seed: 1, bytes: 256 << 20 });
    let whole = scene.sources[0].stream_size(PLAIN, "s");
    dies_twice(&mut scene, Way::Copy, "s", whole);
}

#[test]
fn a_download_is_completed_by_the_third_source() {
    let mut scene = three_replicas(LITTLE);
    let whole = scene.sources[0].stream_size(PLAIN, "s");
    dies_twice(&mut scene, Way::Download, "s", whole);
}

/// The base is a snapshot at the first and the third, and only a bookmark at the second.
#[test]
fn an_increment_is_completed_by_whoever_has_its_base() {
    let mut scene = Scene::new(3);
    let tree = Tree { seed: 3, bytes: 1 << 20 };
    scene.sources[0].machine.create("pool-source-1/data", tree, "base");
    scene.more("s", LITTLE);
    for (at, options) in [(1, "-o compression=gzip-1"), (2, "-o compression=off")] {
        scene.replicate(0, "-L -c", "base", at, options);
        scene.replicate(0, "-L -c -i @base", "s", at, options);
    }
    scene.sources[1].keep_bookmark_only("base");
    scene.start();
    scene.bring_base();
    let whole = scene.sources[0].stream_size("-L -c -i @base", "s");
    dies_twice(&mut scene, Way::Download, "s", whole);
}

#[test]
fn a_volume_is_completed_by_the_third_source() {
    let mut scene = Scene::new(3);
    scene.sources[0].machine.create_volume("pool-source-1/data", LITTLE, "s");
    scene.replicate(0, "-c", "s", 1, "-o compression=gzip-1");
    scene.replicate(0, "-c", "s", 2, "-o compression=off");
    scene.start();
    let whole = scene.sources[0].stream_size(PLAIN, "s");
    dies_twice(&mut scene, Way::Copy, "s", whole);
}

#[test]
fn an_encrypted_dataset_is_completed_raw_by_the_third_source() {
    if !is_real() {
        return; // zfs-sim knows no encryption.
    }
    let mut scene = Scene::new(3);
    encryption::create(&scene.sources[0].machine, "pool-source-1/data", LITTLE, "s");
    scene.replicate(0, "-w -L", "s", 1, "");
    scene.replicate(0, "-w -L", "s", 2, "");
    scene.start();
    let whole = scene.sources[0].stream_size("-w -L", "s");
    dies_twice(&mut scene, Way::Download, "s", whole);
}

#[test]
fn large_blocks_are_completed_by_the_third_source_that_cuts_them_alike() {
    if !is_real() {
        return; // zfs-sim cuts all data into the same blocks.
    }
    let mut scene = Scene::new(3);
    large_blocks::create(&scene.sources[0].machine, "pool-source-1/data", LITTLE, "s");
    scene.replicate(0, "-L -c", "s", 1, "-o compression=gzip-1");
    scene.replicate(0, "-L", "s", 2, "-o recordsize=128k");
    scene.start();
    let whole = scene.sources[0].stream_size(PLAIN, "s");
    dies_twice(&mut scene, Way::Copy, "s", whole);
}
