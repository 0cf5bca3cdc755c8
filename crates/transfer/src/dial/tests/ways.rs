use std::cell::RefCell;
use std::rc::Rc;

use capnp_rpc::new_client;
use schema::broker_capnp::{broker, rendezvous};
use schema::outcome;
use sturdyref::{Listener, ObjectId, Peer, RestoreError, Restored, Restorer};
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::super::*;
use crate::guests::Guests;

/// A tracker that offers a machine which can only be met at a relay.
struct Tracker {
    /// Nothing listens there: it is bound, so that nobody else does.
    closed: SturdyRef,
    _nobody: TcpSocket,
    relay: SturdyRef,
    asked: RefCell<Vec<String>>,
    /// Whether the machine comes to the relay.
    is_there: Cell<bool>,
}

#[derive(Clone)]
struct Desk(Rc<Tracker>);

/// What goes with the offer of this number.
struct WayRound(Rc<Tracker>, usize);

impl Tracker {
    async fn start() -> Rc<Self> {
        let nobody = TcpSocket::new_v4().unwrap();
        nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let any_port = "tcp:127.0.0.1:0".parse().unwrap();
        let relay = Listener::bind(&any_port, Security::Insecure).unwrap();
        let at = |address| {
            let id = ObjectId::random().unwrap();
            SturdyRef { auth: Auth::Insecure, address, id }
        };
        let (closed, meeting) =
            (at(nobody.local_addr().unwrap().into()), at(relay.local_address().clone()));
        let served = relay.serve(Rc::new(NoSource), CancellationToken::new());
        tokio::task::spawn_local(served);
        let (asked, is_there) = (RefCell::default(), Cell::new(true));
        Rc::new(Self { closed, _nobody: nobody, relay: meeting, asked, is_there })
    }

    fn ask(&self, for_what: &str, offer: usize) {
        self.asked.borrow_mut().push(format!("{for_what} {offer}"));
    }

    /// How the machine was reached, and what was asked for that.
    async fn reach(self: &Rc<Self>, ways: &Ways) -> (Option<Route>, Vec<String>) {
        let (broker, _desk) = Broker::new(new_client(Desk(self.clone())), "a".parse().unwrap());
        let here = watch::Sender::new(Some("tcp:127.0.0.1:1".parse().unwrap()));
        let entrance = Entrance::Listener {
            guests: Guests::default(),
            at: here.subscribe(),
            security: Security::Insecure,
        };
        let worker = Worker::spawn("receive").unwrap();
        let (place, dataset) = (r"dc\m\tank".parse().unwrap(), "a".parse().unwrap());
        let wanted = Wanted {
            place: &place,
            dataset: &dataset,
            may_snapshot: false,
            avoided: &Avoided::new(),
            ways,
            program: "cli",
        };
        let reached = reach(&broker, &entrance, &worker, wanted).await;
        (reached.ok().map(|line| line.route), self.asked.take())
    }
}

impl broker::Server for Desk {
    async fn reach(
        self: Rc<Self>,
        _: broker::ReachParams,
        mut results: broker::ReachResults,
    ) -> capnp::Result<()> {
        let Self(tracker) = &*self;
        let offer = tracker.asked.borrow().len();
        tracker.ask("offer", offer);
        outcome::write(results.get().init_outcome(), Ok(()), |mut answer, ()| {
            answer.reborrow().init_uris(1).set(0, tracker.closed.to_uri().as_str());
            let way_round = WayRound(tracker.clone(), offer);
            answer.set_rendezvous(new_client::<rendezvous::Client, _>(way_round));
            Ok(())
        })
    }
}

impl rendezvous::Server for WayRound {
    async fn dial_receiver(
        self: Rc<Self>,
        _: rendezvous::DialReceiverParams,
        mut results: rendezvous::DialReceiverResults,
    ) -> capnp::Result<()> {
        self.0.ask("dial", self.1);
        let failure = Failure::new(Code::Unreachable, "meet", "", "it is a test", "");
        outcome::write_nothing(results.get().init_outcome(), Err(failure))
    }

    async fn relay(
        self: Rc<Self>,
        _: rendezvous::RelayParams,
        mut results: rendezvous::RelayResults,
    ) -> capnp::Result<()> {
        let Self(tracker, offer) = &*self;
        tracker.ask("relay", *offer);
        let away = Failure::new(Code::Offline, "relay", "", "it is a test", "");
        let come = if tracker.is_there.get() { Ok(()) } else { Err(away) };
        outcome::write(results.get().init_outcome(), come, |mut answer, ()| {
            answer.set_uri(tracker.relay.to_uri().as_str());
            Ok(())
        })
    }
}

struct NoSource;

impl source::Server for NoSource {}

impl Restorer for NoSource {
    fn restore(&self, _: &[u8], _: &Peer) -> Result<Restored, RestoreError> {
        Ok(Restored::Here(new_client::<source::Client, _>(Self).client))
    }
}

/// All ways, the first with a ticket of its own.
const ALL: [&str; 4] = ["offer 0", "offer 1", "dial 1", "relay 1"];

#[tokio::test]
async fn ways_that_led_nowhere_are_gone_again_only_once_the_machine_was_not_reached_at_all() {
    let here = LocalSet::new();
    let reach = async {
        let (tracker, ways) = (Tracker::start().await, Ways::default());
        let relayed = Some(Route::Relayed);
        assert_eq!(tracker.reach(&ways).await, (relayed, ALL.map(str::to_owned).to_vec()));
        let straight = ["offer 0", "relay 0"].map(str::to_owned).to_vec();
        assert_eq!(tracker.reach(&ways).await, (relayed, straight.clone()));
        tracker.is_there.set(false);
        assert_eq!(tracker.reach(&ways).await, (None, straight));
        tracker.is_there.set(true);
        assert_eq!(tracker.reach(&ways).await, (relayed, ALL.map(str::to_owned).to_vec()));
    };
    here.run_until(reach).await;
}
