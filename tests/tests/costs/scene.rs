//! Machines that note what `zfs` and `zpool` are run for, and what stands between the programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tests::{Fleet, Machine, Ran, Tree, until};

use crate::exchange::Exchange;

pub(crate) const SENDER: &str = r"datacenter-01\sender\tank";
pub(crate) const RECEIVER: &str = r"datacenter-02\receiver\home";

/// What an agent takes to start: it lists the pools, and what is in its own.
const START: [&str; 3] = ["zfs list 2", "zpool events 1", "zpool list 1"];

/// `datacenter-01\sender\tank` has `data`, of 1 MiB, with the snapshots `one` and `two`; `receiver`
/// has something else; `laptop` has no agent.
pub(crate) struct Scene {
    pub(crate) sender: Machine,
    pub(crate) receiver: Machine,
    pub(crate) laptop: Machine,
    /// Between the cli and the tracker.
    pub(crate) tracker: Exchange,
    /// Between who receives and the sender's agent.
    pub(crate) source: Exchange,
    /// Where that listens.
    listen: String,
    // Dropped last.
    pub(crate) fleet: Fleet,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let fleet = Fleet::start_with(&["--capnp-disable-tls"]);
        let [mut sender, mut receiver, mut laptop] =
            [("sender", "tank"), ("receiver", "home"), ("laptop", "home")]
                .map(|(name, pool)| fleet.machine(name, &[pool]));
        for machine in [&mut sender, &mut receiver, &mut laptop] {
            take_notes(machine, r#"note "$@"; exec tail -f /dev/null"#);
        }
        let data = |seed| Tree { seed, bytes: 1 << 20 };
        sender.create("tank/data", data(1), "one");
        sender.with_files("tank/data", |folder| data(2).write(&folder.join("more")));
        sender.zfs(&["snapshot", "tank/data@two"]);
        receiver.create("home/other", data(3), "one");
        let tracker = Exchange::lay(["cli", "tracker"], fleet.address());
        let cable = sender.lay_cable();
        let source = Exchange::lay(["receiver", "source"], &cable.end());
        receiver.start_agent("datacenter-02", &[]);
        let listen = cable.end();
        let mut scene = Self { sender, receiver, laptop, tracker, source, listen, fleet };
        scene.start_sender();
        settle(&scene.receiver);
        scene
    }

    /// Its agent tells of all that is there by now.
    pub(crate) fn restart_sender(&mut self) {
        self.sender.agent().stop();
        self.wait_for_sender("offline");
        self.start_sender();
    }

    fn start_sender(&mut self) {
        forget(&self.sender);
        let public = format!("tcp:{}", self.source.address());
        let flags = ["--capnp-public-address", &public, "--capnp-listen-address", &self.listen];
        self.sender.start_agent("datacenter-01", &flags);
        self.wait_for_sender("online");
        settle(&self.sender);
    }

    /// A pool is online once the tracker has been told what it holds.
    fn wait_for_sender(&self, state: &str) {
        self.fleet.wait_for_show(&[
            &format!("data: {SENDER} ({state})"),
            &format!("other: {RECEIVER} (online)"),
        ]);
    }

    /// Runs the cli, which reaches the tracker over its exchange, on the laptop and to its end.
    /// Between cli and tracker, and between receiver and source, nothing but these bursts must
    /// come.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str], tracker: &[&str], source: &[&str]) -> Ran {
        for machine in [&self.sender, &self.receiver, &self.laptop] {
            forget(machine);
        }
        self.tracker.expect(tracker);
        self.tracker.lose_answers_to(if words.contains(&"holds") { "" } else { "done" });
        self.source.expect(source);
        let cap = self.cap().display().to_string();
        let ran = self.laptop.cli(&[&["--connect", &cap], words].concat()).ok();
        self.tracker.assert_over();
        self.source.assert_over();
        ran
    }

    /// user.cap, with the exchange for the tracker's address.
    fn cap(&self) -> PathBuf {
        let text = fs::read_to_string(self.fleet.cap("user")).unwrap();
        let (_, id) = text.rsplit_once('/').unwrap();
        let path = self.fleet.path("by-exchange.cap");
        // With its mode.
        fs::copy(self.fleet.cap("user"), &path).unwrap();
        fs::write(&path, format!("capnp://insecure@{}/{id}", self.tracker.address())).unwrap();
        path
    }
}

/// Has the machine's `zfs` and `zpool` note what they are run for. `zpool events` does this instead,
/// in which `note` notes it, before it tells what happens.
pub(crate) fn take_notes(machine: &mut Machine, events: &str) {
    let notes = notes(machine).display().to_string();
    machine.wrap_zfs(&format!(r#"echo zfs "$@" >>'{notes}'; exec "$ZFS" "$@""#));
    machine.wrap_zpool(&format!(
        r#"
note() {{ echo zpool "$@" >>'{notes}'; }}
if [ "$1" = events ]; then {events}; else note "$@"; fi
exec "$ZPOOL" "$@""#
    ));
}

/// What was noted so far is no matter any more.
fn forget(machine: &Machine) {
    fs::write(notes(machine), "").unwrap();
}

/// Until a machine's agent has no more processes to start.
pub(crate) fn settle(machine: &Machine) {
    until("the start of the agent", || (processes(machine) == START).then_some(()));
}

fn notes(machine: &Machine) -> PathBuf {
    machine.path("processes")
}

/// All that was noted since the last operation began.
pub(crate) fn noted(machine: &Machine) -> Vec<String> {
    let text = fs::read_to_string(notes(machine)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The processes among that: each kind, and how many there were.
pub(crate) fn processes(machine: &Machine) -> Vec<String> {
    let mut kinds = BTreeMap::<String, usize>::new();
    for line in noted(machine) {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_default();
        let (program, command, flag) = (word(), word(), word());
        let estimate = if flag == "-nvP" { " -n" } else { "" };
        *kinds.entry(format!("{program} {command}{estimate}")).or_default() += 1;
    }
    kinds.into_iter().map(|(kind, count)| format!("{kind} {count}")).collect()
}
