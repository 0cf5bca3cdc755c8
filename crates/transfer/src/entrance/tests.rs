use std::sync::mpsc;
use std::time::Duration;

use schema::broker_capnp::meeting;
use schema::source_capnp::source;
use sturdyref::{ConnectError, Connection, Peer, RestoreError, Restored, connect};

use super::*;

/// Longer than any test should take; only a test that fails waits for it.
const DEADLINE: Duration = Duration::from_secs(30);

struct Nothing;
impl source::Server for Nothing {}

fn fingerprint(security: &Security) -> Option<Fingerprint> {
    match auth(security) {
        Auth::Tls(fingerprint) => Some(fingerprint),
        Auth::Insecure => None,
    }
}

/// Runs a test on a worker, where transfers are.
fn on_a_worker<F: Future<Output = ()>>(test: impl FnOnce(Worker) -> F + Send + 'static) {
    let worker = Worker::spawn("receive").unwrap();
    let (over, ended) = mpsc::channel();
    let itself = worker.clone();
    worker.run(move || async move {
        test(itself).await;
        over.send(()).unwrap();
    });
    ended.recv_timeout(DEADLINE).expect("the test has failed or hangs");
}

async fn come(meeting: &SturdyRef, security: &Security) -> Result<Connection, ConnectError> {
    connect(meeting, security, DEADLINE).await
}

#[test]
fn an_entrance_that_was_opened_lets_one_sender_in_and_is_closed_behind_it() {
    for tls in [true, false] {
        on_a_worker(move |worker| async move {
            let (_tracker, at) = watch::channel("tcp:127.0.0.1:7".parse().unwrap());
            let entrance = Entrance::Opened { at, tls };
            let (ours, theirs) = (entrance.security().unwrap(), entrance.security().unwrap());
            assert_eq!(matches!(ours, Security::Tls(_)), tls);
            assert!(!tls || fingerprint(&ours) != fingerprint(&theirs), "a key is used twice");
            let door = entrance.open(&ours, fingerprint(&theirs), worker).unwrap();
            let meeting = door.meeting.clone().unwrap();
            assert!(meeting.address.to_string().starts_with("tcp:127.0.0.1:"));
            let sender = async {
                let connection = come(&meeting, &theirs).await.unwrap();
                let mut request = connection.target::<meeting::Client>().bring_request();
                request.get().set_source(capnp_rpc::new_client(Nothing));
                request.send().promise.await.unwrap();
                connection
            };
            let (guest, connection) = tokio::join!(door.welcome(), sender);
            let guest = guest.expect("a sender");
            let late = come(&meeting, &theirs).await.map(drop).unwrap_err();
            assert!(late.is_unreachable(), "{late}");
            drop(guest);
            connection.closed().await;
        });
    }
}

#[test]
fn a_listener_lets_in_the_sender_that_is_awaited_as_long_as_it_is() {
    let guests = Guests::default();
    let (_known, at) = watch::channel(Some("tcp:192.0.2.1:1".parse().unwrap()));
    let security = Security::Tls(Identity::ephemeral().unwrap());
    let entrance = Entrance::Listener { guests: guests.clone(), at, security };
    let ours = entrance.security().unwrap();
    let (sender, another) = (Fingerprint([7; 32]), Fingerprint([8; 32]));
    let door = entrance.open(&ours, Some(sender), Worker::spawn("receive").unwrap()).unwrap();
    let meeting = door.meeting.clone().unwrap();
    assert_eq!(meeting.address.to_string(), "tcp:192.0.2.1:1");
    assert_eq!(meeting.auth, auth(&ours));
    let come = |key| guests.restore(meeting.id.as_bytes(), &Peer::new(Some(key), "tcp:h:1"));
    assert!(matches!(come(another), Some(Err(RestoreError::Refused(_)))));
    assert!(matches!(come(sender), Some(Ok(Restored::On(..)))));
    let door = entrance.open(&ours, Some(sender), Worker::spawn("receive").unwrap()).unwrap();
    let meeting = door.meeting.clone().unwrap();
    drop(door);
    assert!(guests.restore(meeting.id.as_bytes(), &Peer::new(Some(sender), "tcp:h:1")).is_none());
}

#[test]
fn a_port_is_opened_on_the_address_that_the_tracker_is_reached_from() {
    for (local, opened) in
        [("tcp:192.0.2.1:7", "tcp:192.0.2.1:0"), ("unix:/run/tracker", "tcp:127.0.0.1:0")]
    {
        assert_eq!(any_port(&local.parse().unwrap()).to_string(), opened);
    }
}
