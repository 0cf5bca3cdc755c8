//! What is started by way of the launcher dies with its parent, even when that is killed.
//!
//! Has a `main` of its own, since this is what the launcher asks for. It runs itself twice over:
//! as the program that starts a process, and as the launcher of that process.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "how tests fail")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use zfs::Zfs;
use zfs::process::{SendFlags, Stream, launcher};

/// The first argument of the program that starts a process; the second is the fake `zfs`.
const STARTER: &str = "start-a-process";
const DEADLINE: Duration = Duration::from_secs(60);

fn main() {
    launcher::run_if_asked();
    let arguments: Vec<_> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == STARTER) {
        return start(Path::new(&arguments[2]));
    }
    a_process_dies_with_its_killed_parent();
    a_program_that_cannot_be_started_is_named();
    a_launcher_whose_parent_is_gone_starts_nothing();
    println!("launcher: 3 facts hold");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Starts to send, tells the process's id, and never ends by itself.
fn start(zfs: &Path) {
    runtime().block_on(async {
        let zfs = Zfs::new(zfs.into(), "zpool".into()).with_launcher();
        let process = zfs.send(&stream()).unwrap();
        println!("{}", process.pid().unwrap());
        std::future::pending::<()>().await;
    });
}

fn stream() -> Stream {
    let snapshot = "tank/fs@s".parse().unwrap();
    Stream::Snapshot { snapshot, base: None, flags: SendFlags::default() }
}

fn a_process_dies_with_its_killed_parent() {
    let folder = tempfile::tempdir().unwrap();
    let (zfs, alive) = (folder.path().join("zfs"), folder.path().join("alive"));
    symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake/program"), &zfs).unwrap();
    // Holds the named pipe open for as long as it lives, and tells its arguments first.
    let script = format!("exec 9>{}; echo \"$$ $*\" >&9; exec sleep 1000", alive.display());
    fs::write(folder.path().join("zfs.sh"), script).unwrap();
    assert!(Command::new("mkfifo").arg(&alive).status().unwrap().success());

    let mut starter = Command::new(std::env::current_exe().unwrap())
        .args([STARTER.as_ref(), zfs.as_os_str()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pid = String::new();
    BufReader::new(starter.stdout.take().unwrap()).read_line(&mut pid).unwrap();
    let told = within(move || {
        let mut pipe = BufReader::new(fs::File::open(alive).unwrap());
        let mut line = String::new();
        pipe.read_line(&mut line).unwrap();
        (line, pipe)
    });
    let (line, mut pipe) = told;
    // The process has become the program: same id, the program's own arguments.
    assert_eq!(line, format!("{} send tank/fs@s\n", pid.trim()));

    starter.kill().unwrap();
    starter.wait().unwrap();
    within(move || pipe.read_to_end(&mut Vec::new())).unwrap();
}

fn a_program_that_cannot_be_started_is_named() {
    runtime().block_on(async {
        let zfs = Zfs::new("/nowhere/zfs".into(), "zpool".into()).with_launcher();
        let process = zfs.send(&stream()).unwrap();
        let error = zfs::process::OperationError::why(&process.finish().await.unwrap_err());
        assert!(error.starts_with("cannot start /nowhere/zfs: No such file"), "{error}");
    });
}

fn a_launcher_whose_parent_is_gone_starts_nothing() {
    let launched = Command::new(std::env::current_exe().unwrap())
        .args(["zatlas-launch", "1", "/bin/echo", "started"])
        .output()
        .unwrap();
    assert_eq!(launched.status.code(), Some(127));
    assert_eq!(String::from_utf8_lossy(&launched.stdout), "");
    let words = String::from_utf8_lossy(&launched.stderr).into_owned();
    assert!(words.contains("the process that started this one is gone"), "{words}");
}

/// What `work` gives, which must be in time.
fn within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(DEADLINE).expect("nothing happened in time")
}
