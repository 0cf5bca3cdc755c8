//! A machine that lies: registered with a real tracker by the location's capability, it announces a
//! dataset and serves a [`Tale`] in its place.
//!
//! It lives on a thread of the test's own. No `zfs` is behind it; honest tales are told with bytes
//! that a real `zfs send` wrote.

mod claim;
mod source;
mod tale;
mod truth;

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use capnp::Error;
use capnp_rpc::new_client;
use schema::agent_capnp::agent;
use schema::broker_capnp::{dialler, meeting};
use schema::location_capnp::{PoolState, UpdateKind, location, session};
use schema::source_capnp::source as source_capnp;
use schema::{Code, Failure, batch, outcome, wire};
use sturdyref::{
    Address, Auth, Connection, Identity, Listener, ObjectId, Peer, RestoreError, Restored,
    Restorer, Security, SturdyRef,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use zfs::{Guid, Kind, Properties};

pub use claim::Claim;
pub use tale::{Asked, Open, Step, Steps, Tale, Then};
pub use truth::Truth;

use crate::wait::deadline;

/// A registered machine whose every word can be chosen. Gone when dropped.
pub struct Liar {
    shared: Arc<Shared>,
    told: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// What the test's thread and the liar's own share.
pub(crate) struct Shared {
    /// The dataset's own GUID.
    guid: u64,
    tale: Mutex<Tale>,
    /// Gets a word each time that all steps of the tale were told.
    told: mpsc::Sender<()>,
    /// The streams that were asked for since the tale was changed.
    asked: Mutex<Vec<Asked>>,
    /// Closes all data connections.
    hang_up: Notify,
    stop: CancellationToken,
    /// Ids of the tickets handed out.
    tickets: Mutex<Vec<ObjectId>>,
}

impl Liar {
    /// Registers with the tracker; the machine is online and its dataset known when this returns.
    pub fn register(capability: &SturdyRef, claim: Claim) -> Self {
        let (told, heard) = mpsc::channel();
        let shared = Arc::new(Shared {
            guid: fastrand::u64(1..),
            tale: Mutex::new(Tale::default()),
            told,
            asked: Mutex::default(),
            hang_up: Notify::new(),
            stop: CancellationToken::new(),
            tickets: Mutex::default(),
        });
        let (ready, wait) = mpsc::channel();
        let (capability, of_thread) = (capability.clone(), shared.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let tasks = tokio::task::LocalSet::new();
            tasks.block_on(&runtime.expect("a runtime"), live(capability, claim, of_thread, ready));
        });
        wait.recv_timeout(deadline()).expect("the liar is registered");
        Self { shared, told: heard, thread: Some(thread) }
    }

    /// What it tells whoever asks from now on, each time.
    pub fn tell(&self, tale: Tale) {
        *self.shared.tale.lock().expect("a tale") = tale;
        // What was heard of the tale before is no news.
        self.shared.asked.lock().expect("questions").clear();
        while self.told.try_recv().is_ok() {}
    }

    /// Waits until a receiver has heard all steps of the tale, or would hear no more of them.
    pub fn wait_until_told(&self) {
        self.told.recv_timeout(deadline()).expect("the tale is told");
    }

    /// The streams that receivers have asked for since the tale was changed.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().expect("questions").clone()
    }

    /// Closes its data connections without a word, and takes new ones.
    pub fn hang_up(&self) {
        self.shared.hang_up.notify_waiters();
    }

    /// The ids of all tickets that it has made.
    pub fn tickets(&self) -> Vec<ObjectId> {
        self.shared.tickets.lock().expect("tickets").clone()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        let ended = self.thread.take().map(JoinHandle::join);
        if matches!(ended, Some(Err(_))) && !std::thread::panicking() {
            panic!("the liar's thread has failed");
        }
    }
}

/// From registration to the end.
async fn live(tracker: SturdyRef, claim: Claim, shared: Arc<Shared>, ready: mpsc::Sender<()>) {
    let identity = Identity::ephemeral().expect("a key");
    let (auth, security) = match tracker.auth {
        Auth::Tls(_) => (Auth::Tls(identity.fingerprint()), Security::Tls(identity.clone())),
        Auth::Insecure => (Auth::Insecure, Security::Insecure),
    };
    let connection = sturdyref::connect(&tracker, &security, deadline()).await.expect("a tracker");
    let host = match connection.local_address() {
        Address::Tcp { host, .. } => host.clone(),
        Address::Unix(_) => IpAddr::from(Ipv4Addr::LOCALHOST).to_string(),
    };
    let door = Rc::new(Door { shared, auth, security, address: RefCell::new(None) });
    let any_port = Address::Tcp { host, port: 0 };
    let mut listener = door.listen(&any_port);
    let session = register(&connection, &claim, &identity, &door).await.expect("a registration");
    announce(&session, &claim, door.shared.guid).await.expect("an announcement");
    ready.send(()).expect("a test that waits");
    tokio::task::spawn_local(heartbeats(session));
    loop {
        let serving = listener.serve(door.clone(), door.shared.stop.clone());
        tokio::select! {
            served = serving => return served.expect("a listener"),
            // Dropped, the listener's connections are closed at once.
            () = door.shared.hang_up.notified() => {}
        }
        listener = door.listen(&any_port);
    }
}

async fn register(
    connection: &Connection,
    claim: &Claim,
    identity: &Identity,
    door: &Rc<Door>,
) -> Result<session::Client, Error> {
    let mut request = connection.target::<location::Client>().register_request();
    outcome::write_hello(request.get().init_hello(), "agent");
    let mut registration = request.get().init_registration();
    registration.set_machine(&claim.machine);
    registration.set_identity(&identity.fingerprint().0);
    registration.reborrow().init_pools(1).set(0, &claim.pool);
    registration.set_agent(new_client(Control(door.clone())));
    let answer = request.send().promise.await?;
    let registered = outcome::read(answer.get()?.get_outcome()?)?;
    registered.unwrap_or_else(|failure| panic!("{failure}")).get_session()
}

async fn announce(session: &session::Client, claim: &Claim, guid: u64) -> Result<(), Error> {
    let mut request = session.update_request();
    request.get().set_pool(&claim.pool);
    request.get().set_kind(UpdateKind::Replace);
    let answer = request.send().promise.await?;
    let update = outcome::read(answer.get()?.get_outcome()?)?;
    let sink = update.unwrap_or_else(|failure| panic!("{failure}")).get_sink()?;
    let mut request = sink.write_request();
    wire::write_dataset(
        request.get().init_datasets(1).get(0),
        &claim.dataset.parse().expect("a dataset's name"),
        &properties(guid, claim.kind, claim.encrypted),
        batch::Part { continues: false, snapshots: &claim.snapshots, bookmarks: &claim.bookmarks },
    );
    request.send().await?;
    let ended = sink.end_request().send().promise.await?;
    let taken = outcome::read(ended.get()?.get_outcome()?)?;
    taken.unwrap_or_else(|failure| panic!("{failure}"));
    let mut request = session.pool_state_request();
    request.get().set_pool(&claim.pool);
    request.get().set_state(PoolState::Online);
    request.send().promise.await.map(drop)
}

fn properties(guid: u64, kind: Kind, encrypted: bool) -> Properties {
    Properties {
        kind,
        guid: Guid(guid),
        used: 2,
        referenced: 3,
        written: 4,
        encrypted,
        origin: None,
        inconsistent: false,
        resume_token: None,
    }
}

async fn heartbeats(session: session::Client) {
    // An error means that the tracker has gone: then nobody misses them.
    while session.heartbeat_request().send().promise.await.is_ok() {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// Where receivers come to: every id restores the tale of the moment.
struct Door {
    shared: Arc<Shared>,
    auth: Auth,
    security: Security,
    address: RefCell<Option<Address>>,
}

impl Door {
    fn listen(&self, address: &Address) -> Listener {
        let listener = Listener::bind(address, self.security.clone()).expect("a listener");
        self.address.replace(Some(listener.local_address().clone()));
        listener
    }

    fn source(&self) -> source_capnp::Client {
        source::serve(self.shared.clone())
    }

    fn ticket(&self) -> SturdyRef {
        let id = ObjectId::random().expect("random bytes");
        self.shared.tickets.lock().expect("tickets").push(id.clone());
        let reachable = self.shared.tale.lock().expect("a tale").reachable;
        let nowhere = || Address::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port: 1 };
        let own = self.address.borrow().clone().filter(|_| reachable);
        SturdyRef { auth: self.auth, address: own.unwrap_or_else(nowhere), id }
    }
}

impl Restorer for Door {
    fn restore(&self, _: &[u8], _: &Peer) -> Result<Restored, RestoreError> {
        Ok(Restored::Here(self.source().client))
    }
}

/// What the tracker asks of it.
struct Control(Rc<Door>);

impl agent::Server for Control {
    async fn offer(
        self: Rc<Self>,
        _: agent::OfferParams,
        mut results: agent::OfferResults,
    ) -> Result<(), Error> {
        let ticket = self.0.ticket();
        outcome::write(results.get().init_outcome(), Ok(ticket), |mut answer, ticket| {
            answer.reborrow().init_uris(1).set(0, ticket.to_uri().as_str());
            answer.set_dialler(new_client(Dialler(self.0.clone())));
            Ok(())
        })
    }

    async fn release_transfer(
        self: Rc<Self>,
        _: agent::ReleaseTransferParams,
        mut results: agent::ReleaseTransferResults,
    ) -> Result<(), Error> {
        outcome::write_nothing(results.get().init_outcome(), Ok(()))
    }
}

/// Brings the tale to the tracker's relay.
struct Dialler(Rc<Door>);

impl dialler::Server for Dialler {
    async fn dial(
        self: Rc<Self>,
        params: dialler::DialParams,
        mut results: dialler::DialResults,
    ) -> Result<(), Error> {
        let place: SturdyRef = wire::parse(params.get()?.get_uri()?)?;
        let met = match sturdyref::connect(&place, &self.0.security, deadline()).await {
            Ok(connection) => {
                let mut request = connection.target::<meeting::Client>().bring_request();
                request.get().set_source(self.0.source());
                request.send().promise.await?;
                let shared = self.0.shared.clone();
                tokio::task::spawn_local(async move {
                    tokio::select! {
                        () = connection.closed() => {}
                        () = shared.hang_up.notified() => {}
                    }
                });
                Ok(())
            }
            Err(error) => Err(Failure::new(Code::Failed, "meet", "", error, "")),
        };
        outcome::write_nothing(results.get().init_outcome(), met)
    }
}
