//! The way round: this agent dials out to the tracker, where its receiver can't reach it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use schema::broker_capnp::{dialler, meeting};
use schema::wire::parse;
use schema::{Code, Failure, outcome};
use sturdyref::{Security, SturdyRef, Worker};
use tokio::sync::oneshot;
use transfer::outgoing::Tasks;

use crate::control::Control;
use crate::tickets::{MakeSource, Ticket, VALID};

/// How long a connection of ours to a meeting may take.
const DIAL_DEADLINE: Duration = Duration::from_secs(3);

/// Brings a ticket's source to a meeting, for a receiver that can't dial us: once, and as long as the
/// ticket itself is good.
pub(crate) struct Dialler {
    control: Rc<Control>,
    ticket: Cell<Option<Ticket>>,
    until: Instant,
}

impl Dialler {
    /// For a ticket that was just minted.
    pub(crate) fn new(control: Rc<Control>, ticket: Ticket) -> Self {
        Self { control, ticket: Cell::new(Some(ticket)), until: Instant::now() + VALID }
    }
}

impl dialler::Server for Dialler {
    async fn dial(
        self: Rc<Self>,
        params: dialler::DialParams,
        mut results: dialler::DialResults,
    ) -> capnp::Result<()> {
        let meeting: SturdyRef = parse(params.get()?.get_uri()?)?;
        let Control { security, tasks, tracker, tickets, .. } = &*self.control;
        let ticket = self.ticket.take().filter(|_| Instant::now() < self.until);
        let dialled = match ticket {
            // No meeting but at the tracker that this agent was given.
            _ if meeting.auth != *tracker => Err(not_dialled("it is not at the tracker")),
            None => Err(not_dialled("the ticket was used or has expired")),
            Some(ticket) => {
                dial(meeting, security.clone(), tickets.source(&ticket), tasks.clone()).await
            }
        };
        outcome::write_nothing(results.get().init_outcome(), dialled)
    }
}

fn not_dialled(reason: &str) -> Failure {
    Failure::new(Code::Refused, "meet the receiver", "", reason, "Run the command again.")
}

/// Connects on a thread of its own, where the source is served until the receiver or the connection
/// goes.
async fn dial(
    meeting: SturdyRef,
    security: Security,
    source: MakeSource,
    tasks: Tasks,
) -> Result<(), Failure> {
    let failed = |address: &sturdyref::Address, reason: String| {
        Failure::new(
            Code::Unreachable,
            "meet the receiver at",
            address,
            reason,
            "See to it that the machines can reach the tracker's address.",
        )
    };
    let address = meeting.address.clone();
    let worker = Worker::spawn("send").map_err(|error| failed(&address, error.to_string()))?;
    let (answer, result) = oneshot::channel();
    let tracker = tasks.tracker.clone();
    worker.run(move || {
        tracker.track_future(async move {
            let connection = match sturdyref::connect(&meeting, &security, DIAL_DEADLINE).await {
                Ok(connection) => connection,
                Err(error) => {
                    let _ = answer.send(Err(schema::text::chain(&error)));
                    return;
                }
            };
            let place: meeting::Client = connection.target();
            let mut request = place.bring_request();
            let (source, released) = source();
            request.get().set_source(source);
            let brought = request.send().promise.await.map(drop).map_err(|error| error.to_string());
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
    match result.await {
        Ok(brought) => brought.map_err(|reason| failed(&address, reason)),
        Err(_) => Err(failed(&address, "the connection's thread has ended".into())),
    }
}
