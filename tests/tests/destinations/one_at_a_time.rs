//! A destination takes one transfer at a time, whoever asks.

use crate::scene::{Scene, Way};

#[test]
fn the_second_transfer_to_a_destination_is_refused_or_waits() {
    let scene = Scene::new();
    scene.create_with("data", "one", 2 << 20);
    two_clis_on_a_machine(&scene);
    a_copy_beside_a_copy(&scene);
    a_cli_beside_an_agent(&scene);
}

const UNDER_WAY: &str = "another transfer into it is under way on this machine";
const WAITS: &str = "waiting for another transfer into ";

fn two_clis_on_a_machine(scene: &Scene) {
    one_and_then_another(scene, Way::Download, "data");
}

fn a_copy_beside_a_copy(scene: &Scene) {
    one_and_then_another(scene, Way::Copy, "data");
}

fn one_and_then_another(scene: &Scene, way: Way, path: &str) {
    let arguments = scene.arguments(way, path, &[]);
    let first = scene.begin(way, path, &arguments);
    let ran = scene.run(&arguments).expect(6).says(UNDER_WAY);
    assert!(ran.stderr.contains("Wait for it with --wait"), "{}", ran.stderr);

    let mut second = scene.start(&scene.arguments(way, path, &["--wait"]));
    second.wait_for_line(WAITS);
    scene.release_streams();
    first.finish().ok();
    second.finish().ok().says("nothing to do: snapshot one");
    scene.assert_arrived(way, path, "one");
    assert!(scene.sender.properties().held().is_empty());
}

/// On the same machine, which sees the same pool.
fn a_cli_beside_an_agent(scene: &Scene) {
    let copy = scene.arguments_to(Way::Copy, "data", "both", &[]);
    let download = ["download", "data", "--to", "tank-02/both", "--from", crate::scene::SENDER];
    let first = scene.begin(Way::Copy, "both", &copy);
    scene.receiver.cli(&download).expect(6).says(UNDER_WAY);
    let waits = [&download[..], &["--wait"]].concat();
    let mut second = scene.receiver.start_cli(&waits);
    second.wait_for_line(WAITS);
    scene.release_streams();
    first.finish().ok();
    second.finish().ok().says("nothing to do: snapshot one");
    scene.assert_arrived_as(Way::Copy, "data", "both", "one");
}
