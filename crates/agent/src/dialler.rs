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
        self.bring(|_| vec![meeting], limits).await
    }

    async fn dial_receiver(&self, mut meeting: Vec<SturdyRef>) -> Result<(), Failure> {
        let of_receiver = |ticket: &Ticket| {
            meeting.retain(|it| is_of(ticket.receiver, it));
            meeting
        };
        self.bring(of_receiver, self.control.limits.clone()).await
    }

    /// Brings the ticket's source to one of these. The ticket is good for one source: meanwhile nobody else
    /// can use it, and nobody at all once this has succeeded.
    async fn bring(
        &self,
        meeting: impl FnOnce(&Ticket) -> Vec<SturdyRef>,
        limits: Limits,
    ) -> Result<(), Failure> {
        let Control { security, tasks, tickets, .. } = &*self.control;
        let used = || not_dialled("the ticket was used or has expired");
        let valid = tickets.take(&self.ticket).ok_or_else(used)?;
        let source = tickets.source(&valid.ticket);
        let socket = (security.clone(), limits);
        let dialled = dial(meeting(&valid.ticket), socket, source, tasks.clone()).await;
        if dialled.is_err() {
            tickets.put_back(self.ticket, valid);
        }
        dialled
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
            let late = |_| Err(unreachable("it has not answered in time"));
            let met = timeout(TO_MEET, meet(&meeting, &security, &limits, source));
            let met = tokio::select! {
                met = met => met.unwrap_or_else(late),
                () = tasks.shutdown.cancelled() => Err(unreachable("the agent is stopping")),
            };
            match met {
                Err(failure) => {
                    let _ = answer.send(Err(failure));
                }
                Ok((connection, released)) => {
                    let _ = answer.send(Ok(()));
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
    meeting: &[SturdyRef],
    security: &Security,
    limits: &Limits,
    source: MakeSource,
) -> Result<(Connection, CancellationToken), Failure> {
    let (connection, ()) = dial::dial(meeting, security, limits, |_| ()).await.map_err(why)?;
    let place: meeting::Client = connection.target();
    let mut request = place.bring_request();
    let (source, released) = source();
    request.get().set_source(source);
    request.send().promise.await.map_err(unreachable)?;
    Ok((connection, released))
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
    use std::time::Duration;

    use schema::source_capnp::source;
    use sturdyref::{Listener, ObjectId, Peer, RestoreError, Restored, Restorer};
    use tokio::sync::Notify;
    use tokio::task::LocalSet;

    use super::*;

    struct NoSource;

    impl source::Server for NoSource {}

    fn no_source() -> MakeSource {
        Box::new(|| (capnp_rpc::new_client(NoSource), CancellationToken::new()))
    }

    /// A receiver's meeting at which nothing is ever answered. Tells when something is brought.
    #[derive(Clone, Default)]
    struct Silent(Rc<Notify>);

    impl meeting::Server for Silent {
        async fn bring(
            self: Rc<Self>,
            _: meeting::BringParams,
            _: meeting::BringResults,
        ) -> capnp::Result<()> {
            self.0.notify_one();
            std::future::pending().await
        }
    }

    impl Restorer for Silent {
        fn restore(&self, _: &[u8], _: &Peer) -> Result<Restored, RestoreError> {
            let meeting: meeting::Client = capnp_rpc::new_client(self.clone());
            Ok(Restored::Here(meeting.client))
        }
    }

    impl Silent {
        /// Listens on this thread; what is to be dialled.
        fn listen(&self) -> Vec<SturdyRef> {
            let any_port = "tcp:127.0.0.1:0".parse().unwrap();
            let listener = Listener::bind(&any_port, Security::Insecure).unwrap();
            let address = listener.local_address().clone();
            let served = listener.serve(Rc::new(self.clone()), CancellationToken::new());
            tokio::task::spawn_local(served);
            vec![SturdyRef { auth: Auth::Insecure, address, id: ObjectId::random().unwrap() }]
        }
    }

    async fn nothing_is_left(tasks: &Tasks) {
        tasks.tracker.close();
        let gone = timeout(Duration::from_secs(30), tasks.tracker.wait()).await;
        gone.expect("the connection is still there");
    }

    #[tokio::test]
    async fn a_receiver_that_never_answers_is_left() {
        let here = LocalSet::new();
        let bring = async {
            let (receiver, tasks) = (Silent::default(), Tasks::default());
            let socket = (Security::Insecure, Limits::default());
            let dialled = dial(receiver.listen(), socket, no_source(), tasks.clone());
            let dialled = timeout(Duration::from_secs(30), dialled).await.expect("it still waits");
            let failure = dialled.unwrap_err();
            assert_eq!(failure.code, Code::Unreachable, "{failure}");
            nothing_is_left(&tasks).await;
        };
        here.run_until(bring).await;
    }

    #[tokio::test]
    async fn an_agent_that_is_told_to_stop_waits_for_no_receiver() {
        let here = LocalSet::new();
        let bring = async {
            let (receiver, tasks) = (Silent::default(), Tasks::default());
            let socket = (Security::Insecure, Limits::default());
            let dialled = dial(receiver.listen(), socket, no_source(), tasks.clone());
            let dialled = tokio::task::spawn_local(dialled);
            receiver.0.notified().await;
            tasks.shutdown.cancel();
            nothing_is_left(&tasks).await;
            let failure = dialled.await.unwrap().unwrap_err();
            assert!(failure.to_string().contains("the agent is stopping"), "{failure}");
        };
        here.run_until(bring).await;
    }

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
