//! A source, and two destinations that follow it: one downloads, the other is copied to.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use serde_json::Value;
use tests::{Contents, Fleet, Machine, Properties, until};

use crate::data::{Data, Kind};
use crate::history::{Base, Chapter};

const SENDER: &str = r"datacenter-01\sender\tank-01";

/// A machine whose pool receives.
#[derive(Clone, Copy)]
enum Way {
    Download,
    Copy,
}

pub(crate) struct Scene {
    sender: Machine,
    receiver: Machine,
    laptop: Machine,
    // Dropped last.
    _fleet: Fleet,
}

/// The snapshots that a dataset has ever had, by GUID.
type Record = BTreeMap<String, Contents>;

impl Scene {
    pub(crate) fn new() -> Self {
        let fleet = Fleet::start();
        let mut sender = fleet.machine("sender", &["tank-01"]);
        let mut receiver = fleet.machine("receiver", &["tank-02"]);
        let laptop = fleet.machine("laptop", &["home"]);
        sender.zfs(&["create", "tank-01/unrelated"]);
        sender.start_agent("datacenter-01", &[]);
        receiver.zfs(&["set", "compression=gzip", "tank-02"]);
        receiver.start_agent("datacenter-02", &[]);
        sender.wait_registered();
        receiver.wait_registered();
        fleet.wait_for_show(&[&format!("unrelated: {SENDER} (online)")]);
        Self { sender, receiver, laptop, _fleet: fleet }
    }

    /// Makes a parent at both destinations under which all is encrypted by a key of theirs.
    pub(crate) fn encrypt_destinations(&self, path: &str) {
        for (machine, pool) in [(&self.laptop, "home"), (&self.receiver, "tank-02")] {
            let key = machine.path("vault key");
            fs::write(&key, [9; 32]).unwrap();
            let at = format!("keylocation=file://{}", key.display());
            let options = ["-o", "encryption=on", "-o", "keyformat=raw", "-o", &at];
            machine.zfs(&[&["create"], &options[..], &[&format!("{pool}/{path}")]].concat());
        }
    }

    /// Transfers a dataset at the end of each chapter of its life.
    pub(crate) fn live(&mut self, mut data: Data, chapters: &[Chapter]) {
        let started = Instant::now();
        let mut record = Record::new();
        data.create(&self.sender);
        for chapter in chapters {
            let taken = (chapter.happens)(&mut data, &self.sender);
            for label in taken {
                let name = format!("{}@{label}", data.name());
                let contents = data.contents(&self.sender, &self.sender, &name);
                record.insert(self.sender.get(&name, "guid"), contents);
            }
            eprintln!("T made {:.1}", started.elapsed().as_secs_f64());
            self.wait_until_known(&data, chapter);
            eprintln!("T known {:.1}", started.elapsed().as_secs_f64());
            for way in [Way::Download, Way::Copy] {
                self.transfer(way, &data, chapter);
            }
        }
        for way in [Way::Download, Way::Copy] {
            self.assert_all_is_right(way, &data, &record);
        }
        eprintln!("measured: {}: {:.1} s", data.path, started.elapsed().as_secs_f64());
    }

    /// The machine that receives, and the dataset's name there.
    fn destination(&self, way: Way, data: &Data) -> (&Machine, String) {
        match way {
            Way::Download => (&self.laptop, format!("home/{}", data.path_there())),
            Way::Copy => (&self.receiver, format!("tank-02/{}", data.path_there())),
        }
    }

    fn command(&self, way: Way, data: &Data, chapter: &Chapter, more: &[&str]) -> tests::Ran {
        let to = match way {
            Way::Download => format!("home/{}", data.path_there()),
            Way::Copy => format!("datacenter-02/receiver/tank-02/{}", data.path_there()),
        };
        let wanted: &[&str] = match way {
            Way::Download => &["download", data.path, "--to", &to],
            Way::Copy => &["copy", data.path, &to],
        };
        self.laptop.cli(&[wanted, chapter.flags, more, &["--json", "--from", SENDER]].concat())
    }

    /// Until the tracker knows what has happened, and so the right streams are planned.
    fn wait_until_known(&self, data: &Data, chapter: &Chapter) {
        let expected: Vec<_> = chapter.streams.iter().map(|it| self.stream(it, data)).collect();
        until(chapter.what, || {
            let ran = self.command(Way::Download, data, chapter, &["--dry-run"]);
            (ran.status == 0 && streams(&ran.stdout) == expected).then_some(())
        });
    }

    fn stream(&self, stream: &(Option<Base>, &str), data: &Data) -> (Option<String>, String) {
        let base = stream.0.as_ref().map(|base| match base {
            Base::Snapshot(label) => format!("@{label}"),
            Base::Bookmark(label) => {
                // The destination still has it.
                let (laptop, name) = self.destination(Way::Download, data);
                format!("#zatlas-{}", laptop.get(&format!("{name}@{label}"), "guid"))
            }
        });
        (base, stream.1.to_owned())
    }

    /// One transfer, after which there is what it was to bring, and else all is as it was.
    fn transfer(&self, way: Way, data: &Data, chapter: &Chapter) {
        let (machine, name) = self.destination(way, data);
        let t = Instant::now();
        let before = (self.sender.properties(), machine.properties());
        eprintln!("T props {:.1}", t.elapsed().as_secs_f64());
        let t = Instant::now();
        let ran = self.command(way, data, chapter, &[]).ok();
        eprintln!("T cli {:.1}", t.elapsed().as_secs_f64());
        let expected: Vec<_> = chapter.streams.iter().map(|it| self.stream(it, data)).collect();
        assert_eq!(streams(&ran.stdout), expected, "{}", chapter.what);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();

        let labels: Vec<&str> = chapter.streams.iter().map(|(_, label)| *label).collect();
        let mut new: Vec<String> = labels.iter().map(|label| format!("{name}@{label}")).collect();
        if chapter.streams.iter().any(|(base, _)| base.is_none()) {
            new.push(name.clone());
        }
        assert_only_new(&machine.properties(), &before.1, &new);
        for label in &labels {
            let there = machine.get(&format!("{name}@{label}"), "guid");
            let here = self.sender.get(&format!("{}@{label}", data.name()), "guid");
            assert_eq!(there, here, "{}: {label}", chapter.what);
        }

        let goal = document["verifiedGuid"].as_str().unwrap();
        let newest = format!("{}@{}", data.name(), labels.last().unwrap());
        assert_eq!(goal, self.sender.get(&newest, "guid"), "{}", chapter.what);
        // The second destination finds the bookmark that the first has left.
        let bookmark = self.sender.bookmark_of(&newest);
        let new =
            if before.0.names().contains(&bookmark.as_str()) { vec![] } else { vec![bookmark] };
        let after = self.sender.properties();
        assert_only_new(&after, &before.0, &new);
        assert!(after.held().is_empty(), "{:?}", after.held());
        let strays: Vec<_> = self.sender.strays().into_iter().chain(machine.strays()).collect();
        assert!(strays.is_empty(), "{strays:?}");
    }

    /// Every snapshot at the destination holds what it held when it was taken.
    fn assert_all_is_right(&self, way: Way, data: &Data, record: &Record) {
        let (machine, name) = self.destination(way, data);
        let list = ["list", "-Hp", "-d", "1", "-t", "snapshot", "-o", "name,guid", &name];
        let listed = machine.zfs(&list);
        assert_eq!(listed.lines().count(), record.len(), "{listed}");
        for line in listed.lines() {
            let (snapshot, guid) = line.split_once('\t').unwrap();
            let contents = data.contents(&self.sender, machine, snapshot);
            assert!(contents == record[guid], "{snapshot} holds other data");
        }
        if data.kind == Kind::Encrypted {
            assert_eq!(machine.get(&name, "keystatus"), "unavailable");
        }
    }
}

/// As [`Properties::assert_only_new`].
fn assert_only_new(now: &Properties, before: &Properties, new: &[String]) {
    now.assert_only_new(before, &new.iter().map(String::as_str).collect::<Vec<_>>());
}

/// The streams of a plan or summary: base and snapshot.
fn streams(document: &str) -> Vec<(Option<String>, String)> {
    let document: Value = serde_json::from_str(document).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let sends = document["steps"].as_array().unwrap().iter().filter(|it| it["action"] == "send");
    let stream = |step: &Value| {
        let base = &step["base"];
        let mark = if base["isBookmark"] == true { '#' } else { '@' };
        let base = (!base.is_null()).then(|| format!("{mark}{}", text(&base["name"])));
        (base, text(&step["snapshot"]["name"]))
    };
    sends.map(stream).collect()
}
