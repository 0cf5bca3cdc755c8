//! Two machines: one sends, one receives. Streams can be held back at either end.

use std::fs;

use serde_json::Value;
use tests::{Fleet, Machine, Process, Tree, is_real, until};

/// Holds one stream back after 1 MiB, while the file `held` exists, if the file `hold` tells of its
/// kind, `send` or `receive`. The process that is started stays the one that sends or receives.
///
/// If `hold` says `commit`, a receive is held back once it has been given the whole stream.
///
/// The file `broken` names a command that fails; with the file `tiny`, all streams are said to be of
/// a byte; with the file `powerless`, no receive sets a property, and none says so.
const HELD_BACK: &str = r#"
slowly() {
    dd bs=64k count=16 iflag=fullblock 2>/dev/null
    : >"$DIR/holding"
    while [ -e "$DIR/held" ]; do sleep 0.05; done
    cat
}
if [ "$2" != -nvP ] && [ "$(cat "$DIR/hold" 2>/dev/null)" = "$1" ] &&
    mv "$DIR/hold" "$DIR/held" 2>/dev/null; then
    mkfifo "$DIR/pipe-$$"
    if [ "$1" = send ]; then
        slowly <"$DIR/pipe-$$" &
        exec "$ZFS" "$@" >"$DIR/pipe-$$"
    fi
    exec 3<&0
    slowly <&3 >"$DIR/pipe-$$" &
    exec 3<&- "$ZFS" "$@" <"$DIR/pipe-$$"
fi
if [ "$1" = receive ] && [ "$(cat "$DIR/hold" 2>/dev/null)" = commit ]; then
    mv "$DIR/hold" "$DIR/held"
    cat >"$DIR/stream"
    : >"$DIR/holding"
    while [ -e "$DIR/held" ]; do sleep 0.05; done
    exec "$ZFS" "$@" <"$DIR/stream"
fi
if [ "$1" = receive ] && [ -e "$DIR/powerless" ]; then
    for word; do
        shift
        case $before$word in
        -o*) ;;
        *) set -- "$@" "$word" ;;
        esac
        case $word in -o) before=-o ;; *) before= ;; esac
    done
fi
if [ -e "$DIR/broken" ] && [ "$(cat "$DIR/broken")" = "$1 $2" ]; then
    echo "cannot $1: the moon is in the wrong phase" >&2
    exit 1
fi
if [ -e "$DIR/tiny" ] && [ "$1 $2" = "send -nvP" ]; then
    "$ZFS" "$@" | sed 's/^size\t.*/size\t1/'
    exit
fi
exec "$ZFS" "$@""#;

pub(crate) const SENDER: &str = r"datacenter-01\sender\tank";
pub(crate) const DOWNLOAD: [&str; 4] = ["download", "data", "--to", "home/data"];
pub(crate) const COPY: [&str; 3] = ["copy", "data", r"datacenter-02\receiver\home"];

/// Seconds in which a source that isn't held back sends something, on whatever machine.
pub(crate) fn stall() -> u32 {
    if is_real() { 15 } else { 2 }
}

/// A machine that has datasets, and one that gets them.
pub(crate) struct Scene {
    pub(crate) sender: Machine,
    pub(crate) receiver: Machine,
    // Dropped last.
    pub(crate) fleet: Fleet,
}

impl Scene {
    /// With `tank/data@one` at the sender, of so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let fleet = Fleet::start();
        let mut sender = fleet.machine("sender", &["tank"]);
        let mut receiver = fleet.machine("receiver", &["home"]);
        sender.create("tank/data", Tree { seed: 1, bytes }, "one");
        for machine in [&mut sender, &mut receiver] {
            let folder = machine.path("");
            machine.wrap_zfs(&format!("DIR='{}'\n{HELD_BACK}", folder.display()));
        }
        sender.start_agent("datacenter-01", &[]);
        receiver.start_agent("datacenter-02", &[]);
        sender.wait_registered();
        receiver.wait_registered();
        let scene = Self { sender, receiver, fleet };
        scene.wait_until_known("data", "one");
        scene
    }

    /// Changes a dataset of the sender's and takes a snapshot, of which the tracker knows then.
    pub(crate) fn advance(&self, path: &str, snapshot: &str) {
        let name = format!("tank/{path}");
        self.sender.with_files(&name, |folder| fs::write(folder.join(snapshot), snapshot).unwrap());
        self.sender.zfs(&["snapshot", &format!("{name}@{snapshot}")]);
        self.wait_until_known(path, snapshot);
    }

    /// Until the tracker knows this snapshot as the sender's newest.
    pub(crate) fn wait_until_known(&self, path: &str, snapshot: &str) {
        let guid = self.sender.get(&format!("tank/{path}@{snapshot}"), "guid");
        until(&format!("{path}@{snapshot} to be known"), || {
            let shown = self.fleet.show(&[path, "--json"]);
            let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
            let replicas = shown[0]["replicas"].as_array()?;
            let at_source = replicas.iter().find(|replica| replica["place"] == SENDER)?;
            (at_source["newest"]["guid"] == *guid).then_some(())
        });
    }

    /// The snapshot is at the receiver, and holds what it holds at the sender.
    #[track_caller]
    pub(crate) fn assert_arrived(&self, source: &str, target: &str) {
        assert_eq!(self.receiver.get(target, "guid"), self.sender.get(source, "guid"), "{target}");
        assert!(self.receiver.contents(target) == self.sender.contents(source), "{target}");
        assert!(self.sender.properties().held().is_empty(), "something is held");
    }

    /// Starts the cli at the receiver; returns when a stream is under way there and held back, at
    /// the machine and by the command (`send` or `receive`) given.
    pub(crate) fn begin(&self, at: &Machine, command: &str, arguments: &[&str]) -> Process {
        fs::write(at.path("hold"), command).unwrap();
        let cli = self.receiver.start_cli(arguments);
        until("a stream that is held back", || at.path("holding").exists().then_some(()));
        if command == "send" {
            until("a first receive that could be gone on with", || {
                let token = ["get", "-Hp", "-o", "value", "receive_resume_token", "home/data"];
                let got = self.receiver.try_zfs(&token);
                (got.status == 0 && got.stdout.trim_end() != "-").then_some(())
            });
        }
        cli
    }

    /// Lets the stream go on.
    pub(crate) fn release(&self, at: &Machine) {
        for name in ["held", "holding"] {
            fs::remove_file(at.path(name)).unwrap();
        }
    }

    /// Nobody sends or receives any more.
    pub(crate) fn wait_for_silence(&self) {
        until("the end of all zfs processes", || {
            let at_work = [&self.sender, &self.receiver].map(|machine| machine.strays().len());
            (at_work == [0, 0]).then_some(())
        });
    }

    /// A transfer is cut in mid-stream, by the end of the cli, and leaves what has arrived.
    pub(crate) fn interrupt(&self, arguments: &[&str]) {
        self.begin(&self.sender, "send", arguments).kill();
        self.release(&self.sender);
        self.wait_for_silence();
        assert_ne!(self.receiver.get("home/data", "receive_resume_token"), "-");
    }
}

/// What a command that was run with --json has printed.
#[track_caller]
pub(crate) fn document(ran: &tests::Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"))
}
