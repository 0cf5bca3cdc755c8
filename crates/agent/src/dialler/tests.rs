use std::time::Duration;

use schema::source_capnp::source;
use sturdyref::{Identity, Listener, ObjectId, Peer, RestoreError, Restored, Restorer};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::task::LocalSet;

use super::*;

struct NoSource;

impl source::Server for NoSource {}

fn no_source() -> MakeSource {
    Box::new(|| (capnp_rpc::new_client(NoSource), CancellationToken::new()))
}

/// A receiver's meeting at which nothing is ever answered. Tells when something is brought.
#[derive(Clone, Default)]
struct Silent(Rc<Notify>);

impl meeting::Server for Silent {
    async fn bring(
        self: Rc<Self>,
        _: meeting::BringParams,
        _: meeting::BringResults,
    ) -> capnp::Result<()> {
        self.0.notify_one();
        std::future::pending().await
    }
}

impl Restorer for Silent {
    fn restore(&self, _: &[u8], _: &Peer) -> Result<Restored, RestoreError> {
        let meeting: meeting::Client = capnp_rpc::new_client(self.clone());
        Ok(Restored::Here(meeting.client))
    }
}

impl Silent {
    /// Listens on this thread; what is to be dialled.
    fn listen(&self) -> Whom {
        let any_port = "tcp:127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(&any_port, Security::Insecure).unwrap();
        let address = listener.local_address().clone();
        let served = listener.serve(Rc::new(self.clone()), CancellationToken::new());
        tokio::task::spawn_local(served);
        at(Auth::Insecure, address)
    }
}

/// A receiver that is to be met there, on this machine.
fn at(auth: Auth, address: Address) -> Whom {
    let meeting = vec![SturdyRef { auth, address, id: ObjectId::random().unwrap() }];
    Whom::Receiver { meeting, here: "unix:/run/tracker".parse().unwrap() }
}

async fn nothing_is_left(tasks: &Tasks) {
    tasks.tracker.close();
    let gone = timeout(Duration::from_secs(30), tasks.tracker.wait()).await;
    gone.expect("the connection is still there");
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_left() {
    let here = LocalSet::new();
    let bring = async {
        let (receiver, tasks) = (Silent::default(), Tasks::default());
        let socket = (Security::Insecure, Limits::default());
        let dialled = dial(receiver.listen(), socket, no_source(), tasks.clone());
        let dialled = timeout(Duration::from_secs(30), dialled).await.expect("it still waits");
        let failure = dialled.unwrap_err();
        assert_eq!(failure.code, Code::Unreachable, "{failure}");
        nothing_is_left(&tasks).await;
    };
    here.run_until(bring).await;
}

#[tokio::test]
async fn an_agent_that_is_told_to_stop_waits_for_no_receiver() {
    let here = LocalSet::new();
    let bring = async {
        let (receiver, tasks) = (Silent::default(), Tasks::default());
        let socket = (Security::Insecure, Limits::default());
        let dialled = dial(receiver.listen(), socket, no_source(), tasks.clone());
        let dialled = tokio::task::spawn_local(dialled);
        receiver.0.notified().await;
        tasks.shutdown.cancel();
        nothing_is_left(&tasks).await;
        let failure = dialled.await.unwrap().unwrap_err();
        assert!(failure.to_string().contains("the agent is stopping"), "{failure}");
    };
    here.run_until(bring).await;
}

#[tokio::test]
async fn who_asked_and_has_gone_is_dialled_for_no_longer() {
    let here = LocalSet::new();
    let bring = async {
        let (receiver, tasks) = (Silent::default(), Tasks::default());
        let socket = (Security::Insecure, Limits::default());
        let dialled = dial(receiver.listen(), socket, no_source(), tasks.clone());
        tokio::select! {
            dialled = dialled => panic!("{dialled:?}"),
            () = receiver.0.notified() => {}
        }
        tasks.tracker.close();
        let gone = timeout(TO_MEET / 2, tasks.tracker.wait()).await;
        gone.expect("it waits on for the receiver's answer");
    };
    here.run_until(bring).await;
}

/// Dials where the receiver says that it is; what the receiver is told.
async fn told(auth: Auth, address: &Address, security: Security) -> Failure {
    let whom = at(auth, address.clone());
    let socket = (security, Limits::default());
    dial(whom, socket, no_source(), Tasks::default()).await.unwrap_err()
}

#[tokio::test]
async fn whoever_is_found_in_the_receivers_place_stays_unknown_and_leaves_the_relay() {
    let here = LocalSet::new();
    let bring = async {
        let security = || Security::Tls(Identity::ephemeral().unwrap());
        let wanted = Auth::Tls(Identity::ephemeral().unwrap().fingerprint());
        let any_port = "tcp:127.0.0.1:0".parse().unwrap();

        let another = Listener::bind(&any_port, security()).unwrap();
        let its_address = another.local_address().clone();
        let served = another.serve(Rc::new(Silent::default()), CancellationToken::new());
        tokio::task::spawn_local(served);

        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at_proxy = proxy.local_addr().unwrap().into();
        tokio::task::spawn_local(async move {
            while let Ok((connection, _)) = proxy.accept().await {
                drop(connection);
            }
        });

        // Bound, so that nobody else listens there.
        let closed = TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let nobody = told(wanted, &closed.local_addr().unwrap().into(), security()).await;
        assert_eq!(nobody.code, Code::Unreachable, "{nobody}");
        assert_eq!(told(wanted, &its_address, security()).await, nobody);
        assert_eq!(told(wanted, &at_proxy, security()).await, nobody);
        assert_eq!(told(Auth::Insecure, &at_proxy, Security::Insecure).await, nobody);
    };
    here.run_until(bring).await;
}

#[test]
fn nobody_is_dialled_but_the_receiver_that_the_ticket_is_for() {
    let (ours, another) = (Fingerprint([7; 32]), Fingerprint([8; 32]));
    let at = |auth: &str, address: &str| format!("capnp://{auth}@{address}/bQ").parse().unwrap();
    let tcp = "192.0.2.1:1";
    let pinned = |key: Fingerprint| format!("sha-256:{key}");
    assert!(is_of(Some(ours), &at(&pinned(ours), tcp)));
    assert!(!is_of(Some(ours), &at(&pinned(another), tcp)));
    assert!(!is_of(Some(ours), &at("insecure", tcp)));
    assert!(!is_of(Some(ours), &at(&pinned(ours), "/run/docker.sock")));
    assert!(is_of(None, &at("insecure", tcp)));
    assert!(!is_of(None, &at(&pinned(ours), tcp)));
}
