//! Replicas on machines at two locations, and a machine that receives.

use std::cell::OnceCell;

use serde_json::Value;
use tests::{Contents, Fleet, Machine, Process, Ran, Tree, until};

use crate::before::Before;
use crate::source::{Source, at_work, calls};

/// How a transfer is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// The cli receives.
    Download,
    /// The receiver's agent does.
    Copy,
}

/// What is received into.
pub(crate) const TARGET: &str = "home/data";

pub(crate) struct Scene {
    /// In the order in which they are chosen.
    pub(crate) sources: Vec<Source>,
    pub(crate) receiver: Machine,
    /// When the first transfer began.
    before: OnceCell<Before>,
    // Dropped last.
    pub(crate) fleet: Fleet,
}

/// The summary of a transfer, as JSON.
pub(crate) struct Summary {
    pub(crate) json: Value,
    pub(crate) stderr: String,
}

impl Scene {
    /// Machines for so many replicas, the first two near the receiver, each with another path.
    /// There is nothing on them yet.
    pub(crate) fn new(replicas: usize) -> Self {
        let fleet = Fleet::start();
        let mut receiver = fleet.machine("receiver", &["home"]);
        let log = receiver.path("zfs.log");
        receiver.wrap_zfs(&format!("echo \"$@\" >>'{}'\nexec \"$ZFS\" \"$@\"", log.display()));
        let paths = ["data", "backup/of/data", "copies/data", "old data"];
        let sources = (1..).zip(paths).take(replicas).map(|(number, path)| {
            let name = format!("source-{number}");
            let machine = fleet.machine(&name, &[&format!("pool-{name}")]);
            let location = if number < 3 { "datacenter-01" } else { "datacenter-02" };
            Source::new(machine, &name, location, path)
        });
        Self { sources: sources.collect(), receiver, before: OnceCell::new(), fleet }
    }

    /// The same with a filesystem of little data, `data@s`, replicas of it, and agents.
    pub(crate) fn with_little_data(replicas: usize) -> Self {
        let mut scene = Self::new(replicas);
        scene.sources[0].machine.create("pool-source-1/data", LITTLE, "s");
        for number in 1..replicas {
            scene.replicate(0, "-L -c", "s", number, "");
        }
        scene.start();
        scene
    }

    /// Sends a snapshot from one machine to another without our programs; `flags` and `options`
    /// are those of `zfs send` and `zfs receive`.
    pub(crate) fn replicate(&self, from: usize, flags: &str, to: &str, at: usize, options: &str) {
        let (from, at) = (&self.sources[from], &self.sources[at]);
        let stream = from.machine.path("stream");
        let (file, snapshot) = (stream.display(), from.snapshot(to));
        from.machine.shell(&format!("\"$ZFS\" send {flags} '{snapshot}' >'{file}'")).ok();
        let (parent, _) = at.dataset.rsplit_once('/').unwrap();
        if !at.machine.has(parent) {
            at.machine.zfs(&["create", "-p", parent]);
        }
        let receive = format!("\"$ZFS\" receive -u {options} '{}' <'{file}'", at.dataset);
        at.machine.shell(&receive).ok();
        std::fs::remove_file(stream).unwrap();
    }

    /// Writes more files at the first machine, and takes a snapshot.
    pub(crate) fn more(&self, label: &str, tree: Tree) {
        let source = &self.sources[0];
        source.machine.with_files(&source.dataset, |folder| tree.write(&folder.join(label)));
        source.machine.zfs(&["snapshot", &source.snapshot(label)]);
    }

    /// Has the receiver get the snapshot `base` from the first machine.
    pub(crate) fn bring_base(&mut self) {
        let place = self.sources[0].place();
        self.begin(Way::Download, &["--snapshot", "base", "--from", &place]).finish().ok();
        self.before = OnceCell::new();
    }

    /// Starts all agents, and waits until the tracker knows everything.
    pub(crate) fn start(&mut self) {
        self.start_receiver();
        for source in &mut self.sources {
            source.start_agent();
        }
        for source in &self.sources {
            self.wait_for(source, "online");
        }
    }

    /// Starts the receiver's agent, and waits until it can receive.
    pub(crate) fn start_receiver(&mut self) {
        self.receiver.start_agent("datacenter-01", &[]);
        self.receiver.wait_registered();
    }

    /// Starts a source's agent, and waits until it is known to be online.
    pub(crate) fn start_source(&mut self, number: usize) {
        self.sources[number].start_agent();
        self.wait_for(&self.sources[number], "online");
    }

    /// Waits until a replica is shown in this state.
    pub(crate) fn wait_for(&self, source: &Source, state: &str) {
        let (path, shown) = (format!("{}: ", source.path()), source.shown(state));
        until(&format!("{path}{shown}"), || {
            let lines = self.fleet.show(&[]).ok().stdout;
            lines.lines().any(|line| line.starts_with(&path) && line.contains(&shown)).then_some(())
        });
    }

    /// Starts a transfer of `data`.
    pub(crate) fn begin(&self, way: Way, more: &[&str]) -> Process {
        self.before.get_or_init(|| Before::of(self));
        let mut words = match way {
            Way::Download => vec!["download", "data", "--to", TARGET],
            Way::Copy => {
                let to = r"datacenter-01\receiver\home\data";
                until("the receiver's pool to be online", || {
                    let dry = self.receiver.cli(&["copy", "data", to, "--dry-run"]);
                    (dry.status != 5).then_some(())
                });
                vec!["copy", "data", to]
            }
        };
        words.extend(["--json", "--progress", "lines"]);
        words.extend(more);
        self.receiver.start_cli(&words)
    }

    /// What the first source's snapshot holds.
    pub(crate) fn contents(&self, label: &str) -> Contents {
        contents(&self.sources[0].machine, &self.sources[0].dataset, label)
    }

    /// The snapshot is there with its GUID and `contents`, no process is left, and nothing else has
    /// changed on any machine.
    #[track_caller]
    pub(crate) fn assert_arrived(&self, label: &str, contents_sent: &Contents) {
        let source = &self.sources[0];
        let guid = source.machine.get(&source.snapshot(label), "guid");
        assert_eq!(self.receiver.get(&format!("{TARGET}@{label}"), "guid"), guid);
        let arrived = contents(&self.receiver, TARGET, label);
        assert!(arrived == *contents_sent, "other data arrived");
        assert_eq!(self.receiver.get(TARGET, "receive_resume_token"), "-");
        assert_eq!(self.at_work(), Vec::<String>::new());
        self.before.get().expect("a transfer").assert_only_arrived(self, label);
    }

    /// What sends or receives now.
    pub(crate) fn at_work(&self) -> Vec<String> {
        let machines = self.sources.iter().map(|source| &source.machine).chain([&self.receiver]);
        machines.flat_map(at_work).map(|stray| stray.arguments.join(" ")).collect()
    }

    /// Waits for the end of what is being killed.
    pub(crate) fn wait_for_silence(&self) {
        until("the end of all zfs processes", || self.at_work().is_empty().then_some(()));
    }

    /// How often `zfs receive` was started at the receiver.
    pub(crate) fn receives(&self) -> usize {
        calls(&self.receiver, |call| {
            call.starts_with("receive ") && !call.starts_with("receive -A")
        })
    }
}

/// Data that is enough to be cut anywhere.
pub(crate) const LITTLE: Tree = Tree { seed: 11, bytes: 16 << 20 };

/// What a filesystem's snapshot or a volume holds.
pub(crate) fn contents(machine: &Machine, dataset: &str, label: &str) -> Contents {
    if machine.get(dataset, "type") == "volume" {
        machine.contents(dataset)
    } else {
        machine.contents(&format!("{dataset}@{label}"))
    }
}

impl Summary {
    /// Of a command that succeeded.
    #[track_caller]
    pub(crate) fn of(ran: Ran) -> Self {
        let ran = ran.ok();
        let json =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"));
        Self { json, stderr: ran.stderr }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.json["bytes"].as_u64().unwrap()
    }

    /// Each source's place, its bytes, and why it was left.
    pub(crate) fn sources(&self) -> Vec<(&str, u64, Option<&str>)> {
        let sources = self.json["sources"].as_array().unwrap().iter();
        let told = sources.map(|source| {
            let place = source["place"].as_str().unwrap();
            (place, source["bytes"].as_u64().unwrap(), source["left"].as_str())
        });
        told.collect()
    }

    /// Only the places of the sources.
    pub(crate) fn places(&self) -> Vec<&str> {
        self.sources().into_iter().map(|(place, ..)| place).collect()
    }
}
