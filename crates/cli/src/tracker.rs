//! The connection to the tracker.

use std::time::Duration;

use schema::text::chain;
use schema::user_capnp::{fleet, user};
use schema::{Code, Failure, outcome};
use sturdyref::{Auth, ConnectError, Connection, Identity, Security, SturdyRef};
use tokio::time::timeout;

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
}
