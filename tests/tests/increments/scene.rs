//! A source, and two destinations that follow it: one downloads, the other is copied to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Instant;

use serde_json::Value;
use tests::{Contents, Fleet, Machine, Process, Properties, until};

use crate::data::{Data, Kind};
use crate::history::{Base, Chapter};

const SENDER: &str = r"datacenter-01\sender\tank-01";

/// How a dataset gets to its destination.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// To the laptop.
    Download,
    /// To the receiver.
    Copy,
}

const BOTH: [Way; 2] = [Way::Download, Way::Copy];

pub(crate) struct Scene {
    sender: Machine,
    receiver: Machine,
    laptop: Machine,
    // Dropped last.
    _fleet: Fleet,
}

/// What the snapshots that the source has ever had held, by GUID.
type Record = BTreeMap<String, Contents>;

impl Scene {
    pub(crate) fn new() -> Self {
        let fleet = Fleet::start();
        let mut sender = fleet.machine("sender", &["tank-01"]);
        let mut receiver = fleet.machine("receiver", &["tank-02"]);
        let laptop = fleet.machine("laptop", &["home"]);
        receiver.zfs(&["set", "compression=gzip", "tank-02"]);
        sender.zfs(&["create", "tank-01/unrelated"]);
        receiver.zfs(&["create", "tank-02/unrelated"]);
        sender.start_agent("datacenter-01", &[]);
        receiver.start_agent("datacenter-02", &[]);
        let receiver_too = r"datacenter-02\receiver\tank-02 (online)";
        fleet.wait_for_show(&[&format!("unrelated: {SENDER} (online), {receiver_too}")]);
        Self { sender, receiver, laptop, _fleet: fleet }
    }

    /// Makes a parent at both destinations, at one of them encrypted by a key of its own.
    pub(crate) fn create_parents(&self, path: &str) {
        self.laptop.zfs(&["create", &format!("home/{path}")]);
        let key = self.receiver.path("key of a parent");
        fs::write(&key, [9; 32]).unwrap();
        let at = format!("keylocation=file://{}", key.display());
        let options = ["-o", "encryption=on", "-o", "keyformat=raw", "-o", &at];
        let parent = format!("tank-02/{path}");
        self.receiver.zfs(&[&["create"], &options[..], &[&parent]].concat());
    }

    /// Transfers each dataset to both destinations at once, at the end of each chapter of their
    /// lives.
    pub(crate) fn live(&self, mut all: Vec<Data>, chapters: &[Chapter]) {
        let mut record = Record::new();
        for data in &all {
            data.create(&self.sender);
        }
        for (number, chapter) in (1..).zip(chapters) {
            let started = Instant::now();
            all.retain(|data| {
                let goes_on = data.chapters >= number;
                if !goes_on {
                    self.assert_all_is_right(data, &record);
                }
                goes_on
            });
            for data in &mut all {
                (chapter.happens)(data, &self.sender);
            }
            let source = self.wait_until_known(&all, chapter);
            for (data, (_, label)) in
                all.iter().flat_map(|data| chapter.streams.iter().map(move |it| (data, it)))
            {
                let name = data.at(label);
                let contents = data.contents(&self.sender, &self.sender, &name);
                record.insert(guid(&source, &name), contents);
            }
            self.transfer(&all, chapter);
            let seconds = started.elapsed().as_secs_f64();
            eprintln!("measured: {}: {seconds:.1} s", chapter.what);
        }
        for data in &all {
            self.assert_all_is_right(data, &record);
        }
    }

    /// The machine that receives, and the dataset's name there.
    fn destination(&self, way: Way, data: &Data) -> (&Machine, String) {
        match way {
            Way::Download => (&self.laptop, format!("home/{}", data.path_there())),
            Way::Copy => (&self.receiver, format!("tank-02/{}", data.path_there())),
        }
    }

    fn start(&self, way: Way, data: &Data, chapter: &Chapter) -> Process {
        let to = match way {
            Way::Download => format!("home/{}", data.path_there()),
            Way::Copy => format!("datacenter-02/receiver/tank-02/{}", data.path_there()),
        };
        let wanted: &[&str] = match way {
            Way::Download => &["download", data.path, "--to", &to],
            Way::Copy => &["copy", data.path, &to],
        };
        let from = ["--json", "--from", SENDER];
        self.laptop.start_cli(&[wanted, chapter.flags, &from].concat())
    }

    /// Until the tracker knows what has happened, of which the newest snapshots are the last; gives
    /// what the source has.
    fn wait_until_known(&self, all: &[Data], chapter: &Chapter) -> Properties {
        let source = self.sender.properties();
        until(chapter.what, || {
            let shown = self.laptop.cli(&["show", "--json"]).ok();
            let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
            let is_known = |data: &Data| {
                let datasets = shown.as_array().unwrap().iter();
                let mut replicas = datasets
                    .filter(|dataset| dataset["name"] == data.path)
                    .flat_map(|dataset| dataset["replicas"].as_array().unwrap());
                let replica = replicas.find(|replica| replica["place"] == SENDER);
                let newest = guid(&source, &newest(data, chapter));
                replica.is_some_and(|replica| replica["newest"]["guid"] == newest)
            };
            all.iter().all(is_known).then_some(())
        });
        source
    }

    /// All transfers of a chapter, after which there is what they were to bring, and else all is as
    /// it was.
    fn transfer(&self, all: &[Data], chapter: &Chapter) {
        let machines = [&self.sender, &self.laptop, &self.receiver];
        let before = machines.map(Machine::properties);
        let mut told = Vec::new();
        for data in all {
            let running = BOTH.map(|way| (way, self.start(way, data, chapter)));
            told.extend(running.map(|(way, cli)| (data, way, cli.finish().ok().stdout)));
        }
        let [source, home, tank] = machines.map(Machine::properties);

        let mut new = [Vec::new(), Vec::new(), Vec::new()];
        for (data, way, told) in &told {
            let what = format!("{}, {way:?} of {}", chapter.what, data.path);
            let (_, name) = self.destination(*way, data);
            let there = if matches!(way, Way::Download) { &home } else { &tank };
            let goal = newest(data, chapter);
            let document: Value = serde_json::from_str(told).unwrap();
            assert_eq!(document["verifiedGuid"], guid(&source, &goal), "{what}");
            assert_eq!(streams(&document), expected(chapter, &name, there), "{what}");
            let new_there = &mut new[if matches!(way, Way::Download) { 1 } else { 2 }];
            for (base, label) in chapter.streams {
                let snapshot = format!("{name}@{label}");
                let sent = guid(&source, &data.at(label));
                assert_eq!(guid(there, &snapshot), sent, "{what}: {label}");
                new_there.push(snapshot);
                if base.is_none() {
                    new_there.push(name.clone());
                }
            }
            if matches!(way, Way::Download) {
                // One for both.
                new[0].push(format!("{}#zatlas-{}", data.name(), guid(&source, &goal)));
            }
        }
        for ((now, before), new) in [source, home, tank].iter().zip(&before).zip(&new) {
            assert_only_new(now, before, new);
            assert!(now.held().is_empty(), "{:?}", now.held());
        }
        let strays: Vec<_> = machines.iter().flat_map(|machine| machine.strays()).collect();
        assert!(strays.is_empty(), "{strays:?}");
    }

    /// Every snapshot at the destinations holds what it held when it was taken.
    fn assert_all_is_right(&self, data: &Data, record: &Record) {
        for way in BOTH {
            let (machine, name) = self.destination(way, data);
            let list = ["list", "-Hp", "-d", "1", "-t", "snapshot", "-o", "name,guid", &name];
            for line in machine.zfs(&list).lines() {
                let (snapshot, guid) = line.split_once('\t').unwrap();
                let contents = data.contents(&self.sender, machine, snapshot);
                assert!(contents == record[guid], "{snapshot} holds other data");
            }
            if data.kind == Kind::Encrypted {
                assert_eq!(machine.get(&name, "keystatus"), "unavailable");
            }
        }
    }
}

/// There are these that weren't there before, and nothing else has changed; but for a mark of ours.
fn assert_only_new(now: &Properties, before: &Properties, new: &[String]) {
    let new = new.iter().map(String::as_str);
    let names: BTreeSet<&str> = before.names().into_iter().chain(new).collect();
    assert_eq!(now.names(), names.into_iter().collect::<Vec<_>>());
    let mut changed = now.changed_since(before);
    // Which dataset sent the large blocks: whoever goes on with an interrupted stream must know.
    changed.retain(|(name, property)| !name.contains("/large") || *property != "zatlas:sender");
    assert_eq!(changed, []);
}

/// The snapshot that a chapter ends with, at the source.
fn newest(data: &Data, chapter: &Chapter) -> String {
    data.at(chapter.streams.last().unwrap().1)
}

fn guid(properties: &Properties, name: &str) -> String {
    properties.value(name, "guid").unwrap_or_else(|| panic!("there is no {name}")).to_owned()
}

/// A stream: its base, by label with the sign before it, and its snapshot.
type Stream = (Option<String>, String);

/// The streams of a chapter to the dataset of this name. It still has what is only a bookmark at
/// the source.
fn expected(chapter: &Chapter, name: &str, destination: &Properties) -> Vec<Stream> {
    let base = |base: &Base| match base {
        Base::Snapshot(label) => format!("@{label}"),
        Base::Bookmark(label) => {
            format!("#zatlas-{}", guid(destination, &format!("{name}@{label}")))
        }
    };
    let streams = chapter.streams.iter();
    streams.map(|(from, label)| (from.as_ref().map(base), (*label).to_owned())).collect()
}

/// The streams of a summary.
fn streams(document: &Value) -> Vec<Stream> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let sends = document["steps"].as_array().unwrap().iter().filter(|it| it["action"] == "send");
    let stream = |step: &Value| {
        let base = &step["base"];
        let sign = if base["isBookmark"] == true { '#' } else { '@' };
        let base = (!base.is_null()).then(|| format!("{sign}{}", text(&base["name"])));
        (base, text(&step["snapshot"]["name"]))
    };
    sends.map(stream).collect()
}
