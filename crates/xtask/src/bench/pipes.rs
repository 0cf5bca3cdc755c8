//! The stage of a benchmark: its folder, the programs in it, and pipelines on it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::cargo::Executables;
use crate::process;

/// What the programs are called here, and in the workspace.
const PROGRAMS: [(&str, &str); 6] = [
    ("tracker", "tracker"),
    ("agent", "agent"),
    ("cli", "cli"),
    ("zfs", "zfs-sim"),
    ("zpool", "zpool-sim"),
    ("xtask", "xtask"),
];

/// What is sent, on any machine of the stage.
pub(super) const SNAPSHOT: &str = "tank/dataset@monday";

/// Longer than anything takes but a stream.
const DEADLINE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A temporary folder with the programs; `sender` and `receiver` in it are two machines' pools.
pub(super) struct Stage {
    folder: TempDir,
    search: OsString,
    /// Bytes in each stream.
    pub(super) size: u64,
}

impl Stage {
    pub(super) fn set_up(programs: &Executables, size: u64) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("zatlas-bench-").tempdir()?;
        let bin = folder.path().join("bin");
        fs::create_dir(&bin)?;
        for (name, built) in PROGRAMS {
            symlink(programs.program(built)?, bin.join(name))?;
        }
        let others = env::var_os("PATH").unwrap_or_default();
        let search = env::join_paths([bin].into_iter().chain(env::split_paths(&others)))?;
        let stage = Self { folder, search, size };
        for (machine, pool) in [("sender", "tank"), ("receiver", "home")] {
            process::run(&mut stage.command("zpool", machine, ["create", pool, "/disk"]))?;
        }
        let (dataset, _) = SNAPSHOT.split_once('@').context("no snapshot")?;
        process::run(&mut stage.command("zfs", "sender", ["create", dataset]))?;
        process::run(&mut stage.command("zfs", "sender", ["snapshot", SNAPSHOT]))?;
        Ok(stage)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One of the programs, as on a machine, in the stage's folder.
    pub(super) fn command(
        &self,
        program: &str,
        machine: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(self.path("bin").join(program));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .envs(self.environment(machine))
            .env("PATH", &self.search)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    /// What makes zfs-sim the ZFS of a machine, at no cost.
    pub(super) fn environment(&self, machine: &str) -> [(&'static str, String); 3] {
        [
            ("ZFS_SIM_ROOT", self.path(machine).display().to_string()),
            ("ZFS_SIM_SYNTHETIC", self.size.to_string()),
            ("ZFS_SIM_RECEIVE_DISCARD", "lengths".to_owned()),
        ]
    }

    pub(super) fn send(&self) -> Command {
        self.command("zfs", "sender", ["send", SNAPSHOT])
    }

    pub(super) fn receive(&self, into: &str) -> Command {
        self.command("zfs", "receiver", ["receive", "-s", "-u", &format!("home/{into}@monday")])
    }
}

/// Processes that feed each other, first to last, and those beside them; killed when dropped.
#[derive(Default)]
pub(super) struct Pipeline(Vec<(String, Child)>);

impl Pipeline {
    /// Starts a process that reads what the last one writes.
    pub(super) fn then(mut self, mut command: Command) -> Result<Self> {
        if let Some((_, last)) = self.0.last_mut()
            && let Some(output) = last.stdout.take()
        {
            command.stdin(output);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = process::shown(&command);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        self.0.push((name, child));
        Ok(self)
    }

    /// Has another beside it, to be waited for with this one.
    pub(super) fn beside(mut self, mut other: Self) -> Self {
        self.0.append(&mut other.0);
        self
    }

    /// The first process's id.
    pub(super) fn first(&self) -> Option<u32> {
        self.0.first().map(|(_, child)| child.id())
    }

    /// Waits until all have ended well.
    pub(super) fn wait(mut self) -> Result<()> {
        let mut failures = Vec::new();
        while let Some((name, mut child)) = self.0.pop() {
            let mut words = String::new();
            if let Some(mut errors) = child.stderr.take() {
                errors.read_to_string(&mut words)?;
            }
            let status = child.wait()?;
            if !status.success() {
                failures.push(format!("{name}: {status}: {}", words.trim()));
                // The others may wait for it without end.
                for (_, other) in &mut self.0 {
                    let _ = other.kill();
                }
            }
        }
        if !failures.is_empty() {
            bail!(failures.join("; "));
        }
        Ok(())
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        for (_, child) in &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port that nobody listens on, most likely for long enough.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until somebody listens on a port of loopback, without dialling it.
pub(super) fn until_listening(port: u16) -> Result<()> {
    // The local address is in hex, and 0A is the state of a listening socket.
    let address = format!(":{port:04X} 00000000:0000 0A ");
    let listens = || Ok(fs::read_to_string("/proc/net/tcp")?.contains(&address));
    until(&format!("somebody listens on port {port}"), listens)
}

/// Waits for an event that can be seen only by looking again and again.
pub(super) fn until(what: &str, mut has_come: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !has_come()? {
        if began.elapsed() > DEADLINE {
            bail!("waited in vain until {what}");
        }
        thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

/// Waits until a log holds these words.
pub(super) fn until_logged(log: &Path, words: &str) -> Result<()> {
    until(&format!("{} has: {words}", log.display()), || {
        Ok(fs::read_to_string(log)?.contains(words))
    })
}
