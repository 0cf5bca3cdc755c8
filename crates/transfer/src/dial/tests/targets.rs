use std::rc::Rc;

use sturdyref::{Identity, Listener, ObjectId, Peer, RestoreError, Restored, Restorer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

use super::super::*;

fn at(auth: Auth, address: &str) -> SturdyRef {
    SturdyRef { auth, address: address.parse().unwrap(), id: ObjectId::new("m") }
}

/// Where nobody listens.
fn nowhere() -> SturdyRef {
    at(Auth::Insecure, "tcp:127.0.0.1:1")
}

/// Lets everyone in, or nobody.
struct Door {
    open: bool,
}

impl Restorer for Door {
    fn restore(&self, _: &[u8], _: &Peer) -> Result<Restored, RestoreError> {
        struct Nothing;
        impl source::Server for Nothing {}
        if !self.open {
            return Err(RestoreError::Unknown);
        }
        Ok(Restored::Here(capnp_rpc::new_client::<source::Client, _>(Nothing).client))
    }
}

/// Somebody who listens, until the test is over.
fn somebody(door: Door) -> SturdyRef {
    listening(door, Security::Insecure, Auth::Insecure)
}

/// Somebody with an identity, and the address with the key that is looked for there.
fn somebody_with(identity: &Identity, expected: &Identity) -> SturdyRef {
    let security = Security::Tls(identity.clone());
    listening(Door { open: true }, security, Auth::Tls(expected.fingerprint()))
}

fn listening(door: Door, security: Security, auth: Auth) -> SturdyRef {
    let local = "tcp:127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(&local, security).unwrap();
    let found = at(auth, &listener.local_address().to_string());
    spawn_local(listener.serve(Rc::new(door), CancellationToken::new()));
    found
}

/// Somebody else: says this to the first who comes, and closes.
async fn says(words: &'static [u8], auth: Auth) -> SturdyRef {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let found = at(auth, &format!("tcp:{}", other.local_addr().unwrap()));
    spawn_local(async move {
        let (mut stream, _) = other.accept().await.unwrap();
        stream.write_all(words).await.unwrap();
    });
    found
}

async fn dialled(targets: &[SturdyRef]) -> Result<Connection, NotDialled> {
    dialled_by(&Security::Insecure, targets).await
}

async fn dialled_by(security: &Security, targets: &[SturdyRef]) -> Result<Connection, NotDialled> {
    let dialled = dial(targets, security, &Limits::default(), |_| ()).await;
    dialled.map(|(connection, ())| connection)
}

#[tokio::test]
async fn who_is_not_there_is_passed_over() {
    let test = async {
        let there = somebody(Door { open: true });
        let connection = dialled(&[nowhere(), nowhere(), there]).await.unwrap();
        connection.close().await;
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn who_is_there_and_refuses_is_the_last_to_be_dialled() {
    let test = async {
        let (refuses, takes) = (somebody(Door { open: false }), somebody(Door { open: true }));
        let ended = dialled(&[nowhere(), refuses, takes]).await;
        assert!(matches!(ended, Err(NotDialled::Final(_))), "{:?}", ended.map(drop));
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn who_is_somebody_else_is_passed_over() {
    let test = async {
        let right = Identity::ephemeral().unwrap();
        let me = Security::Tls(Identity::ephemeral().unwrap());
        // A forwarder with nothing behind it, and another service.
        for words in [&b""[..], b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"] {
            let found = says(words, Auth::Insecure).await;
            let there = somebody(Door { open: true });
            dialled(&[found, there]).await.unwrap().close().await;
            let found = says(words, Auth::Tls(right.fingerprint())).await;
            let there = somebody_with(&right, &right);
            dialled_by(&me, &[found, there]).await.unwrap().close().await;
        }
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn who_has_another_key_is_the_last_to_be_dialled() {
    let test = async {
        let [right, wrong, me] = [(); 3].map(|()| Identity::ephemeral().unwrap());
        let targets = [somebody_with(&wrong, &right), somebody_with(&right, &right)];
        let ended = dialled_by(&Security::Tls(me), &targets).await;
        assert!(
            matches!(ended, Err(NotDialled::Final(ConnectError::WrongKey { .. }))),
            "{:?}",
            ended.map(drop)
        );
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn who_has_too_many_addresses_is_not_looked_for_at_all_of_them() {
    let test = async {
        let mut all = vec![nowhere(); MOST_PATHS];
        all.push(somebody(Door { open: true }));
        let ended = dialled(&all).await;
        let Err(NotDialled::Unreachable(reasons)) = ended else { panic!("{:?}", ended.map(drop)) };
        assert_eq!(reasons.len(), MOST_PATHS);
    };
    LocalSet::new().run_until(test).await;
}

#[test]
fn a_sender_may_not_have_sockets_of_this_machine_dialled_nor_leave_out_tls() {
    let pinned = Auth::Tls(sturdyref::Fingerprint([7; 32]));
    let (tcp, unix) = ("tcp:192.0.2.1:1", "unix:/run/docker.sock");
    for (tls, auth, other) in [(true, pinned, Auth::Insecure), (false, Auth::Insecure, pinned)] {
        assert!(may_dial(&at(auth, tcp), tls));
        assert!(!may_dial(&at(auth, unix), tls));
        assert!(!may_dial(&at(other, tcp), tls));
    }
}

#[test]
fn a_receiver_has_room_for_all_that_a_sender_may_have_on_its_way() {
    let (sends, receives) = (sending(48 << 20), receiving());
    assert!(sends.bulk);
    // A gigabit over 200 ms.
    assert!(sends.most_window >= 1_000_000_000 / 8 / 5);
    assert!(receives.unanswered >= Limits::default().unanswered + sends.most_window);
}
