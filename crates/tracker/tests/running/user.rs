//! Someone with user.cap.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use capnp::Error;
use schema::broker_capnp::broker;
use schema::dataset_capnp::replica_sink;
use schema::user_capnp::{fleet, user};
use schema::{Failure, Replica, outcome, wire};
use sturdyref::Connection;

use crate::process::{DEADLINE, Home, dial, identity};

/// An open fleet.
pub(crate) struct User {
    pub(crate) connection: Connection,
    pub(crate) fleet: fleet::Client,
}

pub(crate) async fn open(home: &Home) -> User {
    let connection = dial(&home.capability("user"), &identity()).await;
    let fleet = open_on(&connection, schema::PROTOCOL).await.unwrap();
    User { connection, fleet }
}

pub(crate) async fn open_on(
    connection: &Connection,
    protocol: u16,
) -> Result<fleet::Client, Failure> {
    let mut request = connection.target::<user::Client>().open_request();
    let mut hello = request.get().init_hello();
    hello.set_protocol(protocol);
    hello.set_software("a test");
    let answer = request.send().promise.await.unwrap();
    let opened = outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap()?;
    Ok(opened.get_fleet().unwrap())
}

impl User {
    pub(crate) async fn list(
        &self,
        pattern: &str,
        location: &str,
    ) -> Result<Vec<Replica>, Failure> {
        let (sink, replicas) = collector();
        let mut request = self.fleet.list_request();
        let mut query = request.get().init_query();
        query.set_pattern(pattern);
        query.set_location(location);
        request.get().set_sink(sink);
        let answer = request.send().promise.await.unwrap();
        outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap()?;
        Ok(replicas.take())
    }

    /// Each replica as `name place (state)`.
    pub(crate) async fn show(&self, pattern: &str) -> Vec<String> {
        let replicas = self.list(pattern, "").await.unwrap();
        let state = |online| if online { "online" } else { "offline" };
        let line = |r: &Replica| format!("{} {} ({})", r.name, r.place, state(r.online));
        replicas.iter().map(line).collect()
    }

    /// Asks again until the answer is this.
    pub(crate) async fn show_until(&self, lines: &[&str]) {
        let until = Instant::now() + DEADLINE;
        loop {
            let shown = self.show("").await;
            if shown == lines {
                return;
            }
            assert!(Instant::now() < until, "{shown:?} is not {lines:?}");
        }
    }

    pub(crate) async fn broker(&self, name: &str) -> Result<broker::Client, Failure> {
        let mut request = self.fleet.dataset_request();
        request.get().set_name(name);
        let answer = request.send().promise.await.unwrap();
        let brokered = outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap()?;
        Ok(brokered.get_broker().unwrap())
    }
}

/// All that a planner gets to see.
pub(crate) async fn replicas(broker: &broker::Client) -> Result<Vec<Replica>, Failure> {
    let (sink, replicas) = collector();
    let mut request = broker.replicas_request();
    request.get().set_sink(sink);
    let answer = request.send().promise.await.unwrap();
    outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap()?;
    Ok(replicas.take())
}

#[derive(Default)]
struct Collector(Rc<RefCell<Vec<Replica>>>);

fn collector() -> (replica_sink::Client, Rc<RefCell<Vec<Replica>>>) {
    let replicas = Rc::default();
    (capnp_rpc::new_client(Collector(Rc::clone(&replicas))), replicas)
}

impl replica_sink::Server for Collector {
    async fn write(self: Rc<Self>, params: replica_sink::WriteParams) -> Result<(), Error> {
        // As a slow reader: the answer to the listing must not overtake what is still being taken.
        tokio::task::yield_now().await;
        wire::read_replicas(params.get()?.get_replicas()?, &mut self.0.borrow_mut())
    }

    async fn done(
        self: Rc<Self>,
        _: replica_sink::DoneParams,
        _: replica_sink::DoneResults,
    ) -> Result<(), Error> {
        Ok(())
    }
}
