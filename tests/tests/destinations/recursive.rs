//! `-r`: a transfer for each dataset, parents first, each by itself.

use serde_json::Value;
use tests::until;

use crate::scene::{Scene, Way};

const TREE: [&str; 5] = ["tree", "tree/a", "tree/a/deep", "tree/b", "tree/skipped"];

#[test]
fn each_dataset_of_a_tree_is_transferred_by_itself_and_parents_first() {
    let scene = Scene::new();
    for path in TREE {
        scene.create_with(path, "one", 2 << 20);
    }
    only_what_is_chosen_is_transferred(&scene);
    one_that_fails_stops_those_below_it_and_no_other(&scene);
    each_child_goes_on_by_itself(&scene);
}

fn only_what_is_chosen_is_transferred(scene: &Scene) {
    let way = Way::Download;
    let flags = ["-r", "--exclude", "*/skipped", "--jobs", "3"];
    let dry = scene.transfer(way, "tree", &[&flags[..], &["--dry-run"]].concat()).ok();
    dry.says("4 datasets: 4 planned, 0 up to date, 0 failed, 0 skipped");
    assert!(!scene.machine(way).has(&scene.target(way, "tree")));

    let ran = scene.transfer(way, "tree", &flags).ok();
    ran.says("4 datasets: 4 done, 0 up to date, 0 failed, 0 skipped");
    for path in &TREE[..4] {
        scene.assert_arrived(way, path, "one");
    }
    assert!(!scene.machine(way).has(&scene.target(way, "tree/skipped")));

    let only = ["-r", "--include", "tree/s*", "--include", "tree/b"];
    let ran = scene.transfer(way, "tree", &only).ok();
    ran.says("2 datasets: 1 done, 1 up to date, 0 failed, 0 skipped");
    scene.assert_arrived(way, "tree/skipped", "one");
    assert!(scene.sender.properties().held().is_empty());
}

fn one_that_fails_stops_those_below_it_and_no_other(scene: &Scene) {
    let (way, machine) = (Way::Copy, scene.machine(Way::Copy));
    scene.run(&scene.arguments_to(way, "tree", "there", &[])).ok();
    // In the way of one of them.
    machine.zfs(&["create", "-u", &scene.target(way, "there/a")]);
    let all = scene.arguments_to(way, "tree", "there", &["-r", "--json"]);
    let ran = scene.run(&all).expect(6);
    let ran = ran.says("cannot transfer 2 of 5 datasets: tree/a: cannot receive ");
    let ran = ran.says("the destination exists already, and has no snapshot to go on from");
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let datasets = document["datasets"].as_array().unwrap().iter();
    let outcomes: Vec<_> = datasets.map(|it| (text(it, "dataset"), text(it, "outcome"))).collect();
    let expected = ["upToDate", "failed", "skipped", "done", "done"];
    let expected = TREE.into_iter().zip(expected);
    let expected: Vec<_> = expected.map(|(name, how)| (name.to_owned(), how.to_owned())).collect();
    assert_eq!(outcomes, expected);
    for path in ["b", "skipped"] {
        let (from, to) = (format!("tree/{path}"), format!("there/{path}"));
        scene.assert_arrived_as(way, &from, &to, "one");
    }
    assert!(!machine.has(&scene.target(way, "there/a/deep")));
}

fn each_child_goes_on_by_itself(scene: &Scene) {
    let (way, machine) = (Way::Copy, scene.machine(Way::Copy));
    scene.run(&scene.arguments_to(way, "tree", "cut", &[])).ok();
    scene.hold_streams();
    let arguments = scene.arguments_to(way, "tree", "cut", &["-r", "--jobs", "2"]);
    let cli = scene.start(&arguments);
    until("two children under way", || {
        let parts = ["cut/a", "cut/b", "cut/skipped"].iter().filter(|path| {
            let target = scene.target(way, path);
            let token = ["get", "-Hp", "-o", "value", "receive_resume_token", &target];
            let ran = machine.try_zfs(&token);
            ran.status == 0 && ran.stdout.trim() != "-"
        });
        (parts.count() == 2).then_some(())
    });
    cli.signal(tests::Signal::INT);
    cli.finish().expect(130);
    scene.release_streams();
    scene.wait_for_silence();

    let ran = scene.run(&arguments).ok();
    let gone_on = ran.stderr.lines().filter(|line| line.contains("goes on with one, of which "));
    assert_eq!(gone_on.count(), 2, "{}", ran.stderr);
    ran.says("5 datasets: 4 done, 1 up to date, 0 failed, 0 skipped");
    for path in TREE {
        scene.assert_arrived_as(way, path, &path.replace("tree", "cut"), "one");
    }
    assert!(scene.sender.properties().held().is_empty());
}
