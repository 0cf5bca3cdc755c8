//! Restoring capabilities: by object id, by the Gateway, with and without TLS.

use sturdyref::*;

use crate::common::*;
use crate::greeter_capnp::greeter;

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

#[test]
fn insecure_capabilities_work_without_tls() {
    local(async {
        let vat = Vat::serve(Security::Insecure, Greeters::with(&["alice"]));
        let target = vat.sturdyref("alice");
        let connection = connect(&target, &Security::Insecure, DEADLINE).await.unwrap();
        assert_eq!(greet(&connection.target(), "you").await.unwrap(), "Hello you, this is alice");
    });
}

#[test]
fn a_vat_in_memory_restores_and_refuses_as_any_other() {
    local(async {
        let identity = Identity::ephemeral().unwrap();
        for (auth, security) in [
            (Auth::Insecure, Security::Insecure),
            (Auth::Tls(identity.fingerprint()), Security::Tls(identity)),
        ] {
            let address: Address = "tcp:memory:1".parse().unwrap();
            let dial = async |auth, id| {
                let target = SturdyRef { auth, address: address.clone(), id: ObjectId::new(id) };
                connect_in_memory(&target, &security, Greeters::with(&["alice"])).await
            };
            let alice = dial(auth, "alice").await.unwrap();
            assert_eq!(greet(&alice.target(), "you").await.unwrap(), "Hello you, this is alice");
            alice.close().await;
            let refused = dial(auth, "bob").await.unwrap_err();
            assert!(matches!(refused, ConnectError::NotRestored { .. }), "{refused:?}");
            if let Auth::Tls(_) = auth {
                let other = Auth::Tls(Identity::ephemeral().unwrap().fingerprint());
                let refused = dial(other, "alice").await.unwrap_err();
                assert!(matches!(refused, ConnectError::WrongKey { .. }), "{refused:?}");
            }
        }
    });
}

#[test]
fn calls_can_be_made_before_it_is_known_whether_their_target_is_there() {
    local(async {
        let vat = Vat::serve(tls(), Greeters::with(&["alice"]));
        let dialled = async |id: &str| {
            let target = vat.sturdyref(id);
            dial(&target, &tls(), DEADLINE, &Limits::default()).await.unwrap()
        };
        let alice = dialled("alice").await;
        assert_eq!(greet(&alice.target(), "you").await.unwrap(), "Hello you, this is alice");
        let connection = alice.restored().await.unwrap();
        assert_eq!(greet(&connection.target(), "me").await.unwrap(), "Hello me, this is alice");
        let mallory = dialled("mallory").await;
        let greeting = greet(&mallory.target(), "you").await.unwrap_err();
        assert!(greeting.extra.contains("Unknown persistent service ID"), "{greeting}");
        let error = mallory.restored().await.unwrap_err();
        assert!(matches!(error, ConnectError::NotRestored { .. }), "{error}");
    });
}

#[test]
fn capabilities_work_through_unix_sockets_even_over_what_a_dead_vat_left() {
    local(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vat.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a listener that just dies leaves its socket behind");
        for security in [Security::Insecure, tls()] {
            let address = Address::Unix(path.clone());
            let greeters = Greeters::with(&["alice"]);
            let vat = Vat::serve_at(address, security, greeters, Limits::default());
            let alice = vat.connect("alice").await.unwrap().target();
            let connection = vat.connect("alice").await.unwrap();
            assert_eq!(
                greet(&connection.target(), "you").await.unwrap(),
                "Hello you, this is alice"
            );
            drop::<greeter::Client>(alice);
            vat.closing.cancel();
            vat.served.await.unwrap().unwrap();
            assert!(!path.exists(), "the socket was left behind");
        }
    });
}

#[test]
fn a_socket_on_which_somebody_listens_is_not_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let address = Address::Unix(dir.path().join("vat.sock"));
    let _first = Listener::bind(&address, Security::Insecure).unwrap();
    let error = Listener::bind(&address, Security::Insecure).unwrap_err();
    assert!(error.to_string().contains("vat.sock"), "{error}");
}

#[test]
fn several_ids_are_restored_on_one_connection() {
    local(async {
        let greeters = Greeters::with(&["alice", "bob"]);
        let vat = Vat::serve(tls(), greeters.clone());
        let connection = vat.connect("alice").await.unwrap();
        let bob = connection.restore::<greeter::Client>(ObjectId::new("bob"));
        let mallory = connection.restore::<greeter::Client>(ObjectId::new("mallory"));
        let alice = connection.target::<greeter::Client>();
        assert_eq!(greet(&bob, "you").await.unwrap(), "Hello you, this is bob");
        assert_eq!(greet(&alice, "you").await.unwrap(), "Hello you, this is alice");
        let error = greet(&mallory, "you").await.unwrap_err();
        assert!(error.extra.contains("Unknown persistent service ID"), "{error}");
        assert_eq!(greeters.asked.borrow().len(), 3, "one question to the restorer per Bootstrap");
    });
}

#[test]
fn an_id_may_be_any_bytes() {
    local(async {
        let id = [0, 0xff, 0xfe, b'/', 0];
        let greeters = Greeters::with(&[]);
        greeters.add(id, Place::Here(greeter("binary")));
        let vat = Vat::serve(tls(), greeters);
        let target = SturdyRef { id: ObjectId::new(id), ..vat.sturdyref("") };
        let connection = connect(&target, &tls(), DEADLINE).await.unwrap();
        assert_eq!(greet(&connection.target(), "you").await.unwrap(), "Hello you, this is binary");
    });
}

#[test]
fn a_null_id_gives_the_gateway_which_is_as_strict_as_a_bootstrap() {
    local(async {
        let vat = Vat::serve(tls(), Greeters::with(&["alice"]));
        let gateway = vat.connect("").await.unwrap();
        let restore = |id: &'static str| {
            let mut request = gateway.target::<GatewayClient>().restore_request();
            request.get().set_id(id.as_bytes());
            request.send()
        };
        let alice = restore("alice").promise.await.unwrap();
        let alice: greeter::Client = alice.get().unwrap().get_cap().get_as_capability().unwrap();
        assert_eq!(greet(&alice, "you").await.unwrap(), "Hello you, this is alice");
        for wrong in ["mallory", ""] {
            let error = restore(wrong).promise.await.map(drop).unwrap_err();
            assert!(error.extra.contains("Unknown persistent service ID"), "{error}");
        }
    });
}

#[test]
fn a_capability_file_is_all_that_a_client_needs() {
    local(async {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::load_or_create(dir.path().join("key.pem")).unwrap();
        let greeters = Greeters::with(&[]);
        greeters.add(key.derive_id("user").as_bytes(), Place::Here(greeter("user")));
        let vat = Vat::serve(Security::Tls(Identity::new(&key).unwrap()), greeters);
        let file = dir.path().join("user.cap");
        let user = SturdyRef { id: key.derive_id("user"), ..vat.sturdyref("") };
        capfile::write(&file, &user).unwrap();

        let target = capfile::read(&file).unwrap();
        let connection = connect(&target, &tls(), DEADLINE).await.unwrap();
        assert_eq!(greet(&connection.target(), "you").await.unwrap(), "Hello you, this is user");
    });
}

#[test]
fn a_restorer_may_say_why_not() {
    struct Busy;
    impl Restorer for Busy {
        fn restore(&self, id: &[u8], _: &Peer) -> Result<Restored, RestoreError> {
            Err(match id {
                b"full" => RestoreError::Overloaded("too many transfers".to_owned()),
                _ => RestoreError::Refused("this location was taken away".to_owned()),
            })
        }
    }
    local(async {
        let vat = Vat::serve(tls(), std::rc::Rc::new(Busy));
        for (id, reason) in
            [("full", "too many transfers"), ("old", "this location was taken away")]
        {
            let error = vat.connect(id).await.unwrap_err();
            let ConnectError::NotRestored { reason: found, .. } = &error else { panic!("{error}") };
            assert_eq!(found, reason);
            assert!(!error.is_unreachable());
        }
    });
}

#[test]
fn a_stream_of_64_mib_arrives_whole_under_any_window() {
    local(async {
        let vat = Vat::serve(tls(), Greeters::with(&["alice"]));
        for window in [64 << 10, 4 << 20] {
            let limits = Limits { window, ..Limits::default() };
            let target = vat.sturdyref("alice");
            let connection = connect_with(&target, &tls(), DEADLINE, &limits).await.unwrap();
            let alice = connection.target::<greeter::Client>();
            let before = uploaded(&alice).await;
            for _ in 0..256 {
                let mut request = alice.upload_request();
                request.get().init_bytes(256 << 10);
                request.send().await.unwrap();
            }
            assert_eq!(uploaded(&alice).await - before, 64 << 20);
        }
    });
}

#[test]
fn a_stream_has_as_many_bytes_in_flight_as_the_window_allows() {
    local(async {
        let greeters = Greeters::with(&["alice"]);
        // Answers nothing.
        let slow = swallower("slow", Swallowing::behind_a_gate(0));
        greeters.add("slow", Place::Here(slow));
        let vat = Vat::serve(tls(), greeters);
        let alice = vat.connect("alice").await.unwrap();
        for (window, most) in [(64 << 10, 2), (1 << 20, 17), (4 << 20, 65_u32)] {
            let limits = Limits { window, ..Limits::default() };
            let target = vat.sturdyref("slow");
            let connection = connect_with(&target, &tls(), DEADLINE, &limits).await.unwrap();
            let slow = connection.target::<greeter::Client>();
            let mut sent = 0_u32;
            loop {
                let mut request = slow.upload_request();
                request.get().init_bytes(64 << 10);
                let room_to_be_written = async {
                    for _ in 0..20 {
                        greet(&alice.target(), "you").await.unwrap();
                    }
                };
                tokio::select! {
                    biased;
                    more = request.send() => more.unwrap(),
                    () = room_to_be_written => break,
                }
                sent += 1;
            }
            assert!(most.abs_diff(sent) <= 1, "{sent} messages of 64 KiB in a window of {window}");
        }
    });
}

async fn uploaded(greeter: &greeter::Client) -> u64 {
    let response = greeter.uploaded_request().send().promise.await.unwrap();
    response.get().unwrap().get_count()
}
