//! A machine that sends and one that receives; each stream is held back for as long as it is told.

use std::fs::{self, File};
use std::path::PathBuf;

use serde_json::Value;
use tests::{Fleet, Machine, Process, Ran, Tree, until};

/// Writes down what it is called for, and starts no stream of a dataset for which there is a file
/// `closed-NAME`; one that goes on by a token is called `resumed`.
const GATED: &str = r#"
echo "$@" >>"$DIR/zfs.log"
if [ "$1" = send ] && [ "$2" != -nvP ]; then
    for word; do last=$word; done
    name=${last%@*}
    name=${name##*/}
    [ "$name" != "$last" ] || name=resumed
    : >"$DIR/begun-$name"
    while [ -e "$DIR/closed-$name" ]; do sleep 0.05; done
fi
exec "$ZFS" "$@""#;

pub(crate) const SENDER: &str = r"datacenter-01\sender";
pub(crate) const RECEIVER: &str = r"datacenter-02\receiver";

/// Two machines; both can send and receive.
pub(crate) struct Scene {
    pub(crate) sender: Machine,
    pub(crate) receiver: Machine,
    // Dropped last.
    pub(crate) fleet: Fleet,
}

impl Scene {
    /// With these datasets at the sender, each of so many bytes and with the snapshot `one`; and
    /// these flags of the two agents.
    pub(crate) fn new(datasets: &[&str], bytes: u64, sends: &[&str], receives: &[&str]) -> Self {
        let fleet = Fleet::start();
        let sender = fleet.machine("sender", &["tank"]);
        let receiver = fleet.machine("receiver", &["home"]);
        for (seed, name) in (1..).zip(datasets) {
            sender.create(&format!("tank/{name}"), Tree { seed, bytes }, "one");
        }
        let mut scene = Self { sender, receiver, fleet };
        for machine in [&mut scene.sender, &mut scene.receiver] {
            let folder = machine.path("");
            machine.wrap_zfs(&format!("DIR='{}'\n{GATED}", folder.display()));
        }
        scene.sender.start_agent("datacenter-01", sends);
        scene.receiver.start_agent("datacenter-02", receives);
        scene.sender.wait_registered();
        scene.receiver.wait_registered();
        for name in datasets {
            scene.wait_for(name, SENDER);
        }
        scene
    }

    /// Until a dataset is known to be at a machine that is online.
    pub(crate) fn wait_for(&self, name: &str, machine: &str) {
        until(&format!("{name} at {machine}"), || {
            let shown = self.fleet.show(&[name]).stdout;
            let there = |place: &str| place.contains(machine) && place.contains("(online)");
            shown.split(", ").any(there).then_some(())
        });
    }

    /// Holds a dataset's streams back at this machine.
    pub(crate) fn close(&self, at: &Machine, name: &str) {
        File::create(gate(at, name)).unwrap();
    }

    /// Lets them go.
    pub(crate) fn open(&self, at: &Machine, name: &str) {
        fs::remove_file(gate(at, name)).unwrap();
    }

    /// Waits until a stream of a dataset has begun.
    pub(crate) fn wait_begun(&self, at: &Machine, name: &str) {
        until(&format!("a stream of {name}"), || has_begun(at, name).then_some(()));
    }

    /// Starts a download of a dataset into the receiver.
    pub(crate) fn download(&self, name: &str, more: &[&str]) -> Process {
        let to = format!("home/{name}");
        let words = ["download", name, "--to", &to, "--json"];
        self.receiver.start_cli(&with(&words, more))
    }

    /// Starts a copy of a dataset into the receiver.
    pub(crate) fn copy(&self, name: &str, more: &[&str]) -> Process {
        let to = format!(r"{RECEIVER}\home");
        let words = ["copy", name, &to, "--json"];
        self.receiver.start_cli(&with(&words, more))
    }

    /// The snapshot has arrived, and holds what it holds at the sender; nothing is held any more.
    #[track_caller]
    pub(crate) fn assert_arrived(&self, name: &str) {
        let (source, target) = (format!("tank/{name}@one"), format!("home/{name}@one"));
        assert_eq!(self.receiver.get(&target, "guid"), self.sender.get(&source, "guid"), "{name}");
        assert!(self.receiver.contents(&target) == self.sender.contents(&source), "{name}");
        assert!(self.sender.properties().held().is_empty(), "something is held");
    }

    /// What the sender's `zfs` was called for, but for what was only asked.
    pub(crate) fn calls(&self, command: &str) -> Vec<String> {
        let log = fs::read_to_string(self.sender.path("zfs.log")).unwrap();
        let begins =
            |call: &&str| call.split(' ').next() == Some(command) && !call.starts_with("send -nvP");
        log.lines().filter(begins).map(str::to_owned).collect()
    }
}

/// Progress is told in lines, unless the flags say otherwise.
fn with<'a>(words: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let lines: &[&str] = if more.contains(&"--progress") { &[] } else { &["--progress", "lines"] };
    [words, lines, more].concat()
}

/// Whether a stream of a dataset was begun.
pub(crate) fn has_begun(at: &Machine, name: &str) -> bool {
    at.path(&format!("begun-{name}")).exists()
}

fn gate(at: &Machine, name: &str) -> PathBuf {
    at.path(&format!("closed-{name}"))
}

/// What a command that was run with --json has printed, once it succeeded.
#[track_caller]
pub(crate) fn summary(ran: Ran) -> Value {
    let ran = ran.ok();
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"))
}

/// What a transfer that waits says.
pub(crate) fn waits(machine: &str, ahead: usize) -> String {
    format!("waits for its turn at {machine}: {ahead} before it")
}
