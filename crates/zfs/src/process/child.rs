//! Processes that live as long as a stream does, and how they are brought to an end.

use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::command::{message, spawn};
use super::error::CommandError;

/// How a process ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit status or the signal that ended it.
    pub status: ExitStatus,
    /// What it wrote to its standard error, fit to be shown; may be empty.
    pub message: String,
}

impl Ended {
    /// The message, a warning, if the status is 0; else a failure.
    pub(super) fn check(self) -> Result<String, CommandError> {
        let Self { status, message } = self;
        if status.success() { Ok(message) } else { Err(CommandError::Failed { status, message }) }
    }
}

/// A process in a group of its own, killed when this is dropped.
#[derive(Debug)]
pub(super) struct LongLived {
    child: Child,
    message: Option<JoinHandle<String>>,
}

impl LongLived {
    /// Starts it. Must be called within a runtime, which drains its standard error.
    pub(super) fn spawn(command: Command) -> Result<Self, CommandError> {
        let mut child = spawn(command)?;
        let message = child.stderr.take().map(|stderr| tokio::spawn(message(stderr)));
        Ok(Self { child, message })
    }

    /// Its end of standard output, once.
    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its id, until it has been waited for.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Kills it and whatever it has started, if it hasn't been waited for yet.
    pub(super) fn kill(&mut self) {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Fails only if all of the group are dead already: the pid is ours until reaped.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// Waits until it has ended.
    pub(super) async fn wait(&mut self) -> Result<Ended, CommandError> {
        let status = self.child.wait().await.map_err(CommandError::Lost)?;
        let message = match self.message.take() {
            // The task fails only if the runtime is being shut down.
            Some(task) => task.await.unwrap_or_default(),
            None => String::new(),
        };
        Ok(Ended { status, message })
    }
}

impl Drop for LongLived {
    fn drop(&mut self) {
        self.kill();
    }
}
