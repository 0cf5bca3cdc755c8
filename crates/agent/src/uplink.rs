//! The line to the tracker: dial, register, keep it told of the pools; again for ever.

use std::cell::RefCell;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use capnp_rpc::new_client;
use schema::location_capnp::{location, session};
use schema::wire::{length, parse};
use schema::{Location, Machine, outcome};
use sturdyref::{Address, Auth, Backoff, Connection, Fingerprint, Limits, Security, SturdyRef};
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};
use transfer::Queue;
use transfer::holds::Holds;
use transfer::job::Permits;
use transfer::outgoing::Tasks;

use crate::control::Control;
use crate::inventory::Inventory;
use crate::sync;
use crate::tickets::Tickets;
use crate::transfers::Transfers;

/// How long the tracker may take to be reached and to restore the capability.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Without an answer for this long the tracker is gone.
const SILENCE: Duration = Duration::from_secs(15);
/// An agent that was replaced lets the other have the name for this long.
const REPLACED: Duration = Duration::from_secs(60);

/// What is needed to be an agent, whatever becomes of the connection.
pub(crate) struct Uplink {
    /// The location's capability file.
    pub(crate) connect: PathBuf,
    /// What it said when it was last read.
    pub(crate) tracker: RefCell<SturdyRef>,
    /// How this agent shows itself.
    pub(crate) security: Security,
    /// What its data connections keep to.
    pub(crate) limits: Limits,
    /// The fingerprint of its key.
    pub(crate) identity: Fingerprint,
    /// Its name.
    pub(crate) machine: Machine,
    /// Where receivers reach it, if it was told.
    pub(crate) public: Option<Address>,
    /// Where it listens.
    pub(crate) listening: Address,
    pub(crate) inventory: Rc<Inventory>,
    pub(crate) tickets: Rc<Tickets>,
    pub(crate) transfers: Rc<Transfers>,
    pub(crate) holds: Holds,
    /// What a copy into this machine may do.
    pub(crate) permits: Permits,
    pub(crate) tasks: Tasks,
    /// Who waits for its turn here.
    pub(crate) to_send: Queue,
}

/// How a session ended.
enum Ended {
    Lost(anyhow::Error),
    Replaced(String),
}

impl Uplink {
    /// Holds a session with the tracker whenever one can be had. Never returns.
    pub(crate) async fn run(&self) {
        let mut backoff = Backoff::new();
        loop {
            match self.hold_session(&mut backoff).await {
                Ended::Lost(error) => {
                    let delay = backoff.next_delay();
                    tracing::warn!(
                        "no session with the tracker, trying again in {delay:.1?}: {error:#}"
                    );
                    sleep(delay).await;
                }
                Ended::Replaced(by) => {
                    tracing::warn!(
                        "another agent with this name and key has registered, {by}; \
                         this one waits {} s. Stop one of the two.",
                        REPLACED.as_secs()
                    );
                    sleep(REPLACED).await;
                }
            }
        }
    }

    async fn hold_session(&self, backoff: &mut Backoff) -> Ended {
        let (tell, mut replaced) = watch::channel(None);
        let held = async {
            let tracker = self.capability();
            let connection = sturdyref::connect(&tracker, &self.security, CONNECT_DEADLINE).await?;
            self.tickets.advertise(self.address(connection.local_address()));
            let (location, session) = self.register(&connection, tell).await?;
            tracing::info!(%location, machine = %self.machine, "registered with the tracker");
            backoff.reset();
            self.transfers.registered(true);
            tokio::select! {
                error = heartbeats(&session, || self.sending()) => Err(error),
                error = sync::bring_up_to_date(&self.inventory, &session) => Err(error),
                () = connection.closed() => Err(anyhow!("the connection was closed")),
            }
        };
        let ended = tokio::select! {
            biased;
            Ok(by) = replaced.wait_for(Option::is_some) => {
                Ended::Replaced(by.clone().unwrap_or_default())
            }
            held = held => match held {
                Ok(never) => never,
                Err(error) => Ended::Lost(error),
            }
        };
        self.transfers.registered(false);
        ended
    }

    /// How many streams this machine sends, and is waited for to send.
    fn sending(&self) -> u32 {
        let waiting = u32::try_from(self.to_send.waiting()).unwrap_or(u32::MAX);
        self.tasks.sending.load(Ordering::Relaxed).saturating_add(waiting)
    }

    /// The capability as the file has it now: a file that was reissued is used without a restart.
    fn capability(&self) -> SturdyRef {
        let mut tracker = self.tracker.borrow_mut();
        if self.connect != Path::new("-") {
            match program::capability::read(&self.connect) {
                // Whether the fleet speaks TLS was settled at the start.
                Ok(read)
                    if matches!(read.auth, Auth::Tls(_))
                        == matches!(tracker.auth, Auth::Tls(_)) =>
                {
                    *tracker = read;
                }
                Ok(_) => tracing::warn!(
                    "the capability file is with TLS now, or without; restart the agent"
                ),
                Err(error) => tracing::warn!(%error, "going on with the capability as it was"),
            }
        }
        tracker.clone()
    }

    async fn register(
        &self,
        connection: &Connection,
        replaced: watch::Sender<Option<String>>,
    ) -> Result<(Location, session::Client)> {
        let door: location::Client = connection.target();
        let pools = self.inventory.names();
        // The location is known only from the answer, which comes before any call on the agent.
        let location = watch::Sender::new(None);
        let control = Control {
            location: location.subscribe(),
            machine: self.machine.clone(),
            pools: pools.clone(),
            permits: self.permits,
            holds: self.holds.clone(),
            tickets: self.tickets.clone(),
            transfers: self.transfers.clone(),
            security: self.security.clone(),
            limits: self.limits.clone(),
            tracker: self.tracker.borrow().auth,
            here: connection.local_address().clone(),
            tasks: self.tasks.clone(),
            replaced,
        };
        let mut request = door.register_request();
        outcome::write_hello(request.get().init_hello(), "agent");
        let mut registration = request.get().init_registration();
        registration.set_machine(self.machine.as_str());
        registration.set_identity(&self.identity.0);
        let mut names = registration.reborrow().init_pools(length(&pools));
        for (index, pool) in (0..).zip(&pools) {
            names.set(index, pool.as_str());
        }
        registration.set_agent(new_client(control));
        let answer = timeout(SILENCE, request.send().promise)
            .await
            .context("the tracker does not answer the registration")?;
        let answer = answer.map_err(|error| match error.kind {
            // What a capability for something else says: a user's, say.
            capnp::ErrorKind::Unimplemented => anyhow!(
                "the capability is not a location's. Give --connect the LOCATION.cap that the tracker made"
            ),
            _ => error.into(),
        })?;
        let registered = outcome::read(answer.get()?.get_outcome()?)??;
        let name: Location = parse(registered.get_location()?)?;
        location.send_replace(Some(name.clone()));
        Ok((name, registered.get_session()?))
    }

    /// What receivers are told to dial: the address given; else the one listened on; where that is
    /// a wildcard, which never appears, the one that the tracker is reached from, with our port.
    fn address(&self, local: &Address) -> Address {
        if let Some(public) = &self.public {
            return public.clone();
        }
        match (&self.listening, local) {
            (Address::Tcp { port, .. }, local) if self.listening.is_wildcard() => {
                let host = match local {
                    Address::Tcp { host, .. } => host.clone(),
                    // The tracker is on this machine.
                    Address::Unix(_) => IpAddr::from([127, 0, 0, 1]).to_string(),
                };
                Address::Tcp { host, port: *port }
            }
            (listening, _) => listening.clone(),
        }
    }
}

/// Calls again and again, telling how many streams there are to send; returns why that can't go on.
async fn heartbeats(session: &session::Client, sending: impl Fn() -> u32) -> anyhow::Error {
    let mut ticks = interval(HEARTBEAT);
    loop {
        ticks.tick().await;
        let mut heartbeat = session.heartbeat_request();
        heartbeat.get().set_sending(sending());
        match timeout(SILENCE, heartbeat.send().promise).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return anyhow!("the tracker has been silent for {} s", SILENCE.as_secs()),
        }
    }
}
