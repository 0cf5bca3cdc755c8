//! How connections end: by the client, by the vat, by a vat that vanishes.

use std::rc::Rc;

use capnp::ErrorKind;
use sturdyref::*;
use tokio::sync::oneshot;

use crate::common::*;
use crate::greeter_capnp::greeter;

#[test]
fn a_vat_that_shuts_down_closes_its_connections_and_frees_its_port() {
    local(async {
        let greeters = Greeters::with(&["alice"]);
        greeters.add("ticket", Place::On(Worker::spawn("bulk").unwrap(), "bulk".to_owned()));
        let vat = Vat::serve(tls(), greeters);
        let connections =
            [vat.connect("alice").await.unwrap(), vat.connect("ticket").await.unwrap()];
        let silent = vat.raw().await;
        let calls = connections.each_ref().map(|connection| {
            let hang = connection.target::<greeter::Client>().hang_request();
            hang.send().promise
        });
        vat.closing.cancel();
        vat.served.await.unwrap().unwrap();
        for (connection, call) in connections.into_iter().zip(calls) {
            let error = call.await.map(drop).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Disconnected, "{error}");
            connection.closed().await;
        }
        until_closed(&mut { silent }).await;
        Listener::bind(&vat.address, Security::Insecure).expect("the port is still taken");
    });
}

/// Serves an object that tells when it is dropped.
struct Mortal(std::cell::RefCell<Option<oneshot::Sender<()>>>);

impl Restorer for Mortal {
    fn restore(&self, _: &[u8], _: &Peer) -> Result<Restored, RestoreError> {
        let dying = self.0.borrow_mut().take().ok_or(RestoreError::Unknown)?;
        let object = capnp_rpc::new_future_client::<capnp::capability::Client>(async move {
            let _dying = dying;
            std::future::pending().await
        });
        Ok(Restored::Here(object))
    }
}

#[test]
fn a_connection_that_is_dropped_is_closed_and_its_objects_with_it() {
    local(async {
        let (dying, dead) = oneshot::channel();
        let vat = Vat::serve(tls(), Rc::new(Mortal(Some(dying).into())));
        let connection = vat.connect("any").await.unwrap();
        let object = connection.target::<capnp::capability::Client>();
        drop(connection);
        let _ = tokio::time::timeout(DEADLINE, dead).await.expect("the object lives on");
        drop(object);
    });
}

#[test]
fn closing_waits_for_what_was_sent() {
    local(async {
        let vat = Vat::serve(tls(), Greeters::with(&["alice"]));
        let connection = vat.connect("alice").await.unwrap();
        let alice = connection.target::<greeter::Client>();
        let mut request = alice.upload_request();
        request.get().init_bytes(3 << 20);
        request.send().await.unwrap();
        connection.close().await;
        let again = vat.connect("alice").await.unwrap().target::<greeter::Client>();
        drop(again);
        let connection = vat.connect("alice").await.unwrap();
        let response = connection.target::<greeter::Client>().uploaded_request().send().promise;
        assert_eq!(response.await.unwrap().get().unwrap().get_count(), 3 << 20);
    });
}

#[test]
fn a_connection_notices_that_its_vat_is_gone() {
    local(async {
        let vat = Vat::serve(tls(), Greeters::with(&["alice"]));
        let connection = vat.connect("alice").await.unwrap();
        let alice = connection.target::<greeter::Client>();
        let call = alice.hang_request().send().promise;
        // As when its process is killed: nothing is said, the sockets are just closed.
        vat.served.abort();
        connection.closed().await;
        let error = call.await.map(drop).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Disconnected, "{error}");
        let late = connection.restore::<greeter::Client>(ObjectId::new("alice"));
        let error = greet(&late, "you").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Disconnected, "{error}");
    });
}
