//! Two sources die, one after the other, and the third completes what they began.

use std::time::Instant;

use tests::{Tree, is_real};

use crate::scene::{Scene, Summary, Way};

/// How `zfs send` is told to make the streams.
const PLAIN: &str = "-L -c";

/// Kills the source of the first third of the stream in mid-stream, and that of the second one.
fn dies_twice(scene: &mut Scene, way: Way, label: &str, whole: u64, more: &[&str]) {
    let contents = scene.contents(label);
    scene.start();
    let share = whole * 3 / 10;
    let started = Instant::now();
    scene.sources[0].hold_after(share);
    scene.sources[1].hold_after(share);
    let cli = scene.begin(way, more);
    for source in &mut scene.sources[..2] {
        source.wait_until_holding();
        source.kill();
    }
    let summary = Summary::of(cli.finish());
    let took = started.elapsed();
    scene.assert_arrived(label, &contents);

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
    let most = if whole < 64 << 20 { 4 << 20 } else { whole / 20 };
    assert!(twice < most, "{twice} bytes of {whole} were sent twice: {sources:?}");
    // The last one has been told that the snapshot arrived.
    let last = &scene.sources[2];
    last.holds_nothing();
    let guid = last.machine.get(&last.snapshot(label), "guid");
    assert!(last.machine.has(&format!("{}#zatlas-{guid}", last.dataset)), "no bookmark");
}

/// Three replicas under other paths and compressions. Returns the size of the shortest stream.
fn three_replicas(tree: Tree) -> (Scene, u64) {
    let scene = Scene::new(3);
    scene.sources[0].machine.create("pool-source-1/data", tree, "s");
    scene.replicate(0, "-L -c", "s", 1, "-o compression=gzip-1");
    scene.replicate(0, "-L", "s", 2, "-o compression=off");
    let whole = scene.sources.iter().map(|source| source.stream_size(PLAIN, "s")).min().unwrap();
    (scene, whole)
}

#[test]
fn a_copy_of_256_mib_is_completed_by_the_third_source() {
    let bytes = if is_real() { 256 << 20 } else { 128 << 20 };
    let (mut scene, whole) = three_replicas(Tree { seed: 1, bytes });
    dies_twice(&mut scene, Way::Copy, "s", whole, &[]);
}

#[test]
fn a_download_is_completed_by_the_third_source() {
    let (mut scene, whole) = three_replicas(Tree { seed: 2, bytes: 32 << 20 });
    dies_twice(&mut scene, Way::Download, "s", whole, &[]);
}
