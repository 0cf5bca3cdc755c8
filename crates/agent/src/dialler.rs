//! The way round: this agent dials out, to its receiver where that can't reach it, else to the tracker.

use std::fmt::Display;
use std::rc::Rc;

use schema::broker_capnp::{dialler, meeting};
use schema::text::chain;
use schema::wire::parse;
use schema::{Code, Failure, outcome};
use sturdyref::{
    Address, Auth, Connection, Fingerprint, IdDigest, Limits, Security, SturdyRef, Worker,
};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use transfer::dial::{self, NotDialled, TO_MEET};
use transfer::outgoing::Tasks;

use crate::control::Control;
use crate::tickets::{MakeSource, Ticket};
use crate::whereabouts;

/// Brings a ticket's source to a meeting, for a receiver that can't dial us: as long as the ticket itself
/// is good, at the receiver, and where that fails, at the tracker.
pub(crate) struct Dialler {
    control: Rc<Control>,
    /// What `Tickets` knows it by.
    ticket: IdDigest,
}

impl Dialler {
    /// For a ticket that was just minted.
    pub(crate) fn new(control: Rc<Control>, ticket: IdDigest) -> Self {
        Self { control, ticket }
    }

    async fn dial_tracker(&self, meeting: SturdyRef) -> Result<(), Failure> {
        // No meeting but at the tracker that this agent was given: it gets to see the stream.
        if meeting.auth != self.control.tracker {
            return Err(not_dialled("it is not at the tracker"));
        }
        // The tracker keeps less for each.
        let usual = Limits::default();
        let limits = Limits { most_window: usual.most_window, ..self.control.limits.clone() };
        self.bring(|_| Whom::Tracker(meeting), limits).await
    }

    async fn dial_receiver(&self, mut meeting: Vec<SturdyRef>) -> Result<(), Failure> {
        let of_receiver = |ticket: &Ticket| {
            meeting.retain(|it| is_of(ticket.receiver, it));
            Whom::Receiver { meeting, here: self.control.here.clone() }
        };
        self.bring(of_receiver, self.control.limits.clone()).await
    }

    /// Brings the ticket's source to somebody. The ticket is good for one source: meanwhile nobody else
    /// can use it, and nobody at all once this has succeeded. Whoever asked may go away before.
    async fn bring(
        &self,
        whom: impl FnOnce(&Ticket) -> Whom,
        limits: Limits,
    ) -> Result<(), Failure> {
        let Control { security, tasks, tickets, .. } = &*self.control;
        let used = || not_dialled("the ticket was used or has expired");
        let taken = tickets.take(&self.ticket).ok_or_else(used)?;
        let source = tickets.source(taken.ticket());
        let socket = (security.clone(), limits);
        dial(whom(taken.ticket()), socket, source, tasks.clone()).await?;
        taken.used();
        Ok(())
    }
}

impl dialler::Server for Dialler {
    async fn dial(
        self: Rc<Self>,
        params: dialler::DialParams,
        mut results: dialler::DialResults,
    ) -> capnp::Result<()> {
        let dialled = self.dial_tracker(parse(params.get()?.get_uri()?)?).await;
        outcome::write_nothing(results.get().init_outcome(), dialled)
    }

    async fn dial_receiver(
        self: Rc<Self>,
        params: dialler::DialReceiverParams,
        mut results: dialler::DialReceiverResults,
    ) -> capnp::Result<()> {
        let uris = params.get()?.get_uris()?;
        let meeting = uris.iter().map(|uri| parse(uri?)).collect::<capnp::Result<_>>()?;
        let dialled = Self::dial_receiver(&self, meeting).await;
        outcome::write_nothing(results.get().init_outcome(), dialled)
    }
}

/// Whether this is the receiver that a ticket is for, somewhere in the network.
fn is_of(receiver: Option<Fingerprint>, meeting: &SturdyRef) -> bool {
    let auth = receiver.map_or(Auth::Insecure, Auth::Tls);
    meeting.auth == auth && matches!(meeting.address, Address::Tcp { .. })
}

fn not_dialled(reason: impl Display) -> Failure {
    Failure::new(Code::Refused, "meet the receiver", "", reason, "Run the command again.")
}

fn unreachable(reason: impl Display) -> Failure {
    let remedy = "See to it that the machines can reach each other, or the tracker's address.";
    Failure::new(Code::Unreachable, "meet the receiver", "", reason, remedy)
}

/// Connects on a thread of its own, where the source is served until the receiver or the connection
/// goes. Dropped before it has, it leaves nothing behind.
async fn dial(
    whom: Whom,
    (security, limits): (Security, Limits),
    source: MakeSource,
    tasks: Tasks,
) -> Result<(), Failure> {
    let worker = Worker::spawn("send").map_err(unreachable)?;
    let (mut answer, result) = oneshot::channel();
    let tracker = tasks.tracker.clone();
    worker.run(move || {
        tracker.track_future(async move {
            let late = |_| Err(unreachable("it has not answered in time"));
            let met = timeout(TO_MEET, meet(whom, &security, &limits, source));
            let met = tokio::select! {
                met = met => met.unwrap_or_else(late),
                () = tasks.shutdown.cancelled() => Err(unreachable("the agent is stopping")),
                () = answer.closed() => return,
            };
            match met {
                Err(failure) => {
                    let _ = answer.send(Err(failure));
                }
                Ok((connection, released)) => {
                    if answer.send(Ok(())).is_err() {
                        return;
                    }
                    tokio::select! {
                        () = connection.closed() => {}
                        // The receiver has gone.
                        () = released.cancelled() => {}
                        () = tasks.shutdown.cancelled() => {}
                    }
                }
            }
        })
    });
    result.await.unwrap_or_else(|_| Err(unreachable("the connection's thread has ended")))
}

/// Dials a meeting and brings the source there; the connection, and what is cancelled when nobody holds
/// the source any more.
async fn meet(
    whom: Whom,
    security: &Security,
    limits: &Limits,
    source: MakeSource,
) -> Result<(Connection, CancellationToken), Failure> {
    let connection = whom.dial(security, limits).await?;
    let place: meeting::Client = connection.target();
    let mut request = place.bring_request();
    let (source, released) = source();
    request.get().set_source(source);
    request.send().promise.await.map_err(unreachable)?;
    Ok((connection, released))
}

/// At whose meeting a source is brought.
enum Whom {
    Tracker(SturdyRef),
    Receiver {
        meeting: Vec<SturdyRef>,
        /// This end of the connection to the tracker.
        here: Address,
    },
}

impl Whom {
    async fn dial(self, security: &Security, limits: &Limits) -> Result<Connection, Failure> {
        match self {
            Self::Tracker(meeting) => {
                dial::dial(&[meeting], security, limits, |_| ()).await.map_err(why)
            }
            Self::Receiver { meeting, here } => {
                let found = whereabouts::find(&meeting, &here).await;
                let dialled = dial::dial(&found, security, limits, |_| ()).await;
                dialled.map_err(|reasons| not_met(&reasons))
            }
        }
        .map(|(connection, ())| connection)
    }
}

/// Whoever is found where the receiver says that it is, may be another who has the same address here, as
/// happens with private ones: that is not held against the receiver, which can still be met at the tracker.
/// (Somebody between the two who wants it so needs only to drop packets.) What is there instead is nobody's
/// business but ours.
fn not_met(reasons: &NotDialled) -> Failure {
    tracing::info!(?reasons, "the receiver was not reached");
    unreachable("the sender has not reached the receiver")
}

/// A tracker that refuses is not gone round, nor somebody with its name and another key.
fn why(error: NotDialled) -> Failure {
    match error {
        NotDialled::Unreachable(reasons) => unreachable(reasons.join("; ")),
        NotDialled::Final(error) => not_dialled(chain(&error)),
    }
}

#[cfg(test)]
mod tests;
