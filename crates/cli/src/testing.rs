//! A tracker for tests: it serves one fleet to whoever comes, without TLS.

use std::rc::Rc;

use capnp_rpc::new_client;
use schema::user_capnp::{fleet, user};
use schema::{Code, Failure, outcome};
use sturdyref::{Listener, Peer, RestoreError, Restored, Restorer, Security, SturdyRef};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct FakeTracker {
    pub(crate) capability: SturdyRef,
    closing: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl FakeTracker {
    /// Listens where `before` did, else on any port.
    pub(crate) fn start(fleet: fleet::Client, before: Option<&SturdyRef>) -> Self {
        Self::serve(Door(Some(fleet)), before)
    }

    /// Listens where `before` did, and refuses its capability.
    pub(crate) fn start_void(before: &SturdyRef) -> Self {
        Self::serve(Door(None), Some(before))
    }

    fn serve(door: Door, before: Option<&SturdyRef>) -> Self {
        let address = match before {
            Some(before) => before.address.clone(),
            None => "tcp:127.0.0.1:0".parse().unwrap(),
        };
        let listener = Listener::bind(&address, Security::Insecure).unwrap();
        let address = listener.local_address().to_string();
        let address = address.strip_prefix("tcp:").unwrap();
        let capability = format!("capnp://insecure@{address}/c2VjcmV0").parse().unwrap();
        let closing = CancellationToken::new();
        let serving = listener.serve(Rc::new(door), closing.clone());
        Self { capability, closing, serving: tokio::task::spawn_local(serving) }
    }

    /// Returns when all connections are closed.
    pub(crate) async fn stop(self) -> SturdyRef {
        self.closing.cancel();
        self.serving.await.unwrap().unwrap();
        self.capability
    }
}

/// Opens the fleet, or nothing.
#[derive(Clone)]
struct Door(Option<fleet::Client>);

impl Restorer for Door {
    fn restore(&self, _: &[u8], _: &Peer) -> Result<Restored, RestoreError> {
        Ok(Restored::Here(new_client::<user::Client, _>(self.clone()).client))
    }
}

impl user::Server for Door {
    async fn open(
        self: Rc<Self>,
        _: user::OpenParams,
        mut results: user::OpenResults,
    ) -> capnp::Result<()> {
        let fleet = self.0.clone().ok_or_else(|| {
            Failure::new(Code::Refused, "use", "user.cap", "it was replaced", "Get the new one.")
        });
        outcome::write(results.get().init_outcome(), fleet, |mut opened, fleet| {
            opened.set_fleet(fleet);
            Ok(())
        })
    }
}
