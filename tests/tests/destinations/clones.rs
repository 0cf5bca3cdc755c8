//! A clone arrives as what it holds, and that it was one is told. zfs-sim makes no clones.

use tests::is_real;

use crate::scene::Scene;

#[test]
fn a_clone_is_sent_whole_and_it_is_said_that_it_is_one() {
    if !is_real() {
        return;
    }
    let scene = Scene::new();
    scene.create("origin", "one");
    scene.sender.zfs(&["clone", "tank-01/origin@one", "tank-01/clone"]);
    scene.advance("clone", "two");
    for (way, ran) in scene.both(|way| scene.arguments(way, "clone", &[])) {
        let ran = ran.ok().says("receives two whole");
        ran.says("warning: it is a clone of tank-01/origin@one, and is sent whole");
        scene.assert_arrived(way, "clone", "two");
        assert_eq!(scene.machine(way).get(&scene.target(way, "clone"), "origin"), "-");
    }
    scene.advance("clone", "three");
    for (way, ran) in scene.both(|way| scene.arguments(way, "clone", &[])) {
        let ran = ran.ok();
        assert!(!ran.stderr.contains("clone of"), "an increment: {}", ran.stderr);
        scene.assert_arrived(way, "clone", "three");
    }
}
