//! Whoever is killed in mid-transfer: the transfer goes on by itself with what has arrived. Where it
//! may not, the others say what happened, no `zfs` is left at work, the destination has no complete
//! snapshot, and the same command run again goes on.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

mod by_itself;
mod said_and_kept;

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tests::{Contents, Fleet, Machine, Process, Properties, Ran, Stray, Tree, is_real, until};
use zfs::ResumeToken;

/// Holds each `zfs send` back after 4 MiB, while the file `hold` exists, and makes the file
/// `holding`. The process that is started stays the one that sends.
const HELD_BACK: &str = r#"
if [ "$1" = send ] && [ "$2" != -nvP ] && [ -e "$DIR/hold" ]; then
    mkfifo "$DIR/pipe-$$"
    {
        dd bs=64k count=64 iflag=fullblock 2>/dev/null
        : >"$DIR/holding"
        while [ -e "$DIR/hold" ]; do sleep 0.05; done
        cat
    } <"$DIR/pipe-$$" &
    exec "$ZFS" "$@" >"$DIR/pipe-$$"
fi
exec "$ZFS" "$@""#;

const DOWNLOAD: [&str; 4] = ["download", "data", "--to", "home/data"];
const COPY: [&str; 3] = ["copy", "data", r"datacenter-02\receiver\home"];
/// The first failure is told, and nothing is tried again.
const AT_ONCE: [&str; 2] = ["--timeout", "0s"];
/// Bytes of data, which can't be compressed; streams are little longer.
const WHOLE: u64 = 16 << 20;

/// A sender whose streams can be held back, and a receiver, both with agents.
struct Scene {
    sender: Machine,
    receiver: Machine,
    fleet: Fleet,
    contents: Contents,
    before: Properties,
    hold: PathBuf,
    holding: PathBuf,
    /// Of what arrives by the command that was begun last.
    readonly: Cell<&'static str>,
}

impl Scene {
    fn new() -> Self {
        let fleet = Fleet::start();
        let mut receiver = fleet.machine("receiver", &["home"]);
        receiver.start_agent("datacenter-02", &[]);
        let mut sender = fleet.machine("sender", &["tank"]);
        sender.create("tank/data", Tree { seed: 7, bytes: WHOLE }, "s");
        let (contents, before) = (sender.contents("tank/data@s"), sender.properties());
        let folder = sender.path("");
        sender.wrap_zfs(&format!("DIR='{}'\n{HELD_BACK}", folder.display()));
        sender.start_agent("datacenter-01", &[]);
        let (hold, holding) = (sender.path("hold"), sender.path("holding"));
        let readonly = Cell::default();
        let scene = Self { sender, receiver, fleet, contents, before, hold, holding, readonly };
        scene.wait_for_both();
        scene
    }

    /// Until both are online and their pools known.
    fn wait_for_both(&self) {
        until("both machines to be online", || {
            let copy = [&COPY[..], &["--dry-run"]].concat();
            (self.receiver.cli(&copy).status == 0).then_some(())
        });
    }

    /// Starts a transfer, and waits until megabytes of it have arrived for good and no more come.
    fn begin(&self, arguments: &[&str]) -> Process {
        fs::write(&self.hold, "").unwrap();
        self.readonly.set(if arguments[0] == "copy" { "on" } else { "off" });
        let cli = self.receiver.start_cli(arguments);
        until("a transfer under way", || {
            let get = ["get", "-H", "-o", "value", "receive_resume_token", "home/data"];
            let token: ResumeToken = self.receiver.try_zfs(&get).stdout.trim_end().parse().ok()?;
            (self.holding.exists() && token.bytes > 2 << 20).then_some(())
        });
        cli
    }

    /// Lets held back streams go on, and holds no others.
    fn release(&self) {
        fs::remove_file(&self.hold).unwrap();
        fs::remove_file(&self.holding).unwrap();
    }

    /// Nothing is left of the transfer but what it can be gone on with.
    #[track_caller]
    fn nothing_is_left(&self) {
        assert_eq!(self.at_work(), Vec::<String>::new());
        assert!(!self.receiver.has("home/data@s"), "a snapshot of a cut stream");
    }

    /// The processes of both machines that send or receive; waits for those that are being killed.
    fn wait_for_silence(&self) {
        until("the end of all zfs processes", || self.at_work().is_empty().then_some(()));
    }

    fn at_work(&self) -> Vec<String> {
        let all = self.sender.strays().into_iter().chain(self.receiver.strays());
        all.filter(|stray| !is_wrapper(stray)).map(|stray| stray.arguments.join(" ")).collect()
    }

    /// The same command succeeds, with less than the whole.
    #[track_caller]
    fn again(&self, arguments: &[&str]) {
        // What the cut transfer needs is kept for it, whatever happens meanwhile.
        assert_eq!(self.sender.properties().held(), ["tank/data@s"]);
        let ran = self.receiver.cli(&[arguments, &["--json"]].concat()).ok();
        let bytes = received(&ran);
        assert!(bytes < WHOLE - (2 << 20), "it began anew: {bytes} bytes");
        self.all_is_there();
    }

    /// What was sent, and nothing else at either side.
    #[track_caller]
    fn all_is_there(&self) {
        let guid = self.sender.get("tank/data@s", "guid");
        assert_eq!(self.receiver.get("home/data@s", "guid"), guid);
        assert!(self.receiver.contents("home/data@s") == self.contents, "other files arrived");
        let there = self.receiver.properties();
        assert_eq!(there.names(), ["home", "home/data", "home/data@s"]);
        // As by the first receive, however many went on with it.
        assert_eq!(there.value("home/data", "canmount"), Some("noauto"));
        assert_eq!(there.value("home/data", "readonly"), Some(self.readonly.get()));
        assert!(there.value("home/data", "zatlas:transfer").is_some(), "it is not marked as ours");
        assert!(there.held().is_empty(), "{:?}", there.held());
        let bookmark = self.sender.bookmark_of("tank/data@s");
        self.sender.properties().assert_only_new(&self.before, &[&bookmark]);
        self.wait_for_silence();
    }

    fn sending(&self) -> Stray {
        only(self.sender.strays(), "send")
    }

    fn receiving(&self) -> Stray {
        only(self.receiver.strays(), "receive")
    }
}

/// Bytes of stream, by the document on standard output.
fn received(ran: &Ran) -> u64 {
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    document["bytes"].as_u64().unwrap()
}

/// The wrapper's own helper, which ends once streams are released.
fn is_wrapper(stray: &Stray) -> bool {
    stray.arguments.iter().take(2).any(|word| word.ends_with("zfs-wrapped"))
}

fn only(strays: Vec<Stray>, verb: &str) -> Stray {
    let is_it =
        |stray: &Stray| !is_wrapper(stray) && stray.arguments.iter().any(|word| word == verb);
    let mut found: Vec<Stray> = strays.into_iter().filter(is_it).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Waits until a real `zfs receive` has taken in all that came. Killed before, it may go on in the
/// kernel for as long as more comes, to the end even.
fn wait_until_hungry(receiving: &Stray) {
    let waits_in = format!("/proc/{}/wchan", receiving.pid);
    until("a receive that waits for more", || {
        let place = fs::read_to_string(&waits_in).unwrap_or_default();
        (!is_real() || place.starts_with("unix_stream_read")).then_some(())
    });
}

/// The processes that one has started: an agent's `zfs send` or `receive`, and `zpool events`.
fn children(parent: u32) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let is_child = |process: &PathBuf| {
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{parent}"))
    };
    let children: Vec<PathBuf> = processes.filter(is_child).collect();
    assert!(children.len() >= 2, "{children:?}");
    children
}

fn wait_until_gone(processes: &[PathBuf]) {
    until("the end of the agent's processes", || {
        processes.iter().all(|process| !process.exists()).then_some(())
    });
}
