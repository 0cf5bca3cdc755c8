//! Copies: started at the destination's agent, watched through the tracker, cancelled with the last
//! who watches.

use std::rc::Rc;

use capnp::Error;
use capnp::capability::Request;
use schema::location_capnp::PoolState;
use schema::transfer_capnp::{event, observer, started, transfer};
use schema::user_capnp::fleet;
use schema::{Code, Failure, outcome};
use sturdyref::Identity;
use tokio::sync::mpsc;

use crate::agent::{Asked, Dataset, Registered, UNKNOWN, register_as};
use crate::process::{Home, identity, run};
use crate::user::{User, open};

async fn home(key: &Identity) -> (Home, crate::process::Tracker, Registered, User) {
    let home = Home::new();
    let tracker = home.start("dc");
    let machine = register_as(&home, "dc", "m", &["tank"], key).await.unwrap();
    machine.replace("tank", &[Dataset("a", vec![1]), Dataset("stuck", vec![2])]).await;
    let user = open(&home).await;
    (home, tracker, machine, user)
}

fn transfer_in(started: started::Reader<'_>) -> transfer::Client {
    assert_eq!(started.get_id().unwrap().to_str(), Ok("t1"));
    started.get_transfer().unwrap()
}

fn copy_request(
    fleet: &fleet::Client,
    name: &str,
    pool: &str,
) -> Request<fleet::copy_params::Owned, fleet::copy_results::Owned> {
    let mut request = fleet.copy_request();
    let mut copy = request.get().init_request();
    copy.set_dataset(name);
    let mut place = copy.init_destination();
    place.set_location("dc");
    place.set_machine("m");
    place.set_pool(pool);
    request
}

async fn copy(fleet: &fleet::Client, name: &str, pool: &str) -> Result<transfer::Client, Failure> {
    let answer = copy_request(fleet, name, pool).send().promise.await.unwrap();
    outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap().map(transfer_in)
}

async fn attach(fleet: &fleet::Client) -> transfer::Client {
    try_attach(fleet, "t1").await.unwrap()
}

async fn try_attach(fleet: &fleet::Client, id: &str) -> Result<transfer::Client, Failure> {
    let mut request = fleet.attach_request();
    request.get().set_id(id);
    request.get().set_dataset("a");
    let mut place = request.get().init_destination();
    place.set_location("dc");
    place.set_machine("m");
    place.set_pool("tank");
    let answer = request.send().promise.await.unwrap();
    outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap().map(transfer_in)
}

struct Observer(mpsc::UnboundedSender<String>);

impl observer::Server for Observer {
    async fn event(self: Rc<Self>, params: observer::EventParams) -> Result<(), Error> {
        if let event::Note(note) = params.get()?.get_event()?.which()? {
            let _ = self.0.send(note?.to_string()?);
        }
        Ok(())
    }
}

#[test]
fn a_copy_is_the_destinations_to_do_with_a_broker_for_that_dataset_alone() {
    run(async {
        let (_home, _tracker, mut machine, user) = home(&identity()).await;
        let transfer = copy(&user.fleet, "a", "tank").await.unwrap();
        let start = Asked::Start { dataset: "a".into(), replicas: 1 };
        assert_eq!(machine.asked.recv().await, Some(start));

        let (events, mut seen) = mpsc::unbounded_channel();
        let mut request = transfer.observe_request();
        request.get().set_observer(capnp_rpc::new_client(Observer(events)));
        let answer = request.send().promise.await.unwrap();
        let summary = outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap();
        assert_eq!(summary.unwrap().get_bytes(), 7);
        assert_eq!(seen.recv().await.as_deref(), Some("working"));

        for (name, pool, status) in
            [("a", "nowhere", 3), ("nothing", "tank", 3), ("a;b", "tank", 2)]
        {
            let failure = copy(&user.fleet, name, pool).await.err().unwrap();
            assert_eq!(failure.exit_status(), status, "{failure}");
        }
        machine.set_pool("tank", PoolState::Unavailable).await;
        assert_eq!(copy(&user.fleet, "a", "tank").await.err().unwrap().exit_status(), 5);
    });
}

#[test]
fn it_is_cancelled_when_the_last_who_watches_goes() {
    run(async {
        let (home, _tracker, mut machine, user) = home(&identity()).await;
        let transfer = copy(&user.fleet, "a", "tank").await.unwrap();
        assert!(matches!(machine.asked.recv().await, Some(Asked::Start { .. })));
        let other = open(&home).await;
        let shared = attach(&other.fleet).await;
        drop(transfer);
        user.connection.close().await;
        // Had it been cancelled with the first, that would have been heard before this.
        let again = attach(&other.fleet).await;
        assert!(machine.asked.try_recv().is_err(), "cancelled, or attached anew");
        drop((shared, again));
        other.connection.close().await;
        assert_eq!(machine.asked.recv().await, Some(Asked::Cancel));
    });
}

#[test]
fn it_is_cancelled_when_who_asked_for_it_goes_before_it_has_begun() {
    run(async {
        let (_home, _tracker, mut machine, user) = home(&identity()).await;
        let unanswered = machine.answering.clone().lock_owned().await;
        let copy = copy_request(&user.fleet, "a", "tank").send().promise;
        assert!(matches!(machine.asked.recv().await, Some(Asked::Start { .. })));
        drop(copy);
        // Calls are taken in order: the tracker knows by now that nobody waits.
        user.show("").await;
        drop(unanswered);
        assert_eq!(machine.asked.recv().await, Some(Asked::Cancel));
    });
}

#[test]
fn it_is_watched_again_when_its_machine_is_back() {
    run(async {
        let key = identity();
        let (home, _tracker, machine, user) = home(&key).await;
        let transfer = copy(&user.fleet, "stuck", "tank").await.unwrap();
        let (events, mut seen) = mpsc::unbounded_channel();
        let mut request = transfer.observe_request();
        request.get().set_observer(capnp_rpc::new_client(Observer(events)));
        let observed = request.send().promise;
        assert_eq!(seen.recv().await.as_deref(), Some("working"));
        machine.connection.close().await;
        let error = observed.await.err().expect("the transfer has no outcome");
        assert_eq!(error.kind, capnp::ErrorKind::Disconnected, "{error}");

        let mut machine = register_as(&home, "dc", "m", &["tank"], &key).await.unwrap();
        machine.replace("tank", &[]).await;
        let again = attach(&user.fleet).await;
        assert_eq!(
            machine.asked.recv().await,
            Some(Asked::Attach { id: "t1".into(), dataset: "a".into(), replicas: 0 })
        );
        drop(transfer);
        user.show("").await;
        let shared = attach(&user.fleet).await;
        assert!(machine.asked.try_recv().is_err(), "cancelled, or attached anew");
        drop((again, shared));
        assert_eq!(machine.asked.recv().await, Some(Asked::Cancel));
    });
}

#[test]
fn it_is_cancelled_at_a_machine_that_is_back_when_nobody_watches_again() {
    run(async {
        let key = identity();
        let (home, tracker, machine, user) = home(&key).await;
        let transfer = copy(&user.fleet, "stuck", "tank").await.unwrap();
        machine.connection.close().await;
        tracker.wait_for_line("offline");
        drop(transfer);
        user.connection.close().await;
        let mut machine = register_as(&home, "dc", "m", &["tank"], &key).await.unwrap();
        let beat = machine.beat();
        let cancelled = async {
            // Who watched had 60 s to come back.
            assert_eq!(
                machine.asked.recv().await,
                Some(Asked::Attach { id: "t1".into(), dataset: "stuck".into(), replicas: 1 })
            );
            assert_eq!(machine.asked.recv().await, Some(Asked::Cancel));
        };
        tokio::select! {
            () = cancelled => {}
            never = beat => match never {},
        }
    });
}

#[test]
fn two_who_attach_at_once_share_it() {
    run(async {
        let (home, _tracker, mut machine, user) = home(&identity()).await;
        let other = open(&home).await;
        let unanswered = machine.answering.clone().lock_owned().await;
        let asking = async {
            for _ in 0..2 {
                assert_eq!(
                    machine.asked.recv().await,
                    Some(Asked::Attach { id: "t1".into(), dataset: "a".into(), replicas: 1 })
                );
            }
            drop(unanswered);
        };
        let (first, second, ()) = futures::join!(attach(&user.fleet), attach(&other.fleet), asking);
        drop(first);
        // Calls are taken in order.
        user.show("").await;
        let third = attach(&other.fleet).await;
        assert!(machine.asked.try_recv().is_err(), "cancelled, or attached anew");
        drop((second, third));
        assert_eq!(machine.asked.recv().await, Some(Asked::Cancel));
    });
}

#[test]
fn it_outlives_the_tracker_and_goes_on_with_a_new_broker() {
    run(async {
        let key = identity();
        let (home, tracker, mut machine, user) = home(&key).await;
        let transfer = copy(&user.fleet, "a", "tank").await.unwrap();
        assert!(matches!(machine.asked.recv().await, Some(Asked::Start { .. })));
        assert!(tracker.stop().success());
        machine.connection.closed().await;
        drop(transfer);
        assert_eq!(machine.asked.recv().await, None, "the tracker's end has cancelled it");

        let _tracker = home.start("dc");
        let mut machine = register_as(&home, "dc", "m", &["tank"], &key).await.unwrap();
        let user = open(&home).await;
        // It is watched before its machine has told of its pools, which may take it minutes.
        assert_eq!(copy(&user.fleet, "a", "tank").await.err().unwrap().code, Code::Offline);
        let _transfer = attach(&user.fleet).await;
        let attach = Asked::Attach { id: "t1".into(), dataset: "a".into(), replicas: 1 };
        assert_eq!(machine.asked.recv().await, Some(attach), "the broker that it gets is of use");

        let failure = try_attach(&user.fleet, UNKNOWN).await.err().unwrap();
        assert_eq!((failure.code, failure.exit_status()), (Code::NoSuchTransfer, 1));
    });
}
