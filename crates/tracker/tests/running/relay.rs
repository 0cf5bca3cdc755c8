//! Reaching a source: by a ticket, and by a relay where no ticket works.

use std::cell::RefCell;
use std::rc::Rc;

use capnp::Error;
use schema::broker_capnp::{broker, offer, rendezvous};
use schema::byte_stream_capnp::byte_stream;
use schema::source_capnp::source;
use schema::{Failure, outcome};
use sturdyref::{Address, Fingerprint, Identity, SturdyRef};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

use crate::agent::{Asked, CHUNK, CHUNKS, Dataset, Registered, register};
use crate::process::{Home, dial, identity, refusal, run};
use crate::user::{User, open, open_on, replicas};

async fn fleet(home: &Home) -> (Registered, User, broker::Client) {
    let machine = register(home, "dc", "m", &["tank", "spare"]).await;
    machine.replace("tank", &[Dataset("a", vec![1])]).await;
    machine.replace("spare", &[Dataset("b", vec![2]), Dataset("old/a", vec![1, 3])]).await;
    let user = open(home).await;
    let broker = user.broker("a").await.unwrap();
    (machine, user, broker)
}

async fn reach(
    broker: &broker::Client,
    (pool, dataset): (&str, &str),
    receiver: &Fingerprint,
) -> Result<capnp::capability::Response<broker::reach_results::Owned>, Failure> {
    let mut request = broker.reach_request();
    let mut place = request.get().init_place();
    place.set_location("dc");
    place.set_machine("m");
    place.set_pool(pool);
    request.get().set_dataset(dataset);
    request.get().set_receiver(&receiver.0);
    let answer = request.send().promise.await.unwrap();
    outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap().map(drop)?;
    Ok(answer)
}

fn offer_in(
    answer: &capnp::capability::Response<broker::reach_results::Owned>,
) -> offer::Reader<'_> {
    outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap().unwrap()
}

/// Has the sender meet us; the way to its source.
async fn relay(broker: &broker::Client, receiver: &Identity) -> SturdyRef {
    let answer = reach(broker, ("tank", "a"), &receiver.fingerprint()).await.unwrap();
    relay_by(&offer_in(&answer).get_rendezvous().unwrap()).await.unwrap()
}

async fn relay_by(rendezvous: &rendezvous::Client) -> Result<SturdyRef, Failure> {
    let answer = rendezvous.relay_request().send().promise.await.unwrap();
    let relay = outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap()?;
    Ok(relay.get_uri().unwrap().to_str().unwrap().parse().unwrap())
}

/// Has the sender dial us.
async fn dial_receiver(rendezvous: &rendezvous::Client, uri: &str) -> Result<(), Failure> {
    dial_receiver_at(rendezvous, &[uri]).await
}

async fn dial_receiver_at(rendezvous: &rendezvous::Client, uris: &[&str]) -> Result<(), Failure> {
    let mut request = rendezvous.dial_receiver_request();
    let mut list = request.get().init_uris(uris.len() as u32);
    for (index, uri) in (0..).zip(uris) {
        list.set(index, uri);
    }
    let answer = request.send().promise.await.unwrap();
    outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap().map(drop)
}

struct Sink {
    bytes: Rc<RefCell<Vec<u8>>>,
    ended: RefCell<Option<oneshot::Sender<()>>>,
}

impl byte_stream::Server for Sink {
    async fn write(self: Rc<Self>, params: byte_stream::WriteParams) -> Result<(), Error> {
        self.bytes.borrow_mut().extend(params.get()?.get_bytes()?);
        Ok(())
    }

    async fn end(
        self: Rc<Self>,
        _: byte_stream::EndParams,
        _: byte_stream::EndResults,
    ) -> Result<(), Error> {
        let _ = self.ended.take().unwrap().send(());
        Ok(())
    }
}

#[test]
fn a_ticket_is_asked_of_the_agent_for_this_dataset_and_this_key() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let (mut machine, _user, broker) = fleet(&home).await;
        let receiver = identity().fingerprint();
        let answer = reach(&broker, ("tank", "a"), &receiver).await.unwrap();
        let uris = offer_in(&answer).get_uris().unwrap();
        assert_eq!(uris.get(0).unwrap().to_str(), Ok("capnp://insecure@127.0.0.1:1/ticket"));
        assert_eq!(
            machine.asked.recv().await,
            Some(Asked::Offer {
                pool: "tank".into(),
                dataset: "a".into(),
                receiver: receiver.0.to_vec()
            })
        );

        for place in [("spare", "a"), ("nowhere", "a"), ("tank", "b")] {
            let failure = reach(&broker, place, &receiver).await.err().unwrap();
            assert_eq!(failure.exit_status(), 3, "{failure}");
        }
        machine.connection.close().await;
        let failure = loop {
            // The tracker hears of it in its own time.
            if let Err(failure) = reach(&broker, ("tank", "a"), &receiver).await {
                break failure;
            }
        };
        assert_eq!(failure.exit_status(), 5, "{failure}");
    });
}

#[test]
fn a_replica_of_another_name_is_reached_and_nothing_unrelated() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let (mut machine, _user, broker) = fleet(&home).await;
        let receiver = identity().fingerprint();
        let listed = replicas(&broker).await.unwrap();
        let names: Vec<_> = listed.iter().map(|replica| replica.name.as_str()).collect();
        assert_eq!(names, ["a", "old/a"]);
        reach(&broker, ("spare", "old/a"), &receiver).await.unwrap();
        let asked = machine.asked.recv().await;
        let Some(Asked::Offer { pool, dataset, .. }) = asked else { panic!("{asked:?}") };
        assert_eq!((pool.as_str(), dataset.as_str()), ("spare", "old/a"));

        let failure = reach(&broker, ("spare", "b"), &receiver).await.err().unwrap();
        assert_eq!(failure.exit_status(), 3);
        assert!(failure.to_string().contains("shares no snapshot with 'a'"), "{failure}");
        // What makes them relatives is gone there: it is reached no more.
        machine.replace("spare", &[Dataset("old/a", vec![3])]).await;
        let failure = reach(&broker, ("spare", "old/a"), &receiver).await.err().unwrap();
        assert_eq!(failure.exit_status(), 3);
        assert!(machine.asked.try_recv().is_err(), "the agent was asked");
    });
}

#[test]
fn a_stream_passes_between_two_that_cannot_reach_each_other() {
    run(async {
        let home = Home::new();
        let tracker = home.start("dc");
        let (_machine, _user, broker) = fleet(&home).await;
        let receiver = identity();
        let way = relay(&broker, &receiver).await;

        let connection = dial(&way, &receiver).await;
        let (ended, end) = oneshot::channel();
        let bytes = Rc::default();
        let sink = Sink { bytes: Rc::clone(&bytes), ended: RefCell::new(Some(ended)) };
        let mut request = connection.target::<source::Client>().send_request();
        request.get().set_sink(capnp_rpc::new_client(sink));
        let answer = request.send().promise.await.unwrap();
        end.await.unwrap();
        let sent = outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap().unwrap();
        assert_eq!(sent.get_bytes(), (CHUNKS * CHUNK) as u64);
        let whole: Vec<u8> = (0..CHUNKS).flat_map(|chunk| vec![chunk as u8; CHUNK]).collect();
        assert!(*bytes.borrow() == whole, "the bytes differ");

        let uri = way.to_uri();
        let id = uri.rsplit_once('/').unwrap().1;
        assert!(!tracker.log().contains(id), "the relay's id is in the log");
    });
}

#[test]
fn a_relay_is_for_one_receiver_once() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let (_machine, _user, broker) = fleet(&home).await;
        let receiver = identity();
        let way = relay(&broker, &receiver).await;
        let words = refusal(&way).await;
        assert!(words.contains("for the holder of another key"), "{words}");
        let connection = dial(&way, &receiver).await;
        let words = refusal(&way).await;
        assert!(words.ends_with("Unknown persistent service ID"), "{words}");
        drop(connection);
    });
}

#[test]
fn an_offer_is_relayed_once() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let (_machine, _user, broker) = fleet(&home).await;
        let answer = reach(&broker, ("tank", "a"), &identity().fingerprint()).await.unwrap();
        let rendezvous = offer_in(&answer).get_rendezvous().unwrap();
        relay_by(&rendezvous).await.unwrap();
        let failure = relay_by(&rendezvous).await.unwrap_err();
        assert!(failure.to_string().contains("was used already"), "{failure}");
    });
}

#[test]
fn a_sender_is_asked_once_to_dial_the_receiver_and_is_relayed_where_it_cannot() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let (mut machine, _user, broker) = fleet(&home).await;
        let answer = reach(&broker, ("tank", "a"), &identity().fingerprint()).await.unwrap();
        let rendezvous = offer_in(&answer).get_rendezvous().unwrap();
        let uri = "capnp://insecure@192.0.2.1:1/bWVldGluZw";
        let failure = dial_receiver(&rendezvous, uri).await.unwrap_err();
        assert_eq!(failure.code, schema::Code::Unreachable, "{failure}");
        while machine.asked.recv().await != Some(Asked::DialReceiver { uris: vec![uri.into()] }) {}
        let failure = dial_receiver(&rendezvous, uri).await.unwrap_err();
        assert!(failure.to_string().contains("was used already"), "{failure}");
        relay_by(&rendezvous).await.unwrap();
    });
}

/// Passes connections on, so that they come from another address of this machine.
async fn come_from(from: &str, to: &SturdyRef) -> SturdyRef {
    let Address::Tcp { host, port } = &to.address else { panic!("{to:?} is not in a network") };
    let (from, to_tracker) = (from.parse().unwrap(), format!("{host}:{port}").parse().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().into();
    tokio::task::spawn_local(async move {
        while let Ok((mut incoming, _)) = listener.accept().await {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(from).unwrap();
            let mut outgoing = socket.connect(to_tracker).await.unwrap();
            tokio::task::spawn_local(async move {
                let _ = copy_bidirectional(&mut incoming, &mut outgoing).await;
            });
        }
    });
    SturdyRef { address, ..to.clone() }
}

#[test]
fn a_sender_is_told_to_dial_a_user_nowhere_but_where_the_user_comes_from() {
    run(async {
        let home = Home::new();
        let _tracker = home.start_at("tcp:127.0.0.1:0", "dc");
        let mut machine = register(&home, "dc", "m", &["tank"]).await;
        machine.replace("tank", &[Dataset("a", vec![1])]).await;
        let way = come_from("127.0.0.2:0", &home.capability("user")).await;
        let connection = dial(&way, &identity()).await;
        let fleet = open_on(&connection, schema::PROTOCOL).await.unwrap();
        let user = User { connection, fleet };
        let broker = user.broker("a").await.unwrap();

        let own = "capnp://insecure@127.0.0.2:1/bWVldGluZw";
        let others = ["10.0.0.5:5432", "127.0.0.1:22", "localhost:22", "192.0.2.1:1"];
        let others = others.map(|address| format!("capnp://insecure@{address}/bWVldGluZw"));
        let receiver = identity().fingerprint();
        for uri in &others {
            let answer = reach(&broker, ("tank", "a"), &receiver).await.unwrap();
            let rendezvous = offer_in(&answer).get_rendezvous().unwrap();
            let failure = dial_receiver(&rendezvous, uri).await.unwrap_err();
            assert_eq!(failure.code, schema::Code::Unreachable, "{failure}");
            assert!(failure.to_string().contains("at another address"), "{failure}");
        }
        let answer = reach(&broker, ("tank", "a"), &receiver).await.unwrap();
        let rendezvous = offer_in(&answer).get_rendezvous().unwrap();
        let all = [&others[0], own, &others[1]];
        dial_receiver_at(&rendezvous, &all).await.unwrap_err();
        let asked = loop {
            if let Some(Asked::DialReceiver { uris }) = machine.asked.recv().await {
                break uris;
            }
        };
        assert_eq!(asked, [own]);
    });
}

#[test]
fn who_was_made_an_offer_may_not_use_it_once_the_capability_is_void() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let (_machine, _user, broker) = fleet(&home).await;
        let answer = reach(&broker, ("tank", "a"), &identity().fingerprint()).await.unwrap();
        let rendezvous = offer_in(&answer).get_rendezvous().unwrap();
        assert!(home.output(&["reissue", "user"]).status.success());
        let dialled = dial_receiver(&rendezvous, "capnp://insecure@192.0.2.1:1/bQ").await;
        for failure in [dialled.unwrap_err(), relay_by(&rendezvous).await.unwrap_err()] {
            assert_eq!(failure.exit_status(), 6, "{failure}");
        }
    });
}

#[test]
fn a_receiver_that_leaves_a_relay_lets_the_sender_go() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let (mut machine, _user, broker) = fleet(&home).await;
        let receiver = identity();
        let way = relay(&broker, &receiver).await;
        let connection = dial(&way, &receiver).await;
        // A sink that never takes anything: the sender is in the middle of its stream.
        let (_keep, taken) = oneshot::channel::<()>();
        let (begun, begin) = oneshot::channel();
        let stuck = Stuck { begun: RefCell::new(Some(begun)), taken: RefCell::new(Some(taken)) };
        let mut request = connection.target::<source::Client>().send_request();
        request.get().set_sink(capnp_rpc::new_client(stuck));
        let sending = tokio::task::spawn_local(request.send().promise);
        begin.await.unwrap();
        connection.close().await;
        assert!(sending.await.unwrap().is_err());
        while machine.asked.recv().await != Some(Asked::SourceDropped) {}
    });
}

struct Stuck {
    begun: RefCell<Option<oneshot::Sender<()>>>,
    taken: RefCell<Option<oneshot::Receiver<()>>>,
}

impl byte_stream::Server for Stuck {
    async fn write(self: Rc<Self>, _: byte_stream::WriteParams) -> Result<(), Error> {
        let _ = self.begun.take().unwrap().send(());
        let taken = self.taken.take().unwrap();
        let _ = taken.await;
        Ok(())
    }
}
