//! The connection to the tracker.

use std::time::Duration;

use schema::text::chain;
use schema::user_capnp::{fleet, user};
use schema::{Code, Failure, Location, Replica, outcome};
use sturdyref::{Auth, Backoff, ConnectError, Connection, Identity, Limits, Security, SturdyRef};
use tokio::time::{Instant, sleep, timeout};
use transfer::broker::Gathered;

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
        Self::connect_asking(capability, |_| ()).await.map(|(tracker, ())| tracker)
    }

    /// Connects, and has `ask` make a call at once: restoring the capability, checking the protocol
    /// and that call take one round trip together. What comes of it only counts where this
    /// succeeds.
    pub(crate) async fn connect_asking<T>(
        capability: &SturdyRef,
        ask: impl FnOnce(&fleet::Client) -> T,
    ) -> Result<(Self, T), Failure> {
        let failed = |code, reason: String, remedy: &str| {
            let unreachable = code == Code::Unreachable;
            let verb = if unreachable { "reach" } else { "use" };
            let operation = format!("{verb} the tracker at");
            Failure::new(code, operation, &capability.address, reason, remedy)
        };
        let not_connected = |error: ConnectError| {
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
        };
        let security = if speaks_tls(capability) {
            Security::Tls(Identity::ephemeral().map_err(|e| failed(Code::Failed, chain(&e), ""))?)
        } else {
            Security::Insecure
        };
        let limits = Limits::default();
        let dialled = sturdyref::dial(capability, &security, DEADLINE, &limits).await;
        let dialled = dialled.map_err(not_connected)?;
        let user: user::Client = dialled.target();
        let mut request = user.open_request();
        outcome::write_hello(request.get().init_hello(), "cli");
        let (opened, fleet) = outcome::send_for(request);
        let asked = ask(&fleet);
        let connection = dialled.restored().await.map_err(not_connected)?;
        let answer = timeout(DEADLINE, opened)
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
        outcome::read(answer.get().and_then(|answer| answer.get_outcome()).map_err(told)?)
            .map_err(told)??;
        Ok((Self { fleet, connection }, asked))
    }

    /// Connects, and goes on trying for so long where that may help.
    pub(crate) async fn connect_within<T>(
        capability: &SturdyRef,
        patience: Duration,
        ask: impl Fn(&fleet::Client) -> T,
    ) -> Result<(Self, T), Failure> {
        let since = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            match Self::connect_asking(capability, &ask).await {
                Err(failure) if may_come_back(&failure) && since.elapsed() < patience => {
                    sleep(backoff.next_delay()).await;
                }
                ended => return ended,
            }
        }
    }
}

/// The replicas that fit a pattern, at a location if one is given, without their snapshots. They
/// have been asked for when this returns.
pub(crate) fn list(
    fleet: &fleet::Client,
    pattern: &str,
    location: Option<&Location>,
) -> impl Future<Output = Result<Vec<Replica>, Failure>> + use<> {
    let (sink, gathered) = Gathered::begin();
    let mut request = fleet.list_request();
    let mut query = request.get().init_query();
    query.set_pattern(pattern);
    query.set_location(location.map_or("", Location::as_str));
    request.get().set_sink(sink);
    let answer = request.send().promise;
    async move {
        let done = async { Ok(outcome::read(answer.await?.get()?.get_outcome()?)?.map(drop)) };
        let listed = gathered.of(done).await;
        listed.map_err(|error| Failure::from_exception("list the datasets", "", &error))?
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
            let connected = Tracker::connect_within(&capability, patience, |_| ());
            let failure = LocalSet::new().run_until(connected).await.err().unwrap();
            assert_eq!(failure.code, Code::Unreachable);
            let waited = since.elapsed();
            assert!(waited >= patience && waited < patience + 2 * DEADLINE, "{waited:?}");
        }
    }
}
