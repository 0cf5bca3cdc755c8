//! Follows a transfer that another machine does, until it has ended.
//!
//! The tracker passes on what the agent reports. Should the tracker go, the transfer goes on, and is
//! looked for again; should the destination's agent begin anew, so does the transfer, which goes on
//! with what has arrived.

use std::rc::Rc;
use std::time::Duration;

use ::transfer::report::Summary;
use ::transfer::wire::{CopyRequest, read_summary};
use capnp_rpc::new_client;
use schema::text::Span;
use schema::transfer_capnp::transfer;
use schema::user_capnp::fleet;
use schema::{Code, Failure, outcome, wire};
use sturdyref::{Backoff, SturdyRef};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::story::Story;
use super::{Started, read_started, start};
use crate::tracker::{Tracker, may_come_back};

/// A tracker that is restarted is looked for at least so long, however little patience is asked for.
const TRACKER_BACK: Duration = Duration::from_secs(60);

/// How long the destination may take to confirm that it has ended a cancelled transfer.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(10);

/// What to do about a transfer that is out of sight.
const SEE_LATER: &str = "The transfer may go on at the destination. See later with: \
                         cli --connect user.cap show; the same command again goes on with it";

/// A transfer at another machine.
pub(super) struct Running {
    pub(super) capability: SturdyRef,
    pub(super) request: CopyRequest,
    pub(super) story: Rc<Story>,
}

/// Why a transfer is to be found again.
enum Lost {
    /// It can't be seen, and may go on.
    Sight(capnp::Error),
    /// It was ended, and not by this user.
    Ended(Failure),
}

impl Running {
    /// Follows the transfer, and leaves the outcome in the story.
    pub(super) async fn follow(
        self,
        mut tracker: Tracker,
        mut started: Started,
        cancel: CancellationToken,
    ) {
        let mut backoff = Backoff::new();
        let outcome = loop {
            let lost = match self.observe(&started.transfer, &cancel).await {
                Ok(Err(failure)) if failure.code == Code::Interrupted && !cancel.is_cancelled() => {
                    Lost::Ended(failure)
                }
                Ok(outcome) => break outcome,
                Err(error) => Lost::Sight(error),
            };
            drop(tracker);
            let known = match lost {
                Lost::Sight(error) => {
                    let reason = format!("which may go on: {}", error.extra);
                    let patience = Span(self.patience());
                    self.story.note(format!(
                        "lost sight of the transfer, {reason}; looking for it for {patience}"
                    ));
                    Some(started.id.as_str())
                }
                Lost::Ended(failure) => {
                    let reason = failure.reason;
                    self.story.note(format!("the destination has ended the transfer: {reason}"));
                    None
                }
            };
            match self.find(known, &mut backoff, &cancel).await {
                Ok(found) => {
                    self.story.note(found.note().to_owned());
                    if found.anew {
                        self.story.next_run();
                    }
                    (tracker, started) = (found.tracker, found.started);
                }
                Err(failure) => break Err(failure),
            }
        };
        self.story.end(outcome);
    }

    /// A transfer of days survives what takes hours.
    fn patience(&self) -> Duration {
        self.request.options.timeout.max(TRACKER_BACK)
    }

    /// An error means that the connection was lost, not that the transfer failed.
    async fn observe(
        &self,
        transfer: &transfer::Client,
        cancel: &CancellationToken,
    ) -> capnp::Result<Result<Summary, Failure>> {
        let mut request = transfer.observe_request();
        request.get().set_observer(new_client(self.story.observer()));
        let mut observed = std::pin::pin!(request.send().promise);
        let answer = tokio::select! {
            answer = &mut observed => answer?,
            () = cancel.cancelled() => {
                // Answered when the transfer's processes are gone; its outcome follows.
                let ended = async {
                    transfer.cancel_request().send().promise.await?;
                    observed.await
                };
                match timeout(CONFIRMED_WITHIN, ended).await {
                    Ok(answer) => answer?,
                    Err(_) => return Ok(Err(self.unconfirmed("the destination does not answer"))),
                }
            }
        };
        match outcome::read(answer.get()?.get_outcome()?)? {
            Ok(summary) => read_summary(summary).map(Ok),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// The user wants no more of a transfer that nobody says has ended.
    fn unconfirmed(&self, why: &str) -> Failure {
        let reason = format!("interrupted, and {why}");
        let place = &self.request.destination.place;
        Failure::new(Code::Interrupted, "cancel the transfer to", place, reason, SEE_LATER)
    }

    /// Finds the transfer again, or starts it again, until the user wants no more.
    async fn find(
        &self,
        known: Option<&str>,
        backoff: &mut Backoff,
        cancel: &CancellationToken,
    ) -> Result<Found, Failure> {
        tokio::select! {
            found = self.keep_trying(known, backoff) => found,
            () = cancel.cancelled() => {
                Err(self.unconfirmed("the tracker or the destination is away"))
            }
        }
    }

    async fn keep_trying(
        &self,
        known: Option<&str>,
        backoff: &mut Backoff,
    ) -> Result<Found, Failure> {
        let since = Instant::now();
        loop {
            // First of all, too: an agent that begins and ends in turn is not to be pressed.
            sleep(backoff.next_delay()).await;
            let NotFound { failure, may_help } = match self.try_find(known).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            if !may_help || since.elapsed() >= self.patience() {
                return Err(Failure {
                    operation: "watch the transfer to".to_owned(),
                    subject: self.request.destination.place.to_string(),
                    remedy: SEE_LATER.to_owned(),
                    ..failure
                });
            }
        }
    }

    async fn try_find(&self, known: Option<&str>) -> Result<Found, NotFound> {
        let connected = Tracker::connect(&self.capability).await;
        let tracker = connected.map_err(|failure| {
            let may_help = may_come_back(&failure);
            NotFound { failure, may_help }
        })?;
        let (started, anew) = self.find_at(&tracker.fleet, known).await?;
        Ok(Found { tracker, started, anew })
    }

    /// Gives the transfer, and whether it was started again.
    async fn find_at(
        &self,
        fleet: &fleet::Client,
        known: Option<&str>,
    ) -> Result<(Started, bool), NotFound> {
        if let Some(id) = known {
            match self.told(self.attach(fleet, id).await) {
                Ok(started) => return Ok((started, false)),
                Err(error) if error.failure.code == Code::NoSuchTransfer => {}
                Err(error) => return Err(error),
            }
        }
        // To begin anew was asked for once. Where that was planned it is done, or there was nothing
        // to throw away; now it would throw away what has arrived since.
        let mut request = self.request.clone();
        request.options.restart &= !self.story.was_planned();
        self.told(start(fleet, &request).await).map(|started| (started, true))
    }

    async fn attach(
        &self,
        fleet: &fleet::Client,
        id: &str,
    ) -> capnp::Result<Result<Started, Failure>> {
        let mut request = fleet.attach_request();
        wire::write_place(request.get().init_destination(), &self.request.destination.place);
        request.get().set_id(id);
        request.get().set_dataset(self.request.dataset.as_str());
        let answer = request.send().promise.await?;
        read_started(outcome::read(answer.get()?.get_outcome()?)?)
    }

    fn told<T>(&self, answer: capnp::Result<Result<T, Failure>>) -> Result<T, NotFound> {
        match answer {
            Ok(answer) => answer.map_err(|failure| {
                let may_help =
                    matches!(failure.code, Code::Offline | Code::Unreachable | Code::Interrupted);
                NotFound { failure, may_help }
            }),
            Err(error) => {
                let place = &self.request.destination.place;
                let failure = Failure::from_exception("watch", place, &error);
                let may_help = matches!(
                    error.kind,
                    capnp::ErrorKind::Disconnected | capnp::ErrorKind::Overloaded
                );
                Err(NotFound { failure, may_help })
            }
        }
    }
}

/// A transfer that is in sight again.
struct Found {
    tracker: Tracker,
    started: Started,
    /// It was started again.
    anew: bool,
}

impl Found {
    fn note(&self) -> &'static str {
        if self.anew {
            "the destination's agent was restarted: the transfer is started again, and goes on with \
             what has arrived"
        } else {
            "the transfer is in sight again"
        }
    }
}

/// Why a transfer could not be found again, and whether it may help to wait.
#[derive(Debug)]
struct NotFound {
    failure: Failure,
    may_help: bool,
}

#[cfg(test)]
mod tests;
