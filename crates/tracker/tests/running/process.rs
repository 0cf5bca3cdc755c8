//! A running tracker, and what it left behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sturdyref::{Connection, Identity, Security, SturdyRef, capfile};
use tempfile::TempDir;

/// Nothing that is waited for takes this long, also on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a test that speaks to a tracker.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        tokio::time::timeout(2 * DEADLINE, test).await.expect("the test hangs");
    });
}

/// Where a tracker has its files; outlives its restarts.
#[derive(Clone)]
pub(crate) struct Home {
    folder: Rc<TempDir>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("caps")).unwrap();
        Self { folder: Rc::new(folder) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn cap(&self, name: &str) -> PathBuf {
        self.path().join("caps").join(format!("{name}.cap"))
    }

    /// The capability in a file.
    pub(crate) fn capability(&self, name: &str) -> SturdyRef {
        capfile::read(self.cap(name)).unwrap()
    }

    /// The tracker's program, with its folders and `arguments`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tracker"));
        command.args(arguments).arg("--state-dir").arg(self.path().join("state"));
        command.current_dir(self.path()).env("RUST_LOG", "trace").stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts a tracker for `locations`, on a Unix socket: its address is the same each time.
    pub(crate) fn start(&self, locations: &str) -> Tracker {
        let address = format!("unix:{}", self.path().join("socket").display());
        self.start_at(&address, locations)
    }

    pub(crate) fn start_at(&self, address: &str, locations: &str) -> Tracker {
        self.start_with(&["--capnp-listen-address", address, "--locations", locations])
    }

    pub(crate) fn start_with(&self, arguments: &[&str]) -> Tracker {
        let mut command = self.command(arguments);
        command.args(["--cap-dir", "caps"]);
        Tracker::start(self, command)
    }
}

/// A running tracker; killed when dropped. Its log, at the most talkative, must hold no secret.
pub(crate) struct Tracker {
    home: Home,
    child: Child,
    lines: Receiver<String>,
    log: Arc<Mutex<String>>,
}

impl Tracker {
    fn start(home: &Home, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        let log = Arc::new(Mutex::new(String::new()));
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept.lock().unwrap().push_str(&format!("{line}\n"));
                let _ = sender.send(line);
            }
        });
        let tracker = Self { home: home.clone(), child, lines, log };
        tracker.wait_for_line("tracker listening on ");
        tracker
    }

    /// Waits until the log has a new line with `text` in it.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(_) => panic!("no line with '{text}' in:\n{}", self.log.lock().unwrap()),
            }
        }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }

    fn secrets(&self) -> Vec<String> {
        let files = fs::read_dir(self.home.path().join("caps")).unwrap();
        let caps = files.filter_map(|file| fs::read_to_string(file.unwrap().path()).ok());
        let ids = caps.filter_map(|uri| Some(uri.trim().rsplit_once('/')?.1.to_owned()));
        let key = fs::read_to_string(self.home.path().join("state/secret-key.pem"));
        ids.chain(key.unwrap_or_default().lines().nth(1).map(str::to_owned)).collect()
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let own = log.lines().filter(|line| !line.contains("TRACE") && !line.contains("DEBUG"));
            eprintln!("the tracker's log:\n{}", own.collect::<Vec<_>>().join("\n"));
            return;
        }
        for secret in self.secrets() {
            assert!(!self.log().contains(&secret), "a secret is in the log");
        }
    }
}

/// A key of one's own.
pub(crate) fn identity() -> Identity {
    Identity::ephemeral().unwrap()
}

/// Restores a capability.
pub(crate) async fn dial(target: &SturdyRef, identity: &Identity) -> Connection {
    sturdyref::connect(target, &Security::Tls(identity.clone()), DEADLINE).await.unwrap()
}

/// Why a capability can't be restored.
pub(crate) async fn refusal(target: &SturdyRef) -> String {
    let security = Security::Tls(identity());
    sturdyref::connect(target, &security, DEADLINE).await.unwrap_err().to_string()
}
