//! Someone with a capability who speaks to the tracker without the cli.

use std::cell::RefCell;
use std::rc::Rc;

use schema::broker_capnp::{broker, rendezvous};
use schema::dataset_capnp::replica_sink;
use schema::user_capnp::{fleet, user};
use schema::{Failure, Replica, outcome, wire};
use sturdyref::{Connection, Fingerprint, Identity, Security, SturdyRef};

use crate::wait::deadline;

/// Runs what speaks to a vat, on this thread, until it is done.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime.expect("a runtime"), async {
        tokio::time::timeout(2 * deadline(), work).await.expect("an answer in time")
    })
}

/// A user's open connection.
pub struct User {
    /// What user.cap gives.
    pub fleet: fleet::Client,
    /// To the tracker.
    pub connection: Connection,
}

impl User {
    /// Restores the capability, and says hello in this version of the protocol.
    pub async fn open(capability: &SturdyRef, protocol: u16) -> Result<Self, Failure> {
        let identity = Identity::ephemeral().expect("a key");
        let connection = dial(capability, &identity).await;
        let mut request = connection.target::<user::Client>().open_request();
        let mut hello = request.get().init_hello();
        hello.set_protocol(protocol);
        hello.set_software("a test");
        let answer = request.send().promise.await.expect("an answer");
        let outcome = answer.get().and_then(|answer| answer.get_outcome()).expect("an outcome");
        let opened = outcome::read(outcome).expect("an outcome")?;
        Ok(Self { fleet: opened.get_fleet().expect("a fleet"), connection })
    }

    /// The broker of a dataset that there is.
    pub async fn broker(&self, dataset: &str) -> Broker {
        let mut request = self.fleet.dataset_request();
        request.get().set_name(dataset);
        let answer = request.send().promise.await.expect("an answer");
        let outcome = answer.get().and_then(|answer| answer.get_outcome()).expect("an outcome");
        let brokered = outcome::read(outcome).expect("an outcome").expect("a broker");
        let client = brokered.get_broker().expect("a broker");
        Broker { client, dataset: dataset.to_owned() }
    }
}

/// The right to read one dataset.
pub struct Broker {
    client: broker::Client,
    dataset: String,
}

/// What a place offers of it.
pub struct Offer {
    /// Where a receiver may dial it, the most direct first.
    pub tickets: Vec<SturdyRef>,
    rendezvous: rendezvous::Client,
}

impl Broker {
    /// All replicas.
    pub async fn replicas(&self) -> Vec<Replica> {
        let replicas = Rc::new(RefCell::new(Vec::new()));
        let mut request = self.client.replicas_request();
        let sink = capnp_rpc::new_client(Collector(replicas.clone()));
        request.get().set_sink(sink);
        let answer = request.send().promise.await.expect("an answer");
        let outcome = answer.get().and_then(|answer| answer.get_outcome()).expect("an outcome");
        outcome::read(outcome).expect("an outcome").expect("replicas");
        replicas.take()
    }

    /// Asks for a ticket that a receiver with this key may use.
    pub async fn reach(&self, place: &str, receiver: Fingerprint) -> Offer {
        let mut request = self.client.reach_request();
        let place = place.parse().expect("a place");
        wire::write_place(request.get().init_place(), &place);
        request.get().set_dataset(&self.dataset);
        request.get().set_receiver(&receiver.0);
        let answer = request.send().promise.await.expect("an answer");
        let outcome = answer.get().and_then(|answer| answer.get_outcome()).expect("an outcome");
        let offer = outcome::read(outcome).expect("an outcome").expect("an offer");
        let uris = offer.get_uris().expect("tickets").iter();
        let tickets = uris.map(|uri| wire::parse(uri.expect("a text")).expect("a sturdyref"));
        let rendezvous = offer.get_rendezvous().expect("a rendezvous");
        Offer { tickets: tickets.collect(), rendezvous }
    }
}

/// Gathers the replicas that a listing streams.
struct Collector(Rc<RefCell<Vec<Replica>>>);

impl replica_sink::Server for Collector {
    async fn write(self: Rc<Self>, params: replica_sink::WriteParams) -> capnp::Result<()> {
        wire::read_replicas(params.get()?.get_replicas()?, &mut self.0.borrow_mut())
    }

    async fn done(
        self: Rc<Self>,
        _: replica_sink::DoneParams,
        _: replica_sink::DoneResults,
    ) -> capnp::Result<()> {
        Ok(())
    }
}

impl Offer {
    /// Has the sender come to the tracker; gives what the receiver dials there.
    pub async fn relay(&self) -> SturdyRef {
        let answer = self.rendezvous.relay_request().send().promise.await.expect("an answer");
        let outcome = answer.get().and_then(|answer| answer.get_outcome()).expect("an outcome");
        let relay = outcome::read(outcome).expect("an outcome").expect("a relay");
        wire::parse(relay.get_uri().expect("a text")).expect("a sturdyref")
    }
}

/// Restores a capability under this key.
pub async fn dial(target: &SturdyRef, identity: &Identity) -> Connection {
    let security = Security::Tls(identity.clone());
    let connected = sturdyref::connect(target, &security, deadline()).await;
    connected.unwrap_or_else(|error| panic!("{error}"))
}
