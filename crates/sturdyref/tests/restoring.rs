//! Restoring capabilities over real sockets: by object id, by the Gateway, with and without TLS.

mod common;

use common::greeter_capnp::greeter;
use common::*;
use sturdyref::*;

#[test]
fn both_ends_of_a_tls_connection_know_each_others_key() {
    local(async {
        let greeters = Greeters::with(&["alice"]);
        let vat = Vat::serve(tls(), greeters.clone());
        let identity = Identity::ephemeral().unwrap();
        let security = Security::Tls(identity.clone());
        let connection = connect(&vat.sturdyref("alice"), &security, DEADLINE).await.unwrap();
        let alice = connection.target::<greeter::Client>();
        assert_eq!(greet(&alice, "you").await.unwrap(), "Hello you, this is alice");
        let asked = greeters.asked.borrow();
        let [(_, peer)] = asked.as_slice() else { panic!("the restorer was asked more than once") };
        assert_eq!(peer.fingerprint, Some(identity.fingerprint()));
        assert_eq!(peer.address, connection.local_address().to_string());
    });
}
