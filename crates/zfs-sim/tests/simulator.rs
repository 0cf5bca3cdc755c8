//! What zfs-sim has beyond the real commands: knobs for faults and load, and state that processes share.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);

/// A state folder with the pools `tank` and `back`.
struct Sim(TempDir);

impl Sim {
    fn new() -> Self {
        let sim = Self(TempDir::new().unwrap());
        sim.ok(sim.zpool().args(["create", "tank", "/dev/null"]));
        sim.ok(sim.zpool().args(["create", "back", "/dev/null"]));
        sim
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("ZFS_SIM_ROOT", self.0.path().join("state")).stdin(Stdio::null());
        command
    }

    fn zfs(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_zfs-sim"))
    }

    fn zpool(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_zpool-sim"))
    }

    fn ok(&self, command: &mut Command) -> String {
        let Output { status, stdout, stderr } = command.output().unwrap();
        assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    fn data(&self, name: &str) -> PathBuf {
        PathBuf::from(self.ok(self.zfs().args(["path", name])).trim_end_matches('\n'))
    }

    /// Makes `tank/a@s` with a file of 1 MB.
    fn megabyte(&self) {
        self.ok(self.zfs().args(["create", "tank/a"]));
        fs::write(self.data("tank/a").join("file"), vec![7; 1_000_000]).unwrap();
        self.ok(self.zfs().args(["snapshot", "tank/a@s"]));
    }
}

fn wait_for(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < DEADLINE, "{} never came", path.display());
        std::thread::yield_now();
    }
}

#[test]
fn a_send_pauses_where_it_is_told_and_goes_on_when_it_may() {
    let sim = Sim::new();
    sim.megabyte();
    let go_on = sim.0.path().join("go-on");
    let mut send = sim.zfs();
    send.args(["send", "tank/a@s"])
        .env("ZFS_SIM_SEND_PAUSE_AT", "300000")
        .env("ZFS_SIM_SEND_PAUSE_UNTIL", &go_on);
    let mut send = send.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = send.stdout.take().unwrap();
    let mut first = vec![0; 300_000];
    stdout.read_exact(&mut first).unwrap();
    wait_for(&sim.0.path().join("go-on.waiting"));
    assert!(send.try_wait().unwrap().is_none());
    fs::write(go_on, "").unwrap();
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    assert!(send.wait().unwrap().success());
    assert!(rest.len() > 700_000, "{} bytes after the pause", rest.len());
}

#[test]
fn a_rate_holds_a_send_back() {
    let sim = Sim::new();
    sim.megabyte();
    let began = Instant::now();
    let sent =
        sim.zfs().args(["send", "tank/a@s"]).env("ZFS_SIM_SEND_RATE", "2000000").output().unwrap();
    assert!(sent.status.success());
    assert!(
        began.elapsed() >= Duration::from_millis(400),
        "1 MB at 2 MB/s took {:?}",
        began.elapsed()
    );
}

#[test]
fn a_send_fails_where_it_is_told() {
    let sim = Sim::new();
    sim.megabyte();
    let sent = sim
        .zfs()
        .args(["send", "tank/a@s"])
        .env("ZFS_SIM_SEND_FAIL_AT", "300000")
        .output()
        .unwrap();
    assert_eq!(sent.status.code(), Some(1));
    assert_eq!(sent.stdout.len(), 300_000);
    assert_eq!(
        String::from_utf8_lossy(&sent.stderr),
        "warning: cannot send 'tank/a@s': Input/output error\n"
    );
}

#[test]
fn a_volumes_bytes_arrive_and_its_holes_stay_holes() {
    let sim = Sim::new();
    sim.ok(sim.zfs().args(["create", "-s", "-V", "1G", "tank/v"]));
    let file = OpenOptions::new().write(true).open(sim.data("tank/v")).unwrap();
    file.write_all_at(b"first", 0).unwrap();
    file.write_all_at(b"middle", 600_000_001).unwrap();
    sim.ok(sim.zfs().args(["snapshot", "tank/v@s"]));
    file.write_all_at(b"later", 0).unwrap();
    let stream = sim.zfs().args(["send", "tank/v@s"]).output().unwrap().stdout;
    assert!(stream.len() < 1_000_000, "{} bytes for two blocks", stream.len());
    let mut receive =
        sim.zfs().args(["receive", "-s", "-u", "back/v"]).stdin(Stdio::piped()).spawn().unwrap();
    receive.stdin.take().unwrap().write_all(&stream).unwrap();
    assert!(receive.wait().unwrap().success());
    let received = fs::File::open(sim.data("back/v")).unwrap();
    assert_eq!(received.metadata().unwrap().len(), 1 << 30);
    let mut found = [0; 6];
    received.read_exact_at(&mut found, 600_000_001).unwrap();
    assert_eq!(&found, b"middle");
    received.read_exact_at(&mut found, 0).unwrap();
    assert_eq!(&found, b"first\0");
}

#[test]
fn processes_share_the_state() {
    let sim = Sim::new();
    let creates = |worker: u32| {
        for n in 0..10 {
            sim.ok(sim.zfs().args(["create", &format!("tank/w{worker}-{n}")]));
        }
    };
    std::thread::scope(|scope| {
        (0..8).for_each(|worker| drop(scope.spawn(move || creates(worker))))
    });
    let listed = sim.ok(sim.zfs().args(["list", "-Hp", "-o", "guid,createtxg", "-r", "tank"]));
    let unique: std::collections::HashSet<_> = listed.lines().collect();
    assert_eq!((listed.lines().count(), unique.len()), (81, 81));
    let events = sim.ok(sim.zpool().args(["events", "-Hv"]));
    assert_eq!(events.matches("history_internal_name = \"create\"").count(), 80);
}

#[test]
fn a_change_that_was_cut_short_never_was() {
    let sim = Sim::new();
    sim.ok(sim.zfs().args(["create", "tank/a"]));
    sim.ok(sim.zfs().args(["create", "tank/b"]));
    let index = sim.0.path().join("state/pools/tank/index");
    let whole = fs::read(&index).unwrap();
    let last = whole.windows(6).position(|bytes| bytes == b"tank/b").unwrap();
    let line = whole[..last].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in line..whole.len() {
        fs::write(&index, &whole[..cut]).unwrap();
        assert_eq!(
            sim.ok(sim.zfs().args(["list", "-Hp", "-o", "name", "-r", "tank"])),
            "tank\ntank/a\n",
            "cut at {cut}"
        );
    }
    sim.ok(sim.zfs().args(["create", "tank/c"]));
    assert_eq!(
        sim.ok(sim.zfs().args(["list", "-Hp", "-o", "name", "-r", "tank"])),
        "tank\ntank/a\ntank/c\n"
    );
}

#[test]
fn fifty_thousand_datasets_are_listed() {
    let sim = Sim::new();
    sim.ok(sim.zfs().args(["populate", "tank", "50000"]));
    let began = Instant::now();
    let listed = sim.ok(sim.zfs().args([
        "list",
        "-Hp",
        "-t",
        "filesystem,volume",
        "-o",
        "name,guid,used",
        "-r",
        "tank",
    ]));
    println!("50,000 datasets listed in {:?}", began.elapsed());
    assert_eq!(listed.lines().count(), 50_001);
    let snapshots = sim.ok(sim.zfs().args([
        "list",
        "-Hp",
        "-t",
        "snapshot,bookmark",
        "-o",
        "name,guid",
        "-r",
        "tank",
    ]));
    assert_eq!(snapshots.lines().count(), 50_000);
}
