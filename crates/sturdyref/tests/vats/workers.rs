//! Connections that move to a thread of their own.

use sturdyref::*;
use tokio::sync::oneshot;

use crate::common::*;
use crate::greeter_capnp::greeter;

#[test]
fn a_connection_moves_to_the_worker_that_serves_its_object() {
    local(async {
        for security in [Security::Insecure, tls()] {
            let greeters = Greeters::with(&["alice"]);
            let worker = Worker::spawn("bulk-1").unwrap();
            greeters.add("ticket-1", Place::On(worker.clone(), "one".to_owned()));
            greeters.add("ticket-2", Place::On(worker, "two".to_owned()));
            let vat = Vat::serve(security, greeters);
            let here = vat.connect("alice").await.unwrap();
            let one = vat.connect("ticket-1").await.unwrap();
            let two = vat.connect("ticket-2").await.unwrap();
            assert_eq!(greet(&one.target(), "you").await.unwrap(), "Hello you, this is one");
            assert_eq!(greet(&two.target(), "you").await.unwrap(), "Hello you, this is two");
            assert_eq!(thread_of(&one.target()).await, "bulk-1");
            assert_eq!(thread_of(&two.target()).await, "bulk-1");
            assert_ne!(thread_of(&here.target()).await, "bulk-1");
        }
    });
}

#[test]
fn bulk_on_a_worker_delays_nothing_else() {
    local(async {
        let worker = Worker::spawn("bulk").unwrap();
        let greeters = Greeters::with(&["alice"]);
        greeters.add("ticket", Place::On(worker.clone(), "bulk".to_owned()));
        let vat = Vat::serve(tls(), greeters);
        let bulk = vat.connect("ticket").await.unwrap();
        let go_on = block(&worker).await;
        // The worker's thread does nothing now, and the listener's answers all the same.
        let alice = vat.connect("alice").await.unwrap();
        assert_eq!(greet(&alice.target(), "you").await.unwrap(), "Hello you, this is alice");
        go_on.send(()).unwrap();
        assert_eq!(greet(&bulk.target(), "you").await.unwrap(), "Hello you, this is bulk");
    });
}

#[test]
fn a_moved_connection_needs_nothing_of_the_thread_it_came_from() {
    local(async {
        let listening = Worker::spawn("listener").unwrap();
        let (tell, told) = oneshot::channel();
        listening.run(move || async move {
            let greeters = Greeters::with(&[]);
            greeters.add("ticket", Place::On(Worker::spawn("bulk").unwrap(), "bulk".to_owned()));
            let vat = Vat::serve(tls(), greeters);
            tell.send((vat.sturdyref("ticket"), vat.closing.clone())).unwrap();
        });
        let (ticket, closing) = told.await.unwrap();
        let connection = connect(&ticket, &tls(), DEADLINE).await.unwrap();
        let go_on = block(&listening).await;
        let bulk = connection.target::<greeter::Client>();
        assert_eq!(greet(&bulk, "you").await.unwrap(), "Hello you, this is bulk");
        assert_eq!(swallow(&bulk, 3 << 20).await.unwrap(), 3 << 20);
        go_on.send(()).unwrap();
        closing.cancel();
        connection.closed().await;
    });
}

#[test]
fn a_moved_connection_outlives_a_listener_that_is_dropped_until_it_is_hung_up() {
    local(async {
        let greeters = Greeters::with(&[]);
        greeters.add("ticket", Place::On(Worker::spawn("bulk").unwrap(), "bulk".to_owned()));
        let vat = Vat::serve(tls(), greeters.clone());
        let connection = vat.connect("ticket").await.unwrap();
        vat.served.abort();
        while !vat.served.is_finished() {
            tokio::task::yield_now().await;
        }
        let error = vat.connect("ticket").await.unwrap_err();
        assert!(error.is_unreachable(), "{error}");
        let bulk = connection.target::<greeter::Client>();
        assert_eq!(greet(&bulk, "you").await.unwrap(), "Hello you, this is bulk");
        let (_, peer) = greeters.asked.borrow()[0].clone();
        peer.hang_up();
        connection.closed().await;
    });
}

/// Stops a worker's thread until the sender is used.
async fn block(worker: &Worker) -> std::sync::mpsc::Sender<()> {
    let (busy, told) = oneshot::channel();
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    worker.run(move || async move {
        busy.send(()).unwrap();
        let _ = waits.recv();
    });
    told.await.unwrap();
    go_on
}

#[test]
fn a_moved_connection_restores_its_own_object_only() {
    local(async {
        let greeters = Greeters::with(&["alice"]);
        greeters.add("ticket", Place::On(Worker::spawn("bulk").unwrap(), "bulk".to_owned()));
        let vat = Vat::serve(tls(), greeters.clone());
        let connection = vat.connect("ticket").await.unwrap();
        let again = connection.restore::<greeter::Client>(ObjectId::new("ticket"));
        assert_eq!(greet(&again, "you").await.unwrap(), "Hello you, this is bulk");
        for other in ["alice", ""] {
            let other = connection.restore::<greeter::Client>(ObjectId::new(other));
            let error = greet(&other, "you").await.unwrap_err();
            assert!(error.extra.contains("this connection is for one object"), "{error}");
        }
        assert_eq!(greeters.asked.borrow().len(), 1, "a ticket is looked up once");
    });
}

#[test]
fn an_object_on_a_worker_needs_a_connection_of_its_own() {
    local(async {
        let greeters = Greeters::with(&["alice"]);
        greeters.add("ticket", Place::On(Worker::spawn("bulk").unwrap(), "bulk".to_owned()));
        let vat = Vat::serve(tls(), greeters);
        let connection = vat.connect("alice").await.unwrap();
        let ticket = connection.restore::<greeter::Client>(ObjectId::new("ticket"));
        let error = greet(&ticket, "you").await.unwrap_err();
        assert!(error.extra.contains("needs a connection of its own"), "{error}");
        let gateway = vat.connect("").await.unwrap();
        let mut request = gateway.target::<GatewayClient>().restore_request();
        request.get().set_id(b"ticket");
        let error = request.send().promise.await.map(drop).unwrap_err();
        assert!(error.extra.contains("needs a connection of its own"), "{error}");
    });
}
