//! A connected machine: the tracker's end of its session.

use std::cell::Cell;
use std::fmt::Display;
use std::time::Duration;

use capnp::ErrorKind;
use catalogue::{Epoch, MachineId};
use schema::agent_capnp::agent;
use schema::{Code, Failure};
use sturdyref::Peer;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::updates::Updates;

/// A machine that has said nothing for this long is offline.
pub(crate) const SILENCE: Duration = Duration::from_secs(15);
/// What needs no more than a few commands is answered within this time: less than whoever has asked
/// for it waits.
const ANSWER: Duration = Duration::from_secs(20);

/// A connected machine.
pub(crate) struct Line {
    pub(crate) epoch: Epoch,
    pub(crate) machine: MachineId,
    pub(crate) agent: agent::Client,
    /// Cancelled when the session is over, whoever ended it.
    pub(crate) over: CancellationToken,
    /// Who holds the session.
    pub(crate) peer: Peer,
    /// What it is telling; void once the session is over.
    pub(crate) updates: Updates,
    /// How many streams it sends, by its own word.
    pub(crate) sending: Cell<u32>,
    last_heard: Cell<Instant>,
}

impl Line {
    pub(crate) fn new(epoch: Epoch, machine: MachineId, agent: agent::Client, peer: Peer) -> Self {
        let last_heard = Cell::new(Instant::now());
        let (over, updates) = (CancellationToken::new(), Updates::default());
        let sending = Cell::new(0);
        Self { epoch, machine, agent, over, peer, updates, sending, last_heard }
    }

    /// The machine has said something.
    pub(crate) fn heard(&self) {
        self.last_heard.set(Instant::now());
    }

    /// How long it has said nothing.
    pub(crate) fn silent_for(&self) -> Duration {
        self.last_heard.get().elapsed()
    }

    /// Returns once the machine has been silent for too long.
    pub(crate) async fn silence(&self) {
        while self.silent_for() < SILENCE {
            tokio::time::sleep_until(self.last_heard.get() + SILENCE).await;
        }
    }

    /// Waits for the agent's answer, but no longer than its session lasts. `operation` and
    /// `subject` are for the failure.
    pub(crate) async fn ask<T>(
        &self,
        operation: &str,
        subject: impl Display,
        answer: impl Future<Output = capnp::Result<T>>,
    ) -> Result<T, Failure> {
        let lost = || {
            let reason = format!("the connection to the machine '{}' was lost", self.machine);
            Failure::new(
                Code::Offline,
                operation,
                &subject,
                reason,
                "Run the command again once `cli show` says that it is online.",
            )
        };
        self.hear(answer).await.map_err(|error| match error.kind {
            ErrorKind::Disconnected => lost(),
            _ => Failure::from_exception(operation, &subject, &error),
        })
    }

    /// The same for a small thing, which a machine that hangs must not keep others waiting for.
    pub(crate) async fn ask_soon<T>(
        &self,
        operation: &str,
        subject: impl Display,
        answer: impl Future<Output = capnp::Result<T>>,
    ) -> Result<T, Failure> {
        let asked = self.ask(operation, &subject, answer);
        tokio::time::timeout(ANSWER, asked).await.unwrap_or_else(|_| {
            let seconds = ANSWER.as_secs();
            let reason = format!("the machine '{}' did not answer for {seconds} s", self.machine);
            let remedy = "See to its pools and its agent's log, then run the command again.";
            Err(Failure::new(Code::Offline, operation, subject, reason, remedy))
        })
    }

    /// The same as `ask`, for who can go on once the machine is back: its session's end is an exception, of
    /// the kind `Disconnected`.
    pub(crate) async fn hear<T>(
        &self,
        answer: impl Future<Output = capnp::Result<T>>,
    ) -> capnp::Result<T> {
        tokio::select! {
            answer = answer => answer,
            () = self.over.cancelled() => {
                let lost = format!("the connection to the machine '{}' was lost", self.machine);
                Err(capnp::Error::disconnected(lost))
            }
        }
    }
}
