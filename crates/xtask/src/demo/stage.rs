//! Where the demo plays: a temporary folder, the programs in a `bin` of its own, and a folder of
//! pools and state for each machine. Knows nothing of the story.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::screen::Screen;
use crate::cargo::Executables;

/// What the programs are called on the stage, and what they are called in the workspace.
const PROGRAMS: [(&str, &str); 5] = [
    ("tracker", "tracker"),
    ("agent", "agent"),
    ("cli", "cli"),
    ("zfs", "zfs-sim"),
    ("zpool", "zpool-sim"),
];

/// Longer than anything takes here, so that whatever takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(60);
/// The time between two looks at what is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Call [`Self::clear`] at the end; if that can't be, dropping it does the same without waiting.
pub(super) struct Stage {
    pub(super) screen: Screen,
    // Dropped in this order: the processes before their folder.
    running: Vec<Running>,
    folder: TempDir,
    search: OsString,
}

/// A program in the background.
struct Running {
    machine: String,
    child: Child,
    log: PathBuf,
}

impl Stage {
    /// Makes the folder, the programs in it.
    pub(super) fn set_up(programs: &Executables) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("zatlas-demo-").tempdir()?;
        let bin = folder.path().join("bin");
        fs::create_dir(&bin)?;
        for (name, built) in PROGRAMS {
            symlink(programs.program(built)?, bin.join(name))?;
        }
        let others = env::var_os("PATH").unwrap_or_default();
        let search = env::join_paths([bin].into_iter().chain(env::split_paths(&others)))?;
        Ok(Self { screen: Screen::new(), running: Vec::new(), folder, search })
    }

    /// Runs a command that is no part of what is shown; gives its output.
    pub(super) async fn quietly(&self, machine: &str, words: &[&str]) -> Result<String> {
        let command = self.command(machine, words)?.output();
        let output = timeout(DEADLINE, command).await.context(words.join(" "))??;
        if !output.status.success() {
            bail!("{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Shows a command and its output, and succeeds if it ends with this status.
    pub(super) async fn show(&self, machine: &str, words: &[&str], status: i32) -> Result<()> {
        self.screen.command(machine, words, "")?;
        let mut command = self.command(machine, words)?;
        // Both to the one place, so that it reads as on a terminal.
        command.stdout(our_output()?).stderr(our_output()?);
        let ended: ExitStatus = timeout(DEADLINE, command.status()).await.context("no end")??;
        match ended.code() {
            Some(0) if status == 0 => Ok(()),
            Some(code) if code == status => Ok(self.screen.status(code)?),
            _ => bail!("{} ended with {ended}, where {status} was expected", words.join(" ")),
        }
    }

    /// Shows a command that goes on in the background, and its log until that holds `ready`.
    pub(super) async fn begin(&mut self, machine: &str, words: &[&str], ready: &str) -> Result<()> {
        self.screen.command(machine, words, " &")?;
        let log = self.folder.path().join(format!("{machine}.log"));
        let mut command = self.command(machine, words)?;
        let child = command.stderr(File::create(&log)?).spawn().context(words.join(" "))?;
        self.running.push(Running { machine: machine.to_owned(), child, log: log.clone() });
        let written = || fs::read_to_string(&log).context("cannot read the log");
        self.until(ready, async || Ok(written()?.lines().any(|line| line.contains(ready)))).await?;
        Ok(self.screen.output(&written()?)?)
    }

    /// Ends the program in the background of this machine, as a power cut would.
    pub(super) async fn kill(&mut self, machine: &str) -> Result<()> {
        let index = self.running.iter().position(|running| running.machine == machine);
        let mut running = self.running.remove(index.context("nothing runs there")?);
        let id = running.child.id().context("it has ended by itself")?;
        self.screen.command(machine, &["kill", "-KILL", &id.to_string()], "")?;
        Ok(running.child.kill().await?)
    }

    /// Waits for an event that can be seen only by looking again and again.
    pub(super) async fn until(
        &self,
        what: &str,
        mut has_come: impl AsyncFnMut() -> Result<bool>,
    ) -> Result<()> {
        let looking = async {
            while !has_come().await? {
                sleep(LOOK_AGAIN).await;
            }
            Ok(())
        };
        let waited = timeout(DEADLINE, looking).await;
        waited.with_context(|| format!("waited in vain for: {what}"))?
    }

    /// Ends all programs by their ids, waits for them and removes the folder; gives their logs.
    pub(super) async fn clear(mut self) -> Result<String> {
        let mut logs = String::new();
        for running in &mut self.running {
            running.child.kill().await?;
            logs += &format!("{}:\n{}", running.machine, fs::read_to_string(&running.log)?);
        }
        // What those had started dies with them, but not at once, and may still write.
        let remove = async || Ok(fs::remove_dir_all(self.folder.path()).is_ok());
        self.until("the demo's folder to be removed", remove).await?;
        Ok(logs)
    }

    /// A command as it is on `machine`: with that machine's pools, state and nothing to read.
    fn command(&self, machine: &str, words: &[&str]) -> Result<Command> {
        let (program, arguments) = words.split_first().context("no command")?;
        let pools = self.folder.path().join(machine);
        let mut command = Command::new(self.folder.path().join("bin").join(program));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("PATH", &self.search)
            .env("ZFS_SIM_ROOT", pools.join("pools"))
            .env("STATE_DIRECTORY", pools.join("state"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Ok(command)
    }
}

fn our_output() -> io::Result<Stdio> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}
