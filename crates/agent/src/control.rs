//! What the tracker may ask of this agent.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use capnp_rpc::new_client;
use schema::agent_capnp::agent;
use schema::broker_capnp::dialler;
use schema::wire::{length, parse};
use schema::{Code, Failure, Location, broker_capnp, outcome};
use sturdyref::{Auth, Fingerprint, Security, SturdyRef, Worker};
use tokio::sync::{oneshot, watch};
use transfer::broker::Broker;
use transfer::job::{Job, new_id};
use transfer::outgoing::Tasks;
use transfer::wire::read_request;
use zfs::{DatasetName, PoolName};

use crate::tickets::{MakeSource, Ticket, Tickets, VALID};
use crate::transfers::Transfers;

/// How long a connection of ours to a meeting may take.
const DIAL_DEADLINE: Duration = Duration::from_secs(3);

/// One session's `Agent`.
pub(crate) struct Control {
    /// The location under which this agent is registered, once the tracker has told it.
    pub(crate) location: watch::Receiver<Option<Location>>,
    /// The pools that may be read from and received into; no others are ever touched.
    pub(crate) pools: Vec<PoolName>,
    /// Makes tickets.
    pub(crate) tickets: Rc<Tickets>,
    /// Receives.
    pub(crate) transfers: Rc<Transfers>,
    /// The key of the tracker, by which it is known.
    pub(crate) tracker: Auth,
    /// How this agent shows itself when it dials out.
    pub(crate) security: Security,
    /// What runs beside the session.
    pub(crate) tasks: Tasks,
    /// Told by whom this session was replaced.
    pub(crate) replaced: watch::Sender<Option<String>>,
}

impl Control {
    fn own_pool(&self, pool: PoolName) -> Result<PoolName, Failure> {
        if self.pools.contains(&pool) {
            return Ok(pool);
        }
        let pools: Vec<&str> = self.pools.iter().map(PoolName::as_str).collect();
        Err(Failure::new(
            Code::NoSuchPlace,
            "use the pool",
            &pool,
            format!("the agent was given {} alone", pools.join(", ")),
            "Name one of these, or add it to the agent's --zpools.",
        ))
    }

    fn offer(
        &self,
        pool: PoolName,
        params: agent::offer_params::Reader<'_>,
    ) -> capnp::Result<Result<(Vec<SturdyRef>, Ticket), Failure>> {
        let receiver = match params.get_receiver()? {
            [] => None,
            bytes => Some(Fingerprint(
                bytes
                    .try_into()
                    .map_err(|_| capnp::Error::failed("a fingerprint has 32 bytes".into()))?,
            )),
        };
        let path = parse(params.get_dataset()?)?;
        let may_snapshot = params.get_may_snapshot();
        Ok(self.own_pool(pool).and_then(|pool| {
            let dataset = DatasetName::new(pool, path).map_err(|error| {
                Failure::new(Code::Usage, "send", "", error, "Give a shorter name.")
            })?;
            let ticket = Ticket { dataset, receiver, may_snapshot };
            Ok((self.tickets.mint(ticket.clone())?, ticket))
        }))
    }

    fn job(&self, request: transfer::wire::CopyRequest) -> Result<Job, Failure> {
        let pool = self.own_pool(request.destination.place.pool)?;
        let path = request.destination.path.unwrap_or_else(|| request.dataset.clone());
        let target = DatasetName::new(pool, path).map_err(|error| {
            Failure::new(Code::Usage, "receive", "", error, "Give the destination a shorter name.")
        })?;
        Ok(Job {
            id: new_id(),
            dataset: request.dataset,
            target,
            from: request.from,
            snapshot: request.snapshot,
            near: self.location.borrow().clone(),
            dry_run: request.dry_run,
            program: "agent",
        })
    }
}

impl agent::Server for Control {
    async fn offer(
        self: Rc<Self>,
        params: agent::OfferParams,
        mut results: agent::OfferResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let offer = Control::offer(&self, parse(params.get_pool()?)?, params)?;
        outcome::write(results.get().init_outcome(), offer, |mut builder, (uris, ticket)| {
            let mut list = builder.reborrow().init_uris(length(&uris));
            for (index, uri) in (0..).zip(&uris) {
                list.set(index, uri.to_uri().as_str());
            }
            builder.set_dialler(new_client(Dialler {
                control: self.clone(),
                ticket: Cell::new(Some(ticket)),
                until: Instant::now() + VALID,
            }));
            Ok(())
        })
    }

    async fn start(
        self: Rc<Self>,
        params: agent::StartParams,
        mut results: agent::StartResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let request = read_request(params.get_request()?)?;
        let broker = params.get_broker()?;
        let started = self.job(request).and_then(|job| {
            let id = job.id.clone();
            let broker = Broker::new(broker, job.dataset.clone());
            Ok((id, self.transfers.start(job, broker)?))
        });
        outcome::write(results.get().init_outcome(), started, |mut builder, (id, transfer)| {
            builder.set_id(&id);
            builder.set_transfer(transfer);
            Ok(())
        })
    }

    async fn attach(
        self: Rc<Self>,
        params: agent::AttachParams,
        mut results: agent::AttachResults,
    ) -> capnp::Result<()> {
        let id = params.get()?.get_id()?.to_string()?;
        let attached = self.transfers.attach(&id);
        outcome::write(results.get().init_outcome(), attached, |mut builder, transfer| {
            builder.set_id(&id);
            builder.set_transfer(transfer);
            Ok(())
        })
    }

    async fn replaced(
        self: Rc<Self>,
        params: agent::ReplacedParams,
        _: agent::ReplacedResults,
    ) -> capnp::Result<()> {
        let by = params.get()?.get_by()?.to_string()?;
        self.replaced.send_replace(Some(by));
        Ok(())
    }
}

/// Brings a ticket's source to a meeting, for a receiver that can't dial us: once, and as long as the
/// ticket itself is good.
struct Dialler {
    control: Rc<Control>,
    ticket: Cell<Option<Ticket>>,
    until: Instant,
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
            let place: broker_capnp::meeting::Client = connection.target();
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
