//! What programs are told, of plans, of progress and of what was done.

use serde_json::Value;
use tests::Ran;

use crate::scene::{BOTH, SENDER, Scene, Way};

#[test]
fn a_plan_and_what_was_done_are_told_to_programs() {
    let scene = Scene::new();
    scene.create("data", "one");
    for way in BOTH {
        a_dry_run_is_a_document_and_changes_nothing(&scene, way);
        progress_is_an_object_on_each_line(&scene, way);
    }
    scene.advance("data", "two");
    for way in BOTH {
        a_run_is_a_document(&scene, way);
    }
    what_can_not_be_done_is_told_too(&scene);
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"))
}

fn a_dry_run_is_a_document_and_changes_nothing(scene: &Scene, way: Way) {
    let before = scene.everything();
    let to_deep = |more: &[&str]| scene.arguments_to(way, "data", "deep/er/data", more);
    let people = scene.run(&to_deep(&["--dry-run"])).ok();
    let programs = scene.run(&to_deep(&["--dry-run", "--json"])).ok();
    scene.everything().assert_same(&before);

    let mut steps = people.stderr.lines().filter_map(|line| line.trim_start().split_once(". "));
    for (number, start) in [("1", "creates "), ("2", "creates "), ("3", "receives one whole, ")] {
        let (told, step) = steps.next().expect("a step");
        assert!(told == number && step.starts_with(start), "{}", people.stderr);
    }
    let document = document(&programs);
    let guid = scene.sender.get("tank-01/data@one", "guid");
    assert_eq!(document["dryRun"], true);
    assert_eq!(document["upToDate"], false);
    assert_eq!(document["verifiedGuid"], Value::Null);
    assert_eq!(document["snapshot"]["name"], "one");
    assert_eq!(document["snapshot"]["guid"], guid);
    assert_eq!(document["source"], SENDER);
    assert_eq!(document["sourceDataset"], "data");
    assert_eq!(document["route"], "direct");
    assert_eq!(document["target"], scene.target(way, "deep/er/data"));
    assert_eq!(document["kind"], "filesystem");
    assert_eq!(document["raw"], false);
    assert!(document["estimatedBytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(document["warnings"], Value::Array(Vec::new()));
    let steps = &document["steps"];
    assert_eq!(steps[0]["action"], "createParent");
    assert_eq!(steps[0]["dataset"], scene.target(way, "deep"));
    assert_eq!(steps[1]["dataset"], scene.target(way, "deep/er"));
    assert_eq!(steps[2]["action"], "send");
    assert_eq!(steps[2]["base"], Value::Null);
    assert_eq!(steps[2]["bytes"], document["estimatedBytes"]);
}

/// The first receive.
fn progress_is_an_object_on_each_line(scene: &Scene, way: Way) {
    let ran = scene.transfer(way, "data", &["--progress", "json"]).ok();
    assert_eq!(ran.stdout, "");
    let objects: Vec<Value> = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(objects.iter().all(|object| object["dataset"] == "data"), "{objects:?}");
    let events: Vec<&str> =
        objects.iter().map(|object| object["event"].as_str().unwrap()).collect();
    assert_eq!(events[..2], ["plan", "source"], "{events:?}");
    assert_eq!(*events.last().unwrap(), "summary", "{events:?}");
    let known = ["plan", "source", "progress", "note", "summary"];
    assert!(events.iter().all(|event| known.contains(event)), "{events:?}");
    assert_eq!(objects[0]["plan"]["target"], scene.target(way, "data"));
    assert_eq!(objects[1]["source"]["place"], SENDER);
    let last = objects.iter().rfind(|object| object["event"] == "progress").expect("progress");
    assert_eq!(last["share"], 1.0, "the bar ends at 100%");
    let summary = &objects.last().unwrap()["summary"];
    assert_eq!(summary["bytes"], last["bytes"]);
    assert_eq!(summary["verifiedGuid"], scene.sender.get("tank-01/data@one", "guid"));
}

/// An increment.
fn a_run_is_a_document(scene: &Scene, way: Way) {
    let ran = scene.transfer(way, "data", &["--json"]).ok();
    let document = document(&ran);
    assert_eq!(document["dryRun"], false);
    assert_eq!(document["upToDate"], false);
    assert_eq!(document["retries"], 0);
    assert_eq!(document["verifiedGuid"], scene.sender.get("tank-01/data@two", "guid"));
    let step = &document["steps"][0];
    assert_eq!(step["action"], "send");
    assert_eq!(step["snapshot"]["name"], "two");
    assert_eq!(step["base"]["name"], "one");
    assert_eq!(step["base"]["isBookmark"], false);
    let bytes = document["bytes"].as_u64().unwrap();
    assert!((1..1 << 20).contains(&bytes), "an increment: {bytes}");
    assert!(document["seconds"].as_f64().unwrap() > 0.0);
    assert!(document["bytesPerSecond"].as_u64().unwrap() > 0);
    let source = &document["sources"][0];
    assert_eq!(source["place"], SENDER);
    assert_eq!(source["dataset"], "data");
    assert_eq!(source["bytes"], bytes);
    assert_eq!(source["left"], Value::Null);

    let again = scene.transfer(way, "data", &["--json"]).ok();
    let again = serde_json::from_str::<Value>(&again.stdout).unwrap();
    assert_eq!(again["upToDate"], true);
    assert_eq!(again["bytes"], 0);
    assert_eq!(again["steps"], Value::Array(Vec::new()));
}

fn what_can_not_be_done_is_told_too(scene: &Scene) {
    scene.laptop.zfs(&["create", "-u", "home/there"]);
    let json = ["--progress", "json"];
    let arguments = scene.arguments_to(Way::Download, "data", "there", &json);
    let ran = scene.refused(&arguments, &[]);
    let last = ran.stderr.lines().rfind(|line| line.starts_with('{')).unwrap();
    let event: Value = serde_json::from_str(last).unwrap();
    assert_eq!(event["event"], "failure");
    let failure = &event["failure"];
    assert_eq!(failure["exitStatus"], 6);
    assert_eq!(failure["subject"], "home/there");
    assert!(!failure["reason"].as_str().unwrap().is_empty());
    assert!(!failure["remedy"].as_str().unwrap().is_empty());
}
