//! A running program, and one that has ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::site::Site;
use crate::wait::until;

/// So much of a log is shown when a test fails.
const SHOWN: usize = 20_000;

/// A program that was started; killed when dropped. Its output goes to files.
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// A program that has ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The command, for messages.
    pub command: String,
    /// The exit status; 128 and the signal's number for one that was killed, as in a shell.
    pub status: i32,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl Process {
    /// Starts the command; `name` is for messages.
    pub(crate) fn start(site: &Site, name: &str, command: &mut Command) -> Self {
        let number = site.number();
        let file = |kind: &str| site.path(&format!("{number}-{}.{kind}", name.replace('/', "-")));
        let (stdout, stderr) = (file("stdout"), file("stderr"));
        let create = |path: &Path| File::create(path).expect("a log");
        command.stdout(create(&stdout)).stderr(create(&stderr));
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let child = command.spawn().unwrap_or_else(|error| panic!("{words}: {error}"));
        Self { name: name.to_owned(), child, stdout, stderr }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error by now.
    pub fn log(&self) -> String {
        read(&self.stderr)
    }

    /// Waits until its log has a line with this text in it, and returns the line.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        let what = format!("a line with '{text}' from {}", self.name);
        until(&what, || {
            // Asked before the log is read, which then is whole.
            let ended = self.child.try_wait().expect("a status");
            let log = read(&self.stderr);
            let whole = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
            let line = whole.lines().find(|line| line.contains(text)).map(str::to_owned);
            assert!(line.is_some() || ended.is_none(), "{} has ended without {what}", self.name);
            line
        })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a process to signal");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        until(&format!("the end of {}", self.name), || self.child.try_wait().expect("a status"))
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a status").is_none()
    }

    /// Waits for its end, and gives what it left.
    pub fn finish(mut self) -> Ran {
        let status = self.wait();
        Ran {
            command: self.name.clone(),
            status: code(status),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(SHOWN);
            let shown = log.get(from..).unwrap_or(&log);
            eprintln!("---- {} (process {}):\n{shown}", self.name, self.pid());
        }
    }
}

impl Ran {
    /// Runs a command to its end, its output kept.
    pub(crate) fn of(command: &mut Command, shown: String) -> Self {
        let output = command.stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{shown}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            command: shown,
            status: code(output.status),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// It must have had this exit status.
    #[track_caller]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// It must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect(0)
    }

    /// Standard error must hold this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no '{text}' in {self:#?}");
        self
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).expect("a log")).into_owned()
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}
