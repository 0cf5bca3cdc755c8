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
fn a_connection_ends_with_its_objects_when_it_is_dropped_or_closed() {
    local(async {
        for politely in [false, true] {
            let (dying, dead) = oneshot::channel();
            let vat = Vat::serve(tls(), Rc::new(Mortal(Some(dying).into())));
            let connection = vat.connect("any").await.unwrap();
            // That somebody still holds the object on this side changes nothing.
            let _object = connection.target::<capnp::capability::Client>();
            if politely {
                connection.close().await;
            } else {
                drop(connection);
            }
            let dead = tokio::time::timeout(DEADLINE, dead).await;
            dead.expect("the object lives on").unwrap_err();
        }
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
