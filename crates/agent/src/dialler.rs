//! The way round: this agent dials out, to its receiver where that can't reach it, else to the tracker.

use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;
use std::time::Instant;

use schema::broker_capnp::{dialler, meeting};
use schema::text::chain;
use schema::wire::parse;
use schema::{Code, Failure, outcome};
use sturdyref::{Address, Auth, Fingerprint, Limits, Security, SturdyRef, Worker};
use tokio::sync::oneshot;
use transfer::dial::{self, NotDialled};
use transfer::outgoing::Tasks;

use crate::control::Control;
use crate::tickets::{MakeSource, Ticket, VALID};

/// Brings a ticket's source to a meeting, for a receiver that can't dial us: as long as the ticket itself
/// is good, at the receiver, and where that fails, at the tracker.
pub(crate) struct Dialler {
    control: Rc<Control>,
    /// Until it is used.
    ticket: RefCell<Option<Ticket>>,
    until: Instant,
}

impl Dialler {
    /// For a ticket that was just minted.
    pub(crate) fn new(control: Rc<Control>, ticket: Ticket) -> Self {
        let (ticket, until) = (RefCell::new(Some(ticket)), Instant::now() + VALID);
        Self { control, ticket, until }
    }

    fn ticket(&self) -> Result<Ticket, Failure> {
        let ticket = self.ticket.borrow().clone().filter(|_| Instant::now() < self.until);
        ticket.ok_or_else(|| not_dialled("the ticket was used or has expired"))
    }

    async fn dial_tracker(&self, meeting: SturdyRef) -> Result<(), Failure> {
        // No meeting but at the tracker that this agent was given: it gets to see the stream.
        if meeting.auth != self.control.tracker {
            return Err(not_dialled("it is not at the tracker"));
        }
        let ticket = self.ticket()?;
        self.ticket.take();
        // The tracker keeps less for each.
        let usual = Limits::default();
        let limits = Limits { most_window: usual.most_window, ..self.control.limits.clone() };
        self.dial(vec![meeting], &ticket, limits).await
    }

    async fn dial_receiver(&self, mut meeting: Vec<SturdyRef>) -> Result<(), Failure> {
        let ticket = self.ticket()?;
        meeting.retain(|it| is_of(ticket.receiver, it));
        self.dial(meeting, &ticket, self.control.limits.clone()).await?;
        self.ticket.take();
        Ok(())
    }

    async fn dial(
        &self,
        meeting: Vec<SturdyRef>,
        ticket: &Ticket,
        limits: Limits,
    ) -> Result<(), Failure> {
        let Control { security, tasks, tickets, .. } = &*self.control;
        let socket = (security.clone(), limits);
        dial(meeting, socket, tickets.source(ticket), tasks.clone()).await
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

/// Whether this is the receiver that a ticket is for, somewhere in the network: not a socket of this
/// machine.
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
/// goes.
async fn dial(
    meeting: Vec<SturdyRef>,
    (security, limits): (Security, Limits),
    source: MakeSource,
    tasks: Tasks,
) -> Result<(), Failure> {
    let worker = Worker::spawn("send").map_err(unreachable)?;
    let (answer, result) = oneshot::channel();
    let tracker = tasks.tracker.clone();
    worker.run(move || {
        tracker.track_future(async move {
            let connection = match dial::dial(&meeting, &security, &limits, |_| ()).await {
                Ok((connection, ())) => connection,
                Err(error) => {
                    let _ = answer.send(Err(why(error)));
                    return;
                }
            };
            let place: meeting::Client = connection.target();
            let mut request = place.bring_request();
            let (source, released) = source();
            request.get().set_source(source);
            let brought = request.send().promise.await.map(drop).map_err(unreachable);
            let arrived = brought.is_ok();
            let _ = answer.send(brought);
            if arrived {
                tokio::select! {
                    () = connection.closed() => {}
                    // The receiver has gone.
                    () = released.cancelled() => {}
                    () = tasks.shutdown.cancelled() => {}
                }
            }
        })
    });
    result.await.unwrap_or_else(|_| Err(unreachable("the connection's thread has ended")))
}

/// Somebody who is there and is another is not gone round.
fn why(error: NotDialled) -> Failure {
    match error {
        NotDialled::Unreachable(reasons) => unreachable(reasons.join("; ")),
        NotDialled::Final(error) => not_dialled(chain(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_dialled_but_the_receiver_that_the_ticket_is_for() {
        let (ours, another) = (Fingerprint([7; 32]), Fingerprint([8; 32]));
        let at =
            |auth: &str, address: &str| format!("capnp://{auth}@{address}/bQ").parse().unwrap();
        let tcp = "192.0.2.1:1";
        let pinned = |key: Fingerprint| format!("sha-256:{key}");
        assert!(is_of(Some(ours), &at(&pinned(ours), tcp)));
        assert!(!is_of(Some(ours), &at(&pinned(another), tcp)));
        assert!(!is_of(Some(ours), &at("insecure", tcp)));
        assert!(!is_of(Some(ours), &at(&pinned(ours), "/run/docker.sock")));
        assert!(is_of(None, &at("insecure", tcp)));
        assert!(!is_of(None, &at(&pinned(ours), tcp)));
    }
}
