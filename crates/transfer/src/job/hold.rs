//! What a source is asked to keep until the transfer is done.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::sleep;
use zfs::{Guid, Snapshot};

use super::converge::Transfer;
use super::ledger::key;
use crate::remote::Remote;
use crate::stream_request::{Start, StreamRequest};

/// Its last use must never be 7 days ago while a stream of weeks needs it.
const AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

impl Transfer {
    /// What must not be destroyed while the transfer may come back: the goal, what the stream
    /// brings, and what it starts from. A base that is left as a bookmark needs no hold.
    pub(super) fn needed(&self, request: &StreamRequest) -> Vec<Snapshot> {
        let base = match &request.start {
            Start::Fresh { base, .. } => base.as_ref().map(|base| base.snapshot.guid),
            Start::Resumed(token) => token.from_guid,
        };
        let goal = self.goal.as_ref().map(|goal| goal.guid);
        let mut guids: Vec<Guid> = vec![request.snapshot.guid];
        guids.extend(goal.into_iter().chain(base));
        let source = self.replicas.iter().find(|replica| Some(key(replica)) == self.source);
        let snapshots = source.map_or(&[][..], |replica| replica.snapshots.as_slice());
        snapshots.iter().filter(|snapshot| guids.contains(&snapshot.guid)).cloned().collect()
    }

    /// Has the source hold those that it has not agreed to hold within the last day. A transfer
    /// goes on without.
    pub(super) async fn hold(&self, remote: &Remote<'_>, needed: &[Snapshot]) {
        let Some(source) = &self.source else { return };
        let hold = async |snapshot: &Snapshot| {
            let of = (source.clone(), snapshot.guid);
            let agreed = self.held.borrow().get(&of).copied();
            if agreed.is_some_and(|agreed| agreed.elapsed() < AGAIN) {
                return;
            }
            match remote.hold(snapshot, &self.id, &self.job.destination).await {
                Ok(()) => {
                    self.held.borrow_mut().insert(of, Instant::now());
                }
                Err(failure) => self.note(format!(
                    "{} can't keep snapshot {} from being destroyed: {}",
                    remote.place, snapshot.label, failure.reason
                )),
            }
        };
        join_all(needed.iter().map(hold)).await;
    }

    /// Asks again and again.
    pub(super) async fn hold_on(&self, remote: &Remote<'_>, needed: &[Snapshot]) -> Infallible {
        loop {
            sleep(AGAIN).await;
            self.hold(remote, needed).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holds::LIFE;

    #[test]
    fn a_hold_outlives_a_call_that_is_lost() {
        assert!(AGAIN.as_secs() * 2 < LIFE.unsigned_abs());
    }
}
