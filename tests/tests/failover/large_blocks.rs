//! The same snapshot cut into other blocks: a stream that went on with those would damage a file in
//! silence. zfs-sim cuts all data into the same blocks.

use tests::{Machine, Tree, is_real};

use crate::scene::{LITTLE, Scene, Summary, Way};

/// Creates a filesystem whose large files lie in blocks of 1 MiB.
pub(crate) fn create(machine: &Machine, dataset: &str, tree: Tree, snapshot: &str) {
    machine.zfs(&["create", "-o", "recordsize=1M", dataset]);
    machine.with_files(dataset, |folder| tree.write(folder));
    machine.zfs(&["snapshot", &format!("{dataset}@{snapshot}")]);
}

/// Source 2 got everything in small blocks; source 3 only the base, which makes the files in which
/// the stream is cut, and large ones after that; source 4 is as the first.
#[test]
fn a_replica_with_other_blocks_is_refused_and_the_original_waited_for() {
    if !is_real() {
        return;
    }
    let mut scene = Scene::new(4);
    create(&scene.sources[0].machine, "pool-source-1/data", LITTLE, "base");
    scene.more("s", Tree { seed: 6, bytes: 4 << 20 });
    scene.replicate(0, "", "s", 1, "");
    scene.replicate(0, "", "base", 2, "");
    scene.replicate(0, "-L -i @base", "s", 2, "");
    scene.replicate(0, "-L -c", "s", 3, "");
    let contents = scene.contents("s");
    scene.start_receiver();
    for number in 0..3 {
        scene.start_source(number);
    }

    scene.sources[0].hold_after(4 << 20);
    let mut cli = scene.begin(Way::Download, &[]);
    scene.sources[0].wait_until_holding();
    scene.sources[0].kill();
    cli.wait_for_line("it goes on by itself when it can");
    assert_eq!(scene.receives(), 1, "zfs receive was started with other blocks");

    // The original returns, goes on, and dies again: one that is cut alike is there by now.
    scene.sources[0].release();
    scene.sources[0].hold_after(4 << 20);
    scene.start_source(0);
    scene.sources[0].wait_until_holding();
    scene.start_source(3);
    scene.sources[0].kill();
    let summary = Summary::of(cli.finish());
    scene.assert_arrived("s", &contents);

    let sources = summary.sources();
    eprintln!("with other blocks: {sources:?}");
    let place = |number: usize| scene.sources[number].place();
    for number in [1, 2] {
        let of_it: Vec<_> = sources.iter().filter(|(at, ..)| *at == place(number)).collect();
        let [(_, bytes, Some(why))] = of_it[..] else { panic!("{sources:?}") };
        assert!(*bytes == 0 && why.contains("in blocks of 128.0 KiB"), "{sources:?}");
    }
    assert_eq!(summary.places().last(), Some(&place(3).as_str()));
    assert_eq!(scene.receives(), 3, "{sources:?}");
}
