//! What an interrupted transfer leaves: its hold at the source, and its part at the destination,
//! which is gone on with, or thrown away where it is ours and the user says so.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tests::Machine;

use crate::scene::{BOTH, Scene, Way};

/// Held back after the first of these.
const BYTES: u64 = 3 << 20;

#[test]
fn what_an_interrupted_transfer_leaves_is_listed_gone_on_with_or_thrown_away() {
    let scene = Scene::new();
    for path in ["first", "second", "gone"] {
        scene.create_with(path, "one", BYTES);
    }
    for way in BOTH {
        scene.interrupt(way, "first");
    }
    scene.interrupt(Way::Download, "second");
    its_hold_is_listed_and_one_is_let_go(&scene);
    for way in BOTH {
        it_goes_on(&scene, way);
    }
    it_is_thrown_away_when_asked(&scene);
    what_is_not_ours_is_never_thrown_away(&scene);
    for way in BOTH {
        a_token_whose_snapshot_is_gone_everywhere_is_told(&scene, way);
    }
    assert_eq!(tags(&scene.sender), ["tank-01/second@one\tmine"]);
}

/// Snapshot and tag of all that is held at the source.
fn tags(sender: &Machine) -> Vec<String> {
    let properties = sender.properties();
    let held = properties.held();
    if held.is_empty() {
        return Vec::new();
    }
    let listed = sender.zfs(&[&["holds", "-H"], &held[..]].concat());
    let mut tags: Vec<String> =
        listed.lines().map(|line| line.rsplit_once('\t').unwrap().0.to_owned()).collect();
    tags.sort();
    tags
}

fn holds(scene: &Scene) -> Vec<Value> {
    let listed = scene.laptop.cli(&["holds", "--json"]).ok();
    serde_json::from_str(&listed.stdout).unwrap()
}

fn its_hold_is_listed_and_one_is_let_go(scene: &Scene) {
    scene.sender.zfs(&["hold", "mine", "tank-01/second@one"]);
    let held = holds(scene);
    let told: Vec<(&str, &str)> = held
        .iter()
        .map(|hold| (hold["snapshot"].as_str().unwrap(), hold["destination"].as_str().unwrap()))
        .collect();
    let of = |path: &str, destination: &str| {
        told.iter().any(|(snapshot, to)| {
            *snapshot == format!("tank-01/{path}@one") && to.ends_with(destination)
        })
    };
    assert_eq!(told.len(), 3, "ours and no other's: {told:?}");
    assert!(of("first", "home/first"), "{told:?}");
    assert!(of("first", r"datacenter-02\receiver\tank-02/first"), "{told:?}");
    assert!(of("second", "home/second"), "{told:?}");
    for hold in &held {
        assert_eq!(hold["place"], crate::scene::SENDER);
        let at = |key: &str| hold[key].as_i64().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        assert!((0..3600).contains(&(at("lastUsed") - at("since"))), "{hold}");
        assert!(at("since").abs_diff(now) < 24 * 3600, "{hold}");
    }
    let lines = scene.laptop.cli(&["holds"]).ok().stdout;
    assert_eq!(lines.lines().count(), 3, "{lines}");

    let before = tags(&scene.sender);
    let second = held.iter().find(|hold| hold["snapshot"] == "tank-01/second@one").unwrap();
    let tag = second["tag"].as_str().unwrap();
    scene.laptop.cli(&["holds", "--release", tag]).ok();
    let mut expected = before.clone();
    expected.retain(|line| !line.ends_with(&format!("\t{tag}")));
    assert_eq!(expected.len(), before.len() - 1);
    assert_eq!(tags(&scene.sender), expected, "that one and no other");
    assert_eq!(holds(scene).len(), 2);
    scene.laptop.cli(&["holds", "--release", tag]).expect(3);
}

fn it_goes_on(scene: &Scene, way: Way) {
    let bookmark = scene.sender.bookmark_of("tank-01/first@one");
    scene.transfer(way, "first", &[]).ok().says("goes on with one, of which ");
    scene.assert_arrived(way, "first", "one");
    assert!(scene.sender.has(&bookmark));
    let destination = scene.target(way, "first");
    let left = holds(scene);
    let left = left.iter().filter(|it| it["destination"].as_str().unwrap().ends_with(&destination));
    assert_eq!(left.count(), 0, "its hold is gone");
}

fn it_is_thrown_away_when_asked(scene: &Scene) {
    let ran = scene.transfer(Way::Download, "second", &["--restart"]).ok();
    ran.says("throws away what an interrupted receive of ours has left").says("one whole");
    scene.assert_arrived(Way::Download, "second", "one");
}

/// Another tool's part stays, whatever is asked for.
fn what_is_not_ours_is_never_thrown_away(scene: &Scene) {
    for way in BOTH {
        let (machine, target) = (scene.machine(way), scene.target(way, "foreign"));
        let file = scene.sender.path("cut");
        let file = file.display();
        let send = format!(r#""$ZFS" send tank-01/second@one | head -c 1500000 >'{file}'"#);
        scene.sender.shell(&send).ok();
        machine.shell(&format!(r#""$ZFS" receive -s -u '{target}' <'{file}'"#)).expect(1);
        for flags in [&[][..], &["--restart"], &["--restart", "--adopt", "--rollback"]] {
            let arguments = scene.arguments_to(way, "second", "foreign", flags);
            let not_ours = "an unfinished receive that is not of zatlas is there";
            let ran = scene.refused(&arguments, &[not_ours]);
            let remedy = format!("throw it away with: zfs receive -A '{target}'\n");
            assert!(ran.stderr.ends_with(&remedy), "{}", ran.stderr);
        }
    }
}

fn a_token_whose_snapshot_is_gone_everywhere_is_told(scene: &Scene, way: Way) {
    let label = scene.sender.zfs(&["list", "-H", "-t", "snapshot", "-o", "name", "tank-01/gone"]);
    let label = label.split_once('@').unwrap().1.to_owned();
    scene.interrupt(way, "gone");
    let snapshot = format!("tank-01/gone@{label}");
    let guid = scene.sender.get(&snapshot, "guid");
    let held = holds(scene);
    let tag = held.iter().find(|hold| hold["snapshot"] == *snapshot).unwrap()["tag"].clone();
    scene.laptop.cli(&["holds", "--release", tag.as_str().unwrap()]).ok();
    scene.sender.zfs(&["destroy", &snapshot]);
    let next = format!("{label} and more");
    scene.advance("gone", &next);

    let says = format!("@{label}' (GUID {guid}) is there");
    let nobody = "no machine, online or off, has that snapshot any more";
    let ran = scene.refused(&scene.arguments(way, "gone", &[]), &[&says, nobody]);
    assert!(ran.stderr.ends_with("begin anew: --restart\n"), "{}", ran.stderr);
    scene.transfer(way, "gone", &["--restart"]).ok();
    scene.assert_arrived(way, "gone", &next);
}
