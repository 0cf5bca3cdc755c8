//! Someone with a capability who speaks to the tracker without the cli.

use schema::user_capnp::{fleet, user};
use schema::{Failure, outcome};
use sturdyref::{Connection, Identity, Security, SturdyRef};
use transfer::broker::Broker;

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
        Broker::new(client, dataset.parse().expect("a dataset's name"))
    }
}

/// Restores a capability under this key.
pub async fn dial(target: &SturdyRef, identity: &Identity) -> Connection {
    let security = Security::Tls(identity.clone());
    let connected = sturdyref::connect(target, &security, deadline()).await;
    connected.unwrap_or_else(|error| panic!("{error}"))
}
