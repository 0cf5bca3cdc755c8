//! Waiting for one's turn, where a machine takes only so many transfers at once.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::pending;
use std::time::Duration;

use schema::{Code, Failure};
use tokio::time::{Instant, sleep, sleep_until};

use super::converge::Transfer;
use super::ledger::Key;
use crate::failure::Trouble;
use crate::remote::{Opened, Remote};
use crate::traffic::queue::Place;

/// A source isn't asked for news more often.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What a transfer has waited for.
#[derive(Default)]
pub(super) struct Turns {
    /// Here, at the destination: kept while it goes on, from whatever source.
    here: Option<Place>,
    /// At the source in use, which keeps it for as long as the connection to it lasts.
    pub(super) there: bool,
}

impl Turns {
    /// Others may receive here while nothing comes for this one.
    pub(super) fn give_up_here(&mut self) {
        self.here = None;
    }
}

impl Transfer {
    /// Waits until it is this transfer's turn here, and then at the source; says where it stands.
    /// Whether it had to wait: what was looked at before may be another by now.
    pub(super) async fn take_turns(&mut self, key: &Key, source: &Opened) -> Result<bool, Trouble> {
        let mut waited = self.take_turn_here().await;
        let mut taken = Ok(());
        if !waited && source.takes_turns && !self.turns.there {
            taken = self.take_turn_there(key, &mut waited).await;
        }
        if waited {
            // Also where it was in vain: that was no time without progress, and it is worth going on.
            self.queued = true;
            self.moved = std::time::Instant::now();
        }
        taken.map(|()| waited)
    }

    async fn take_turn_here(&mut self) -> bool {
        if self.turns.here.is_some() {
            return false;
        }
        let place = self.tools.traffic.to_receive.join();
        let mut ahead = place.ahead();
        let waits = ahead > 0;
        if waits {
            // Nobody would notice whether the source is still there when the turn comes.
            self.line = None;
        }
        while ahead > 0 {
            self.tell_place(&self.job.machine, ahead);
            ahead = place.ahead_but(ahead).await;
        }
        self.turns.here = Some(place);
        waits
    }

    async fn take_turn_there(&mut self, key: &Key, waited: &mut bool) -> Result<(), Trouble> {
        let (place, _) = key;
        let machine = format!(r"{}\{}", place.location, place.machine);
        let remote = Remote { client: &self.line()?.source, place };
        let mut told = None;
        let mut next = Instant::now();
        while told != Some(0) {
            sleep_until(next).await;
            next = Instant::now() + ASK_EVERY;
            let ahead = remote.turn(told).await.map_err(Trouble::at_source)?;
            if told.is_some_and(|told| told < ahead) {
                let reason = "others are let in before this transfer, which came first";
                let failure = Failure::new(Code::Failed, "wait for a turn at", place, reason, "");
                return Err(Trouble::at_source(failure));
            }
            if ahead > 0 && told != Some(ahead) {
                *waited = true;
                self.tell_place(&machine, ahead);
            }
            told = Some(ahead);
        }
        self.turns.there = true;
        Ok(())
    }

    /// Tells the source again and again that its turn is being used, whatever it is that takes time
    /// here: to make room, to store what has come.
    pub(super) fn keep_turn(&self) -> impl Future<Output = Infallible> + use<> {
        let in_use = self.line.as_ref().filter(|_| self.turns.there);
        let source = in_use.map(|((place, _), line)| (place.clone(), line.source.clone()));
        async move {
            if let Some((place, client)) = source {
                let remote = Remote { client: &client, place: &place };
                // Of a lost connection the stream tells.
                while remote.turn(Some(0)).await == Ok(0) {
                    sleep(ASK_EVERY).await;
                }
            }
            pending().await
        }
    }

    fn tell_place(&self, machine: &str, ahead: impl Display) {
        self.note(format!("waits for its turn at {machine}: {ahead} before it"));
    }
}
