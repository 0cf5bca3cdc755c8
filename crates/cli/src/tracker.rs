//! The connection to the tracker.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use capnp_rpc::new_client;
use schema::text::chain;
use schema::user_capnp::{fleet, user};
use schema::{Code, Failure, Location, Replica, outcome};
use sturdyref::{Auth, Backoff, ConnectError, Connection, Identity, Security, SturdyRef};
use tokio::time::{Instant, sleep, timeout};
use transfer::broker::Collector;

/// How long the tracker may take to be reached and to restore the capability, and then to answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// An open connection, and what the capability gives.
pub(crate) struct Tracker {
    pub(crate) fleet: fleet::Client,
    pub(crate) connection: Connection,
}

/// Whether the fleet that a capability belongs to speaks TLS.
pub(crate) fn speaks_tls(capability: &SturdyRef) -> bool {
    matches!(capability.auth, Auth::Tls(_))
}

/// Whether a tracker that could not be used may be usable later.
pub(crate) fn may_come_back(failure: &Failure) -> bool {
    !matches!(failure.code, Code::Refused | Code::OtherProtocol)
}

impl Tracker {
    /// Connects, and checks that both sides speak the same protocol.
    pub(crate) async fn connect(capability: &SturdyRef) -> Result<Self, Failure> {
        let failed = |code, reason: String, remedy: &str| {
            let unreachable = code == Code::Unreachable;
            let verb = if unreachable { "reach" } else { "use" };
            let operation = format!("{verb} the tracker at");
            Failure::new(code, operation, &capability.address, reason, remedy)
        };
        let security = if speaks_tls(capability) {
            Security::Tls(Identity::ephemeral().map_err(|e| failed(Code::Failed, chain(&e), ""))?)
        } else {
            Security::Insecure
        };
        let connected = sturdyref::connect(capability, &security, DEADLINE).await;
        let connection = connected.map_err(|error| {
            let (code, remedy) = match &error {
                error if error.is_unreachable() => {
                    (Code::Unreachable, "Is it running, and can this machine reach that address?")
                }
                // Somebody answered and would not have us.
                ConnectError::NotRestored { .. } | ConnectError::SpeaksTls { .. } => {
                    (Code::Refused, "Copy the .cap file again from the tracker's machine.")
                }
                ConnectError::WrongKey { .. } => (
                    Code::Refused,
                    "Find out who answers there. A tracker that was installed anew has new .cap files.",
                ),
                _ => (Code::Failed, "Run the command again; is it the tracker that listens there?"),
            };
            failed(code, chain(&error), remedy)
        })?;
        let user: user::Client = connection.target();
        let mut request = user.open_request();
        outcome::write_hello(request.get().init_hello(), "cli");
        let answer = timeout(DEADLINE, request.send().promise)
            .await
            .map_err(|_| failed(Code::Failed, "it does not answer".into(), "Look at its log."))?;
        let told = |error: capnp::Error| match error.kind {
            // What a capability for something else says: a location's, say.
            capnp::ErrorKind::Unimplemented => failed(
                Code::Refused,
                "the capability is not a user's".into(),
                "Use user.cap or admin.cap.",
            ),
            _ => Failure::from_exception("reach the tracker at", &capability.address, &error),
        };
        let answer = answer.map_err(told)?;
        let read = || {
            let opened = outcome::read(answer.get()?.get_outcome()?)?;
            match opened {
                Ok(opened) => opened.get_fleet().map(Ok),
                Err(failure) => Ok(Err(failure)),
            }
        };
        let fleet = read().map_err(told)??;
        Ok(Self { fleet, connection })
    }

    /// Connects, and goes on trying for so long where that may help.
    pub(crate) async fn connect_within(
        capability: &SturdyRef,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let since = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            match Self::connect(capability).await {
                Err(failure) if may_come_back(&failure) && since.elapsed() < patience => {
                    sleep(backoff.next_delay()).await;
                }
                ended => return ended,
            }
        }
    }

    /// The replicas that fit a pattern, at a location if one is given, without their snapshots.
    pub(crate) async fn list(
        &self,
        pattern: &str,
        location: Option<&Location>,
    ) -> Result<Vec<Replica>, Failure> {
        let replicas = Rc::new(RefCell::new(Vec::new()));
        let listing = async {
            let mut request = self.fleet.list_request();
            let mut query = request.get().init_query();
            query.set_pattern(pattern);
            query.set_location(location.map_or("", Location::as_str));
            request.get().set_sink(new_client(Collector { replicas: replicas.clone() }));
            let answer = request.send().promise.await?;
            outcome::read(answer.get()?.get_outcome()?).map(|done| done.map(drop))
        };
        listing
            .await
            .map_err(|error| Failure::from_exception("list the datasets", "", &error))??;
        Ok(replicas.take())
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tracker_that_is_away_is_looked_for_as_long_as_patience_lasts() {
        // Nobody listens on a port that was just given back.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let capability: SturdyRef = format!("capnp://insecure@{address}/c2VjcmV0").parse().unwrap();
        for patience in [Duration::ZERO, Duration::from_secs(3600)] {
            let since = Instant::now();
            let connected = Tracker::connect_within(&capability, patience);
            let failure = LocalSet::new().run_until(connected).await.err().unwrap();
            assert_eq!(failure.code, Code::Unreachable);
            let waited = since.elapsed();
            assert!(waited >= patience && waited < patience + 2 * DEADLINE, "{waited:?}");
        }
    }
}
