//! Whoever is killed in mid-transfer: the others say what happened, no `zfs` is left at work, the
//! destination has no complete snapshot, and the same command run again succeeds.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tests::{Contents, Fleet, Machine, Process, Ran, Signal, Stray, Tree, is_real, until};

/// Holds each `zfs send` back after 1 MiB, while the file `hold` exists, and makes the file
/// `holding`. The process that is started stays the one that sends.
const HELD_BACK: &str = r#"
if [ "$1" = send ] && [ "$2" != -nvP ] && [ -e "$DIR/hold" ]; then
    mkfifo "$DIR/pipe-$$"
    {
        dd bs=64k count=16 iflag=fullblock 2>/dev/null
        : >"$DIR/holding"
        while [ -e "$DIR/hold" ]; do sleep 0.05; done
        cat
    } <"$DIR/pipe-$$" &
    exec "$ZFS" "$@" >"$DIR/pipe-$$"
fi
exec "$ZFS" "$@""#;

const DOWNLOAD: [&str; 4] = ["download", "data", "--to", "home/data"];
const COPY: [&str; 4] = ["copy", "data", r"datacenter-02\receiver\home", "--quiet"];

/// A sender whose streams can be held back, and a receiver, both with agents.
struct Scene {
    sender: Machine,
    receiver: Machine,
    fleet: Fleet,
    contents: Contents,
    hold: PathBuf,
    holding: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let fleet = Fleet::start();
        let mut receiver = fleet.machine("receiver", &["home"]);
        receiver.start_agent("datacenter-02", &[]);
        let mut sender = fleet.machine("sender", &["tank"]);
        sender.create("tank/data", Tree { seed: 7, bytes: 16 << 20 }, "s");
        let contents = sender.contents("tank/data@s");
        let folder = sender.path("");
        sender.wrap_zfs(&format!("DIR='{}'\n{HELD_BACK}", folder.display()));
        sender.start_agent("datacenter-01", &[]);
        let (hold, holding) = (sender.path("hold"), sender.path("holding"));
        let scene = Self { sender, receiver, fleet, contents, hold, holding };
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

    /// Starts a transfer, and waits until bytes of it have arrived and no more come.
    fn begin(&self, arguments: &[&str]) -> Process {
        fs::write(&self.hold, "").unwrap();
        let cli = self.receiver.start_cli(arguments);
        until("a transfer under way", || {
            let partial = self.receiver.try_zfs(&["list", "-H", "home/data"]).status == 0;
            (self.holding.exists() && partial).then_some(())
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

    /// The same command succeeds.
    fn again(&self, arguments: &[&str]) {
        self.receiver.cli(arguments).ok();
        self.all_is_there();
    }

    fn all_is_there(&self) {
        let guid = self.sender.get("tank/data@s", "guid");
        assert_eq!(self.receiver.get("home/data@s", "guid"), guid);
        assert!(self.receiver.contents("home/data@s") == self.contents, "other files arrived");
    }

    fn sending(&self) -> Stray {
        only(self.sender.strays(), "send")
    }

    fn receiving(&self) -> Stray {
        only(self.receiver.strays(), "receive")
    }
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
        (!is_real() || place.contains("pipe_read")).then_some(())
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

fn says_signal(ran: Ran, operation: &str) {
    let first = ran.stderr.lines().find(|line| line.starts_with("cannot ")).unwrap_or_default();
    assert!(first.starts_with(operation) && first.contains("signal: 9"), "{ran:#?}");
}

#[test]
fn killing_zfs_send_is_told_to_the_receiver() {
    for arguments in [DOWNLOAD, COPY] {
        let scene = Scene::new();
        let cli = scene.begin(&arguments);
        scene.sending().signal(Signal::KILL);
        scene.release();
        says_signal(cli.finish().expect(1), "cannot send 'tank/data@s'");
        scene.nothing_is_left();
        scene.again(&arguments);
    }
}

#[test]
fn killing_zfs_receive_is_told_to_the_user() {
    for arguments in [DOWNLOAD, COPY] {
        let scene = Scene::new();
        let cli = scene.begin(&arguments);
        let receiving = scene.receiving();
        wait_until_hungry(&receiving);
        receiving.signal(Signal::KILL);
        scene.release();
        says_signal(cli.finish().expect(1), "cannot receive into 'home/data'");
        scene.wait_for_silence();
        scene.nothing_is_left();
        scene.again(&arguments);
    }
}

#[test]
fn killing_the_sending_agent_takes_its_zfs_send_along() {
    for arguments in [DOWNLOAD, COPY] {
        let mut scene = Scene::new();
        let cli = scene.begin(&arguments);
        let children = children(scene.sender.agent().pid());
        scene.sender.agent().kill();
        wait_until_gone(&children);
        cli.finish().expect(1).says("The connection was lost. Run the command again.");
        scene.wait_for_silence();
        scene.nothing_is_left();
        scene.release();
        scene.sender.start_agent("datacenter-01", &[]);
        scene.wait_for_both();
        scene.again(&arguments);
    }
}

#[test]
fn killing_the_receiving_agent_ends_the_copy() {
    let mut scene = Scene::new();
    let mut cli = scene.begin(&COPY[..3]);
    let children = children(scene.receiver.agent().pid());
    scene.receiver.agent().kill();
    wait_until_gone(&children);
    cli.wait_for_line("lost sight of the transfer");
    scene.wait_for_silence();
    scene.nothing_is_left();
    scene.release();
    scene.receiver.start_agent("datacenter-02", &[]);
    cli.finish().expect(1).says("this agent knows of no such transfer");
    scene.wait_for_both();
    scene.again(&COPY);
}

#[test]
fn killing_the_tracker_hurts_no_direct_download() {
    let mut scene = Scene::new();
    let cli = scene.begin(&DOWNLOAD);
    scene.fleet.tracker().kill();
    scene.release();
    cli.finish().ok();
    scene.all_is_there();
    scene.fleet.start_tracker();
}

#[test]
fn a_direct_copy_goes_on_without_the_tracker_and_is_found_again() {
    let mut scene = Scene::new();
    let mut cli = scene.begin(&COPY[..3]);
    scene.fleet.tracker().kill();
    cli.wait_for_line("lost sight of the transfer");
    scene.release();
    until("a complete snapshot while there is no tracker", || {
        scene.receiver.has("home/data@s").then_some(())
    });
    scene.fleet.start_tracker();
    cli.finish().ok().says("the transfer is in sight again");
    scene.all_is_there();
}

#[test]
fn killing_the_cli_ends_its_download() {
    let scene = Scene::new();
    scene.begin(&DOWNLOAD).kill();
    scene.wait_for_silence();
    scene.nothing_is_left();
    scene.release();
    scene.again(&DOWNLOAD);
}

#[test]
fn killing_the_cli_cancels_its_copy() {
    let scene = Scene::new();
    scene.begin(&COPY).kill();
    scene.wait_for_silence();
    scene.nothing_is_left();
    scene.release();
    scene.again(&COPY);
}

#[test]
fn ctrl_c_ends_a_download_or_copy_and_leaves_nothing() {
    for arguments in [DOWNLOAD, COPY] {
        let scene = Scene::new();
        let cli = scene.begin(&arguments);
        let started = Instant::now();
        cli.signal(Signal::INT);
        cli.finish().expect(130).says("it was cancelled");
        let took = started.elapsed();
        eprintln!("measured: {} ended {took:.1?} after Ctrl-C in mid-transfer", arguments[0]);
        // It waited for the receiver's process, and the sender's follows.
        let receiving: Vec<_> =
            scene.receiver.strays().into_iter().filter(|stray| !is_wrapper(stray)).collect();
        assert!(receiving.is_empty(), "{receiving:?}");
        scene.wait_for_silence();
        scene.nothing_is_left();
        scene.release();
        scene.again(&arguments);
    }
}

#[test]
fn an_agent_that_is_asked_to_end_stops_its_processes_within_10_s() {
    for stopped in ["sender", "receiver"] {
        let mut scene = Scene::new();
        let cli = scene.begin(&COPY);
        let started = Instant::now();
        let machine = if stopped == "sender" { &mut scene.sender } else { &mut scene.receiver };
        let status = machine.agent().stop();
        let took = started.elapsed();
        eprintln!("measured: the {stopped}'s agent ended {took:.1?} after SIGTERM in mid-transfer");
        assert_eq!(status.code(), Some(0), "{status}");
        assert!(took < Duration::from_secs(10), "{took:?}");
        let own = if stopped == "sender" { &scene.sender } else { &scene.receiver };
        let own: Vec<_> = own.strays().into_iter().filter(|stray| !is_wrapper(stray)).collect();
        assert!(own.is_empty(), "{own:?}");
        scene.release();
        if stopped == "sender" {
            cli.finish().expect(1).says("Run the command again.");
            scene.sender.start_agent("datacenter-01", &[]);
        } else {
            scene.receiver.start_agent("datacenter-02", &[]);
            let ran = cli.finish();
            assert_ne!(ran.status, 0, "{ran:#?}");
        }
        scene.wait_for_silence();
        scene.nothing_is_left();
        scene.wait_for_both();
        scene.again(&COPY);
    }
}
