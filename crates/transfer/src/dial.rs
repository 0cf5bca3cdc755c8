//! From a place to its `Source`: dial what was offered, in turn; else meet at the tracker.

use std::time::Duration;

use schema::source_capnp::source;
use schema::{Code, Failure, Place};
use sturdyref::{Address, Auth, Connection, Identity, Security, SturdyRef};
use zfs::DatasetPath;

use crate::broker::{Broker, Reach};
use crate::report::Route;
use schema::text::chain;

/// How long a connection may take before the next path is tried.
const DIAL_DEADLINE: Duration = Duration::from_secs(3);
/// A sender with more addresses than this only wastes the receiver's time.
const MOST_PATHS: usize = 8;

/// An open data connection to a source. Closes when dropped.
pub(crate) struct Line {
    /// What sends.
    pub(crate) source: source::Client,
    /// Through which path.
    pub(crate) route: Route,
    /// Keeps the source alive.
    _connection: Connection,
}

/// Reaches a source over a connection of its own, under a key of its own: a vat may
/// keep only one connection per key, and this one is as short-lived as its ticket.
pub(crate) async fn reach(
    broker: &Broker,
    (place, dataset): (&Place, &DatasetPath),
    may_snapshot: bool,
    tls: bool,
) -> Result<Line, Failure> {
    let security = if tls { Security::Tls(ephemeral()?) } else { Security::Insecure };
    let receiver = match &security {
        Security::Tls(identity) => Some(identity.fingerprint()),
        Security::Insecure => None,
    };
    let mut tried = Vec::new();
    let wish = Reach { place: place.clone(), dataset: dataset.clone(), receiver, may_snapshot };
    let offered = broker.reach(wish).await?;
    for target in offered.iter().filter(|target| may_dial(target, tls)).take(MOST_PATHS) {
        match sturdyref::connect(target, &security, DIAL_DEADLINE).await {
            Ok(connection) => return Ok(line(connection, Route::Direct)),
            // Whoever answered with another key, or refused the ticket, is no network's fault.
            Err(error) if !error.is_unreachable() => return Err(not_reached(place, &error)),
            Err(error) => {
                tracing::info!(%place, address = %target.address, %error, "can't be dialled");
                tried.push(chain(&error));
            }
        }
    }
    let target: SturdyRef = broker.relay().await.map_err(|failure| Failure {
        reason: format!("{}; {}", tried.join("; "), failure.reason),
        ..failure
    })?;
    match sturdyref::connect(&target, &security, DIAL_DEADLINE).await {
        Ok(connection) => Ok(line(connection, Route::Relayed)),
        Err(error) => Err(not_reached(place, &error)),
    }
}

/// The sender says what to dial, and is trusted no further: not with a socket of this machine, nor
/// with data in the clear where the fleet speaks TLS.
fn may_dial(target: &SturdyRef, tls: bool) -> bool {
    let allowed =
        matches!(target.address, Address::Tcp { .. }) && matches!(target.auth, Auth::Tls(_)) == tls;
    if !allowed {
        tracing::warn!(address = %target.address, "an address is offered that is not to be dialled");
    }
    allowed
}

fn line(connection: Connection, route: Route) -> Line {
    Line { source: connection.target(), route, _connection: connection }
}

fn ephemeral() -> Result<Identity, Failure> {
    Identity::ephemeral().map_err(|error| {
        Failure::new(Code::Failed, "make a key for", "the data connection", error, "")
    })
}

fn not_reached(place: &Place, error: &sturdyref::ConnectError) -> Failure {
    let may_pass = error.is_unreachable() || error.is_lost();
    let code = if may_pass { Code::Unreachable } else { Code::Failed };
    Failure::new(
        code,
        "reach",
        place,
        chain(error),
        "See to it that the machines can reach each other, or the tracker's address.",
    )
}
