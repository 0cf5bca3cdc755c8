//! `cli copy`: the destination's agent plans and owns the transfer; this program watches it.
//!
//! The tracker passes on what the agent reports. Should the tracker go, the transfer goes on, and
//! this program tries to attach to it again.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ::transfer::report::{Status, Summary};
use ::transfer::wire::{CopyRequest, read_event, read_summary, write_request};
use capnp_rpc::new_client;
use schema::transfer_capnp::{observer, started, transfer};
use schema::{Code, Failure, Place, outcome, wire};
use sturdyref::{Backoff, SturdyRef};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::args::Copy;
use crate::names::{Wanted, parse};
use crate::output::Destination;
use crate::tracker::Tracker;
use crate::unless_interrupted;
use crate::watch::to_the_end;

/// How long to look for a tracker that has gone, and for a destination that has.
const TRACKER_BACK: Duration = Duration::from_secs(60);
const MACHINE_BACK: Duration = Duration::from_secs(30);

/// How long the destination may take to confirm that it has ended a cancelled transfer.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(10);
/// What to do about a transfer that is out of sight.
const SEE_LATER: &str =
    "The transfer may go on at the destination. See later with: cli --connect user.cap show";

/// Has a dataset received by another machine.
pub(crate) async fn copy(
    capability: &SturdyRef,
    args: Copy,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let Wanted { dataset, from, snapshot } = Wanted::parse(&args.dataset, &args.wish)?;
    let destination: schema::Destination = parse("destination", &args.destination)?;
    let place = destination.place.clone();
    let request = CopyRequest { dataset, destination, from, snapshot, dry_run: args.wish.dry_run };
    let begun = async {
        let tracker = Tracker::connect(capability).await?;
        let (id, transfer) = start(&tracker, &request).await?;
        Ok((tracker, id, transfer))
    };
    let (tracker, id, transfer) = unless_interrupted(&cancel, begun).await?;

    let status = Rc::new(watch::Sender::new(Status::default()));
    let watched = status.subscribe();
    let running = Running { capability: capability.clone(), place: place.clone(), id, status };
    tokio::task::spawn_local(running.follow(tracker, transfer, cancel));
    to_the_end(watched, &Destination::There(place), &args.wish).await
}

async fn start(
    tracker: &Tracker,
    request: &CopyRequest,
) -> Result<(String, transfer::Client), Failure> {
    let asked = async {
        let mut call = tracker.fleet.copy_request();
        write_request(call.get().init_request(), request);
        let answer = call.send().promise.await?;
        read_started(outcome::read(answer.get()?.get_outcome()?)?)
    };
    let exception = |error| Failure::from_exception("copy", &request.dataset, &error);
    asked.await.map_err(exception)?
}

fn read_started(
    started: Result<started::Reader<'_>, Failure>,
) -> capnp::Result<Result<(String, transfer::Client), Failure>> {
    match started {
        Ok(started) => Ok(Ok((started.get_id()?.to_string()?, started.get_transfer()?))),
        Err(failure) => Ok(Err(failure)),
    }
}

/// A transfer at another machine.
struct Running {
    capability: SturdyRef,
    place: Place,
    id: String,
    status: Rc<watch::Sender<Status>>,
}

impl Running {
    /// Follows the transfer over trackers that come and go, and leaves the outcome in the status.
    async fn follow(
        self,
        mut tracker: Tracker,
        mut transfer: transfer::Client,
        cancel: CancellationToken,
    ) {
        let outcome = loop {
            let lost = match self.observe(&transfer, &cancel).await {
                Ok(outcome) => break outcome,
                Err(error) => error,
            };
            drop(tracker);
            self.note(format!("lost sight of the transfer, which may go on: {}", lost.extra));
            match self.attach(&cancel).await {
                Ok(again) => (tracker, transfer) = again,
                Err(failure) => break Err(failure),
            }
            self.note("the transfer is in sight again".to_owned());
        };
        self.status.send_modify(|status| status.outcome = Some(outcome));
    }

    fn note(&self, text: String) {
        self.status.send_modify(|status| status.notes.push(text));
    }

    /// An error means that the connection was lost, not that the transfer failed.
    async fn observe(
        &self,
        transfer: &transfer::Client,
        cancel: &CancellationToken,
    ) -> capnp::Result<Result<Summary, Failure>> {
        let mut request = transfer.observe_request();
        request.get().set_observer(new_client(Observer { status: self.status.clone() }));
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
        Failure::new(Code::Interrupted, "cancel the transfer to", &self.place, reason, SEE_LATER)
    }

    /// Finds the transfer again by way of a tracker that has gone, until the user wants no more.
    async fn attach(
        &self,
        cancel: &CancellationToken,
    ) -> Result<(Tracker, transfer::Client), Failure> {
        tokio::select! {
            attached = self.keep_trying() => attached,
            () = cancel.cancelled() => Err(self.unconfirmed("the tracker is away")),
        }
    }

    async fn keep_trying(&self) -> Result<(Tracker, transfer::Client), Failure> {
        let since = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            let NotAttached { failure, patience } = match self.try_attach().await {
                Ok(attached) => return Ok(attached),
                Err(error) => error,
            };
            if since.elapsed() >= patience {
                return Err(Failure {
                    operation: "watch the transfer to".to_owned(),
                    subject: self.place.to_string(),
                    remedy: SEE_LATER.to_owned(),
                    ..failure
                });
            }
            sleep(backoff.next_delay()).await;
        }
    }

    async fn try_attach(&self) -> Result<(Tracker, transfer::Client), NotAttached> {
        let tracker = Tracker::connect(&self.capability).await.map_err(|failure| {
            let refused = matches!(failure.code, Code::Refused | Code::OtherProtocol);
            let patience = if refused { Duration::ZERO } else { TRACKER_BACK };
            NotAttached { failure, patience }
        })?;
        let asked = async {
            let mut request = tracker.fleet.attach_request();
            wire::write_place(request.get().init_destination(), &self.place);
            request.get().set_id(&self.id);
            let answer = request.send().promise.await?;
            read_started(outcome::read(answer.get()?.get_outcome()?)?)
        };
        match asked.await {
            Ok(Ok((_, transfer))) => Ok((tracker, transfer)),
            Ok(Err(failure)) => {
                let offline = failure.code == Code::Offline;
                let patience = if offline { MACHINE_BACK } else { Duration::ZERO };
                Err(NotAttached { failure, patience })
            }
            Err(error) => {
                let failure = Failure::from_exception("watch", &self.place, &error);
                Err(NotAttached { failure, patience: TRACKER_BACK })
            }
        }
    }
}

/// Why a transfer could not be found again, and for how long it is worth trying.
struct NotAttached {
    failure: Failure,
    patience: Duration,
}

/// Takes what the agent reports.
struct Observer {
    status: Rc<watch::Sender<Status>>,
}

impl observer::Server for Observer {
    async fn event(self: Rc<Self>, params: observer::EventParams) -> capnp::Result<()> {
        let event = params.get()?.get_event()?;
        let read = RefCell::new(Ok(()));
        self.status.send_modify(|status| *read.borrow_mut() = read_event(event, status));
        read.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::*;

    fn running(tracker: std::net::SocketAddr) -> Running {
        Running {
            capability: format!("capnp://insecure@{tracker}/c2VjcmV0").parse().unwrap(),
            place: r"site\machine\tank".parse().unwrap(),
            id: "1".to_owned(),
            status: Rc::default(),
        }
    }

    /// A transfer at a destination that says nothing any more.
    struct Silent {
        /// Cancelled when it is watched.
        watched: CancellationToken,
    }

    impl transfer::Server for Silent {
        async fn observe(
            self: Rc<Self>,
            _: transfer::ObserveParams,
            _: transfer::ObserveResults,
        ) -> capnp::Result<()> {
            self.watched.cancel();
            std::future::pending().await
        }

        async fn cancel(
            self: Rc<Self>,
            _: transfer::CancelParams,
            _: transfer::CancelResults,
        ) -> capnp::Result<()> {
            std::future::pending().await
        }
    }

    fn assert_interrupted<T>(outcome: Result<T, Failure>) {
        let failure = outcome.err().unwrap();
        assert_eq!(failure.exit_status(), 130);
        assert!(failure.remedy.contains("may go on at the destination"), "{failure}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_interrupt_ends_the_wait_for_a_destination_that_does_not_answer() {
        let cancel = CancellationToken::new();
        let transfer = new_client(Silent { watched: cancel.clone() });
        let running = running(([127, 0, 0, 1], 1).into());
        let observed = running.observe(&transfer, &cancel);
        assert_interrupted(LocalSet::new().run_until(observed).await.unwrap());
    }

    #[tokio::test]
    async fn an_interrupt_ends_the_wait_for_a_tracker_that_does_not_answer() {
        let stalled = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running = running(stalled.local_addr().unwrap());
        let cancel = CancellationToken::new();
        let interrupted = async {
            let connection = stalled.accept().await.unwrap();
            cancel.cancel();
            connection
        };
        let (attached, _connection) = LocalSet::new()
            .run_until(async { tokio::join!(running.attach(&cancel), interrupted) })
            .await;
        assert_interrupted(attached);
    }
}
