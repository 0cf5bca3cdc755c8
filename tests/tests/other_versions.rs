//! Programs of another release: each side says which version of the protocol it speaks, and that
//! both machines need the same one.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "how tests fail")]

use std::net::TcpStream;
use std::rc::Rc;

use capnp::Error;
use schema::location_capnp::location;
use schema::outcome_capnp::hello;
use schema::user_capnp::user;
use schema::{Code, Failure, PROTOCOL, outcome};
use sturdyref::{
    Address, Auth, IdDigest, Identity, Listener, ObjectId, Peer, RestoreError, Restored, Restorer,
    Security, SturdyRef, capfile,
};
use tests::Fleet;
use tests::user::{User, dial, run};
use tokio_util::sync::CancellationToken;

const NEXT: u16 = PROTOCOL + 1;

/// What a tracker of the next version says to one of ours.
fn refusal(program: &str) -> Failure {
    Failure::new(
        Code::OtherProtocol,
        "talk to this tracker as",
        format!("zatlas {program} 0.1.0"),
        format!("it speaks version {PROTOCOL} of the protocol, the tracker version {NEXT}"),
        "Install the same release of zatlas on both machines.",
    )
}

#[test]
fn a_cli_and_an_agent_of_the_next_version_are_told_by_the_tracker() {
    let fleet = Fleet::start();
    let words = format!("it speaks version {NEXT} of the protocol, the tracker version {PROTOCOL}");
    run(async {
        let capability = capfile::read(fleet.cap("user")).unwrap();
        let failure = User::open(&capability, NEXT).await.err().unwrap();
        assert_eq!((failure.code, failure.exit_status()), (Code::OtherProtocol, 1));
        assert!(failure.to_string().contains(&words), "{failure}");

        let capability = capfile::read(fleet.cap("datacenter-01")).unwrap();
        let identity = Identity::ephemeral().unwrap();
        let connection = dial(&capability, &identity).await;
        let mut request = connection.target::<location::Client>().register_request();
        request.get().init_hello().set_protocol(NEXT);
        let answer = request.send().promise.await.unwrap();
        let answer = outcome::read(answer.get().unwrap().get_outcome().unwrap()).unwrap();
        let failure = answer.err().unwrap();
        assert_eq!(failure.code, Code::OtherProtocol);
        assert!(failure.to_string().contains(&words), "{failure}");
    });
    assert_eq!(fleet.show(&[]).ok().stdout, "");
}

/// A tracker of the next version, as far as it gets with ours.
struct NextTracker;

fn speaks_our_version(hello: hello::Reader<'_>) {
    assert_eq!(hello.get_protocol(), PROTOCOL);
}

impl user::Server for NextTracker {
    async fn open(
        self: Rc<Self>,
        params: user::OpenParams,
        mut results: user::OpenResults,
    ) -> Result<(), Error> {
        speaks_our_version(params.get()?.get_hello()?);
        outcome::write(results.get().init_outcome(), Err::<(), _>(refusal("cli")), |_, ()| Ok(()))
    }
}

impl location::Server for NextTracker {
    async fn register(
        self: Rc<Self>,
        params: location::RegisterParams,
        mut results: location::RegisterResults,
    ) -> Result<(), Error> {
        speaks_our_version(params.get()?.get_hello()?);
        outcome::write(results.get().init_outcome(), Err::<(), _>(refusal("agent")), |_, ()| Ok(()))
    }
}

impl Restorer for NextTracker {
    fn restore(&self, id: &[u8], _: &Peer) -> Result<Restored, RestoreError> {
        let is_user = IdDigest::of(id) == IdDigest::of(b"user");
        Ok(Restored::Here(if is_user {
            capnp_rpc::new_client::<user::Client, _>(NextTracker).client
        } else {
            capnp_rpc::new_client::<location::Client, _>(NextTracker).client
        }))
    }
}

#[test]
fn our_cli_and_agent_say_it_when_a_tracker_is_of_the_next_version() {
    let mut fleet = Fleet::start();
    let mut machine = fleet.machine("machine", &["tank"]);
    let Ok(Address::Tcp { host, port }) = fleet.address().parse() else { panic!("no TCP") };
    // Where the fleet reaches this process, whatever its network.
    let here = TcpStream::connect((host, port)).unwrap().local_addr().unwrap().ip();
    fleet.tracker().kill();
    let identity = Identity::ephemeral().unwrap();
    let auth = Auth::Tls(identity.fingerprint());
    let stop = CancellationToken::new();
    let (listening, ready) = std::sync::mpsc::channel();
    let stopped = stop.clone();
    let serving = std::thread::spawn(move || {
        run(async {
            let any_port = Address::Tcp { host: here.to_string(), port: 0 };
            let listener = Listener::bind(&any_port, Security::Tls(identity)).unwrap();
            listening.send(listener.local_address().clone()).unwrap();
            listener.serve(Rc::new(NextTracker), stopped).await.unwrap();
        });
    });
    let address = ready.recv().unwrap();
    for name in ["user", "datacenter-01"] {
        std::fs::remove_file(fleet.cap(name)).unwrap();
        let target = SturdyRef { auth, address: address.clone(), id: ObjectId::new(name) };
        capfile::write(fleet.cap(name), &target).unwrap();
    }
    let words = format!("it speaks version {PROTOCOL} of the protocol, the tracker version {NEXT}");
    let ran = machine.cli(&["show"]).expect(1).says(&words);
    let ran = ran.says("Install the same release of zatlas on both machines.");
    assert_eq!(ran.stdout, "");
    machine.start_agent("datacenter-01", &[]);
    machine.agent().wait_for_line(&words);
    assert!(machine.agent().is_running(), "an upgraded tracker should find it waiting");
    stop.cancel();
    serving.join().unwrap();
}
