//! Waiting for one's turn, where a machine takes only so many transfers at once.

use std::fmt::Display;
use std::time::Instant;

use super::converge::Transfer;
use super::ledger::Key;
use crate::failure::Trouble;
use crate::queue::Place;
use crate::remote::{Opened, Remote};

/// What a round has waited for, and keeps to its end.
#[derive(Default)]
pub(super) struct Turns {
    /// Here, at the destination.
    here: Option<Place>,
    /// At the source in use, which keeps it for as long as the connection to it lasts.
    pub(super) there: bool,
}

impl Transfer {
    /// Waits until it is this transfer's turn here, and then at the source; says where it stands.
    /// Whether it had to wait: what was looked at before may be another by now.
    pub(super) async fn take_turns(&mut self, key: &Key, source: &Opened) -> Result<bool, Trouble> {
        let mut waited = false;
        self.take_turn_here(&mut waited).await;
        let taken = if source.takes_turns && !self.turns.there {
            self.take_turn_there(key, &mut waited).await
        } else {
            Ok(())
        };
        if waited {
            // Also where it was in vain: that was no time without progress, and it is worth going on.
            self.queued = true;
            self.moved = Instant::now();
        }
        taken.map(|()| waited)
    }

    async fn take_turn_here(&mut self, waited: &mut bool) {
        if self.turns.here.is_some() {
            return;
        }
        let place = self.tools.traffic.to_receive.join();
        let mut ahead = place.ahead();
        while ahead > 0 {
            *waited = true;
            self.tell_place(&self.job.machine, ahead);
            ahead = place.ahead_but(ahead).await;
        }
        self.turns.here = Some(place);
    }

    async fn take_turn_there(&mut self, key: &Key, waited: &mut bool) -> Result<(), Trouble> {
        let (place, _) = key;
        let machine = format!(r"{}\{}", place.location, place.machine);
        let remote = Remote { client: &self.line()?.source, place };
        let mut told = None;
        while told != Some(0) {
            let ahead = remote.turn(told).await.map_err(Trouble::at_source)?;
            if ahead > 0 && told != Some(ahead) {
                *waited = true;
                self.tell_place(&machine, ahead);
            }
            told = Some(ahead);
        }
        self.turns.there = true;
        Ok(())
    }

    fn tell_place(&self, machine: &str, ahead: impl Display) {
        self.note(format!("waits for its turn at {machine}: {ahead} before it"));
    }
}
