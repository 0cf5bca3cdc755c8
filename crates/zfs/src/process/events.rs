//! `zpool events`, followed.

use std::time::Duration;

use tokio::process::ChildStdout;

use super::Zfs;
use super::child::{Ended, LongLived};
use super::command::Lines;
use super::error::{CommandError, EventsError};
use super::pipe;
use crate::events::{Event, Parser};

/// The time between a process's closing its output and its end, where it ends by itself.
const LAST_WORDS: Duration = Duration::from_secs(5);

const SUBJECT: &str = "all pools";

impl Zfs {
    /// Follows what happens in all pools, what happened before first. Call it within a runtime.
    ///
    /// Needs root; without it, it ends at once.
    pub fn events(&self) -> Result<Events, EventsError> {
        let command = self.long_lived(&self.zpool, &["events", "-Hvf"]);
        let started = LongLived::spawn(command).and_then(|mut child| {
            let stdout = child.stdout().ok_or_else(pipe::missing)?;
            Ok(Events { child, lines: Lines::new(stdout), parser: Parser::default() })
        });
        started.map_err(|error| EventsError::new(SUBJECT, error))
    }
}

/// A running `zpool events`. Dropped, it is killed.
#[derive(Debug)]
pub struct Events {
    child: LongLived,
    lines: Lines<ChildStdout>,
    parser: Parser,
}

impl Events {
    /// The process's id.
    pub fn pid(&self) -> Option<u32> {
        self.child.pid()
    }

    /// Waits for the next event; `None` once the process tells no more: [`Self::ended`] then
    /// tells why. Can be cancelled: nothing is lost.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let line = self.lines.next().await.ok()??;
            if let Some(event) = self.parser.line(&line) {
                return Some(event);
            }
        }
    }

    /// Why it tells no more. Ends the process if it hasn't ended.
    pub async fn ended(mut self) -> EventsError {
        let ended = match tokio::time::timeout(LAST_WORDS, self.child.wait()).await {
            Ok(ended) => ended,
            Err(_) => {
                self.child.kill();
                self.child.wait().await
            }
        };
        let error = match ended {
            Ok(Ended { status, message }) => CommandError::Failed { status, message },
            Err(error) => error,
        };
        EventsError::new(SUBJECT, error)
    }
}
