//! Knobs and kills in the middle of increments and resumed streams: what came is kept, and what comes next
//! goes on from there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);
const MEGABYTE: usize = 1 << 20;

/// `tank/a@1` and `tank/a@2` of 4 MB each, and the first of them in `back/a`.
struct Sim(TempDir);

impl Sim {
    fn new() -> Self {
        let sim = Self(TempDir::new().unwrap());
        let pool = |name| {
            sim.command(env!("CARGO_BIN_EXE_zpool-sim")).args(["create", name, "-"]).status()
        };
        assert!(pool("tank").unwrap().success() && pool("back").unwrap().success());
        sim.ok(sim.zfs(&["create", "tank/a"]));
        for state in [1_u8, 2] {
            fs::write(sim.data("tank/a").join("file"), noise(state)).unwrap();
            sim.ok(sim.zfs(&["snapshot", &format!("tank/a@{state}")]));
        }
        let stream = sim.zfs(&["send", "tank/a@1"]).output().unwrap().stdout;
        assert!(sim.receive(&stream, "back/a", &[]).status.success());
        sim
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("ZFS_SIM_ROOT", self.0.path().join("state")).stdin(Stdio::null());
        command
    }

    fn zfs(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_zfs-sim"));
        command.args(arguments);
        command
    }

    fn ok(&self, mut command: Command) -> String {
        let Output { status, stdout, stderr } = command.output().unwrap();
        assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    fn data(&self, name: &str) -> PathBuf {
        PathBuf::from(self.ok(self.zfs(&["path", name])).trim_end_matches('\n'))
    }

    fn token(&self) -> String {
        let get = ["get", "-Hp", "-o", "value", "receive_resume_token", "back/a"];
        self.ok(self.zfs(&get)).trim().to_owned()
    }

    fn increment(&self) -> Vec<u8> {
        self.zfs(&["send", "-i", "@1", "tank/a@2"]).output().unwrap().stdout
    }

    fn begin_receive(&self, into: &str, environment: &[(&str, &Path)]) -> Child {
        let mut receive = self.zfs(&["receive", "-s", "-u", into]);
        receive.envs(environment.iter().copied()).stdin(Stdio::piped()).stderr(Stdio::piped());
        receive.spawn().unwrap()
    }

    fn receive(&self, stream: &[u8], into: &str, environment: &[(&str, &Path)]) -> Output {
        let mut receive = self.begin_receive(into, environment);
        // A receive that fails on the way reads no more.
        let _ = receive.stdin.take().unwrap().write_all(stream);
        receive.wait_with_output().unwrap()
    }

    /// Resumes until all is there, and looks at it.
    fn resume(&self) {
        let rest = self.zfs(&["send", "-t", &self.token()]).output().unwrap();
        assert!(rest.status.success(), "{}", String::from_utf8_lossy(&rest.stderr));
        let received = self.receive(&rest.stdout, "back/a", &[]);
        assert!(received.status.success(), "{}", String::from_utf8_lossy(&received.stderr));
        self.assert_complete();
    }

    fn assert_complete(&self) {
        assert_eq!(self.token(), "-");
        assert!(fs::read(self.data("back/a").join("file")).unwrap() == noise(2));
        assert!(fs::read(self.data("back/a@2").join("file")).unwrap() == noise(2));
        assert!(fs::read(self.data("back/a@1").join("file")).unwrap() == noise(1));
    }
}

/// 4 MB that differ from state to state.
fn noise(state: u8) -> Vec<u8> {
    (0..4 * MEGABYTE as u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ state)
        .collect()
}

fn wait_for(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < DEADLINE, "{} never came", path.display());
        std::thread::yield_now();
    }
}

#[test]
fn a_receive_fails_where_it_is_told_and_keeps_what_came() {
    let sim = Sim::new();
    let failed = sim.receive(
        &sim.increment(),
        "back/a",
        &[("ZFS_SIM_RECEIVE_FAIL_AT", Path::new("2000000"))],
    );
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&failed.stderr),
        "cannot receive incremental stream: I/O error\n"
    );
    assert_ne!(sim.token(), "-");
    sim.resume();
}

#[test]
fn a_receive_takes_nothing_while_it_is_busy() {
    let sim = Sim::new();
    let go_on = sim.0.path().join("go-on");
    let mut receive = sim.begin_receive(
        "back/a",
        &[
            ("ZFS_SIM_RECEIVE_PAUSE_AT", Path::new("2000000")),
            ("ZFS_SIM_RECEIVE_PAUSE_UNTIL", &go_on),
        ],
    );
    let (mut stdin, stream) = (receive.stdin.take().unwrap(), sim.increment());
    let fed = std::thread::spawn(move || stdin.write_all(&stream));
    wait_for(&sim.0.path().join("go-on.waiting"));
    assert!(receive.try_wait().unwrap().is_none());
    assert!(!fed.is_finished(), "a pipe takes far less than what is left");
    fs::write(go_on, "").unwrap();
    fed.join().unwrap().unwrap();
    assert!(receive.wait().unwrap().success());
    sim.assert_complete();
}

#[test]
fn increments_and_resumed_streams_fail_and_pause_where_they_are_told() {
    let sim = Sim::new();
    let mut send = sim.zfs(&["send", "-i", "@1", "tank/a@2"]);
    let cut = send.env("ZFS_SIM_SEND_FAIL_AT", "1500000").output().unwrap();
    assert_eq!((cut.status.code(), cut.stdout.len()), (Some(1), 1_500_000));
    assert_eq!(sim.receive(&cut.stdout, "back/a", &[]).status.code(), Some(1));
    let mut resume = sim.zfs(&["send", "-t", &sim.token()]);
    let cut = resume.env("ZFS_SIM_SEND_FAIL_AT", "1000000").output().unwrap();
    assert_eq!((cut.status.code(), cut.stdout.len()), (Some(255), 1_000_000));
    assert_eq!(sim.receive(&cut.stdout, "back/a", &[]).status.code(), Some(1));
    let go_on = sim.0.path().join("go-on");
    let mut resume = sim.zfs(&["send", "-t", &sim.token()]);
    resume.env("ZFS_SIM_SEND_PAUSE_AT", "700000").env("ZFS_SIM_SEND_PAUSE_UNTIL", &go_on);
    let mut resume = resume.stdout(Stdio::piped()).spawn().unwrap();
    let mut rest = vec![0; 700_000];
    resume.stdout.as_mut().unwrap().read_exact(&mut rest).unwrap();
    wait_for(&sim.0.path().join("go-on.waiting"));
    fs::write(go_on, "").unwrap();
    resume.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
    assert!(resume.wait().unwrap().success());
    assert!(sim.receive(&rest, "back/a", &[]).status.success());
    sim.assert_complete();
}

#[test]
fn a_killed_increment_goes_on_from_where_it_was() {
    let sim = Sim::new();
    let mut stream = sim.increment();
    let mut token = "-".to_owned();
    for _ in 0..3 {
        let mut receive = sim.begin_receive("back/a", &[]);
        receive.stdin.as_mut().unwrap().write_all(&stream[..900_000]).unwrap();
        let began = Instant::now();
        while sim.token() == token {
            assert!(began.elapsed() < DEADLINE, "nothing came");
        }
        receive.kill().unwrap();
        receive.wait().unwrap();
        assert!(fs::read(sim.data("back/a").join("file")).unwrap() == noise(1));
        token = sim.token();
        stream = sim.zfs(&["send", "-t", &token]).output().unwrap().stdout;
    }
    sim.resume();
}

#[test]
fn kills_at_any_moment_leave_what_the_next_command_reads() {
    let seed = std::process::id();
    println!("seed {seed}");
    let mut state = u64::from(seed) | 1;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    let sim = Sim::new();
    let exists = |name: &str| sim.zfs(&["list", name]).output().unwrap().status.success();
    for _ in 0..10 {
        while !exists("back/a@2") {
            let token = sim.token();
            let mut send = match token.as_str() {
                "-" => sim.zfs(&["send", "-i", "@1", "tank/a@2"]),
                token => sim.zfs(&["send", "-t", token]),
            };
            let mut send = send.stdout(Stdio::piped()).spawn().unwrap();
            let mut receive = sim.zfs(&["receive", "-s", "-u", "back/a"]);
            receive.stdin(send.stdout.take().unwrap()).stderr(Stdio::null());
            let mut receive = receive.spawn().unwrap();
            // Some moment, whichever; nothing is waited for.
            std::thread::sleep(Duration::from_micros(random(100_000)));
            let victims =
                if random(2) == 0 { [&mut receive, &mut send] } else { [&mut send, &mut receive] };
            victims.into_iter().for_each(|victim| {
                drop(victim.kill());
                victim.wait().unwrap();
            });
        }
        sim.assert_complete();
        while exists("back/a@2") || sim.token() != "-" {
            let mut rollback = sim.zfs(&["rollback", "-r", "back/a@1"]).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(random(20_000)));
            drop(rollback.kill());
            rollback.wait().unwrap();
        }
        assert!(fs::read(sim.data("back/a").join("file")).unwrap() == noise(1));
    }
}

#[test]
fn a_change_of_files_that_a_kill_interrupted_is_finished() {
    let sim = Sim::new();
    assert!(sim.receive(&sim.increment(), "back/a", &[]).status.success());
    // As a rollback that was killed between its two steps leaves the index.
    let index = sim.0.path().join("state/pools/back/index");
    let text = fs::read_to_string(&index).unwrap();
    let line = text.lines().rfind(|line| line.contains("{\"Put\":[\"back/a\",")).unwrap();
    let first = sim.data("back/a@1");
    let id = first.file_name().unwrap().to_str().unwrap();
    let unfinished = line.replace("\"becomes\":null", &format!("\"becomes\":{id}"));
    assert_ne!(unfinished, line);
    let mut log = OpenOptions::new().append(true).open(&index).unwrap();
    writeln!(log, "{unfinished}\n\"Commit\"").unwrap();
    let path = sim.data("back/a");
    assert!(fs::read(path.join("file")).unwrap() == noise(1), "what the next command finds");
    let again = sim.ok(sim.zfs(&["get", "-Hp", "-o", "value", "written", "back/a@1"]));
    assert!(again.trim().parse::<u64>().unwrap() > 4_000_000);
}

#[test]
fn what_a_killed_process_left_is_in_nobodys_way() {
    let sim = Sim::new();
    let used = |path: &Path| path.file_name().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    let last = used(&sim.data("back/a@1"));
    for id in last + 1..last + 5 {
        let left = sim.0.path().join(format!("state/pools/back/data/{id}"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join("left"), "by a process that was killed before it could commit")
            .unwrap();
    }
    assert!(sim.receive(&sim.increment(), "back/a", &[]).status.success());
    sim.ok(sim.zfs(&["create", "back/b"]));
    sim.ok(sim.zfs(&["snapshot", "back/b@1"]));
    let full = sim.zfs(&["send", "tank/a@1"]).output().unwrap().stdout;
    assert!(sim.receive(&full, "back/c", &[]).status.success());
    for name in ["back/a", "back/a@2", "back/b", "back/b@1", "back/c"] {
        assert!(!sim.data(name).join("left").exists(), "{name}");
    }
}

#[test]
fn a_volumes_increment_brings_the_blocks_that_changed() {
    let sim = Sim::new();
    sim.ok(sim.zfs(&["create", "-s", "-V", "1G", "tank/v"]));
    let file = OpenOptions::new().write(true).open(sim.data("tank/v")).unwrap();
    file.write_all_at(b"first", 0).unwrap();
    file.write_all_at(&[9; MEGABYTE], 400_000_000).unwrap();
    sim.ok(sim.zfs(&["snapshot", "tank/v@1"]));
    file.write_all_at(b"later", 0).unwrap();
    file.write_all_at(b"end", (1 << 30) - 3).unwrap();
    file.write_all_at(&[0; MEGABYTE], 400_000_000).unwrap();
    sim.ok(sim.zfs(&["snapshot", "tank/v@2"]));
    let full = sim.zfs(&["send", "tank/v@1"]).output().unwrap().stdout;
    assert!(sim.receive(&full, "back/v", &[]).status.success());
    let increment = sim.zfs(&["send", "-i", "@1", "tank/v@2"]).output().unwrap().stdout;
    assert!(increment.len() < 2 * MEGABYTE, "{} bytes", increment.len());
    assert!(sim.receive(&increment, "back/v", &[]).status.success());
    let received = File::open(sim.data("back/v")).unwrap();
    assert_eq!(received.metadata().unwrap().len(), 1 << 30);
    let at = |offset| {
        let mut found = [1; 3];
        received.read_exact_at(&mut found, offset).unwrap();
        found
    };
    assert_eq!((at(0), at((1 << 30) - 3), at(400_000_000)), (*b"lat", *b"end", [0; 3]));
}

#[test]
fn what_is_not_simulated_says_so() {
    let sim = Sim::new();
    for arguments in [
        ["send", "-R", "tank/a@2"].as_slice(),
        &["send", "-I", "@1", "tank/a@2"],
        &["send", "-p", "tank/a@2"],
        &["receive", "-F", "back/a"],
    ] {
        let ran = sim.zfs(arguments).output().unwrap();
        assert_eq!(ran.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&ran.stderr).ends_with("is not simulated\n"));
    }
}
