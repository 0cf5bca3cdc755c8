//! From a place to its `Source`: dial what was offered; else have the sender dial this machine; else
//! meet at the tracker.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use schema::source_capnp::source;
use schema::{Code, Failure, Place};
use sturdyref::{
    Address, Auth, ConnectError, Connection, Dialled, Limits, Memory, Security, SturdyRef, Worker,
};
use tokio::time::timeout;
use zfs::DatasetPath;

use crate::broker::{Broker, Reach};
use crate::entrance::{self, Entrance};
use crate::guests::Guest;
use crate::remote::Opening;
use crate::report::Route;
use crate::ways::Ways;
use schema::text::chain;

/// How long a connection may take before the next path is tried.
pub const DIAL_DEADLINE: Duration = Duration::from_secs(3);
/// How long one side may dial the other in all. Both together, the relay is asked for after 14 s at most.
const DIAL_IN_ALL: Duration = Duration::from_secs(6);
/// How long the sender may take to dial, and to bring what it has.
pub const TO_MEET: Duration = Duration::from_secs(7);
/// How long the receiver waits for that: whether it was in vain is settled before it goes another way.
pub(crate) const DIALLED_BY_SENDER: Duration = Duration::from_secs(8);
/// Who has more addresses than this only wastes the other's time.
const MOST_PATHS: usize = 8;

/// The ways that are not to be gone.
pub(crate) type Avoided = BTreeSet<Route>;

/// An open data connection to a source. Closes when dropped.
pub(crate) struct Line {
    /// What sends.
    pub(crate) source: source::Client,
    /// Through which path.
    pub(crate) route: Route,
    /// Bytes of streams that came over it.
    pub(crate) carried: Cell<u64>,
    /// The first call, until somebody waits for its answer.
    opening: Cell<Option<Opening>>,
    /// Keeps the source alive, if this machine has dialled.
    _connection: Option<Connection>,
    /// The same, if the sender has.
    _guest: Option<Guest>,
}

impl Line {
    /// The source's answer to being opened: asked for while it was dialled, or else now.
    pub(crate) fn opening(&self, program: &str) -> Opening {
        self.opening.take().unwrap_or_else(|| Opening::begin(&self.source, program))
    }
}

/// Whom to reach, and what was learned of the ways there.
pub(crate) struct Wanted<'a> {
    pub(crate) place: &'a Place,
    pub(crate) dataset: &'a DatasetPath,
    pub(crate) may_snapshot: bool,
    /// Nothing came by these, though they could be gone.
    pub(crate) avoided: &'a Avoided,
    /// What other transfers learned, and learn of this.
    pub(crate) ways: &'a Ways,
    /// This program's name, for the source's messages.
    pub(crate) program: &'a str,
}

/// Reaches a source over a connection of its own.
pub(crate) async fn reach(
    broker: &Broker,
    entrance: &Entrance,
    worker: &Worker,
    wanted: Wanted<'_>,
) -> Result<Line, Failure> {
    let mut in_vain = Avoided::new();
    let reached = try_all(broker, entrance, worker, &wanted, &mut in_vain).await;
    match &reached {
        Ok(_) => wanted.ways.close(wanted.place, &in_vain, Instant::now()),
        Err(_) => wanted.ways.open(wanted.place),
    }
    reached
}

/// Tries one way after the other; those that were not to be gone are added to `in_vain`.
async fn try_all(
    broker: &Broker,
    entrance: &Entrance,
    worker: &Worker,
    wanted: &Wanted<'_>,
    in_vain: &mut Avoided,
) -> Result<Line, Failure> {
    let Wanted { place, dataset, may_snapshot, avoided, ways, program } = *wanted;
    // On its way before the ticket is known to be good: both are answered in one round trip.
    let open = |dialled: &Dialled| Opening::begin(&dialled.target(), program);
    let avoided = avoided | &ways.closed(place, Instant::now());
    let security = entrance.security()?;
    let receiver = match entrance::auth(&security) {
        Auth::Tls(fingerprint) => Some(fingerprint),
        Auth::Insecure => None,
    };
    let mut tried = Vec::new();
    let wish = Reach { place: place.clone(), dataset: dataset.clone(), receiver, may_snapshot };
    let mut offered = broker.reach(wish.clone()).await?;
    offered.retain(|target| may_dial(target, receiver.is_some()));
    if !avoided.contains(&Route::Direct) {
        match dial(&offered, &security, &receiving(), open).await {
            Ok(connected) => return Ok(line(connected, Route::Direct)),
            // Whoever answered with another key, or refused the ticket, is no network's fault.
            Err(NotDialled::Final(error)) => return Err(not_reached(place, &error)),
            Err(NotDialled::Unreachable(reasons)) => tried.extend(reasons),
        }
        in_vain.insert(Route::Direct);
        // A ticket is good for one connection, and one that was too slow may have used it.
        broker.reach(wish).await.map_err(|failure| because(&tried, failure))?;
    }
    // A sender that is not to be dialled at all shows no key by which it could be known.
    let sender = offered.first().map(|target| target.auth);
    if let Some(sender) = sender.filter(|_| !avoided.contains(&Route::DialledBySender)) {
        match be_dialled(broker, entrance, worker, &security, sender).await {
            Ok(guest) => return Ok(came(guest)),
            Err(failure) if failure.code != Code::Unreachable => return Err(failure),
            Err(failure) => tried.push(failure.reason),
        }
        in_vain.insert(Route::DialledBySender);
    }
    tracing::info!(%place, ?tried, ?avoided, "not reached directly");
    if avoided.contains(&Route::Relayed) {
        let reason = "nothing came by way of the tracker";
        let failure = Failure::new(Code::Unreachable, "reach", place, reason, LOOK);
        return Err(because(&tried, failure));
    }
    let target: SturdyRef = broker.relay().await.map_err(|failure| because(&tried, failure))?;
    match connect(&target, &security, DIAL_DEADLINE, &receiving(), open).await {
        Ok(connected) => Ok(line(connected, Route::Relayed)),
        Err(error) => Err(not_reached(place, &error)),
    }
}

/// With the reasons for which other ways were left before.
fn because(tried: &[String], failure: Failure) -> Failure {
    let reasons = tried.iter().chain([&failure.reason]).map(String::as_str);
    Failure { reason: reasons.collect::<Vec<_>>().join("; "), ..failure }
}

/// Has the sender come to this machine.
async fn be_dialled(
    broker: &Broker,
    entrance: &Entrance,
    worker: &Worker,
    security: &Security,
    sender: Auth,
) -> Result<Guest, Failure> {
    let unreachable =
        |reason: &str| Failure::new(Code::Unreachable, "be dialled", "", reason, LOOK);
    let sender = match sender {
        Auth::Tls(fingerprint) => Some(fingerprint),
        Auth::Insecure => None,
    };
    // Without a port of our own there is still the relay.
    let door = entrance.open(security, sender, worker.clone());
    let door = door.map_err(|failure| Failure { code: Code::Unreachable, ..failure })?;
    let meeting = door.meeting.clone();
    let meeting = meeting.ok_or_else(|| unreachable("this machine has no address yet"))?;
    let asked = async {
        broker.dial_receiver(vec![meeting]).await?;
        // It has brought its source, says the sender: that is here, or never was.
        std::future::pending().await
    };
    let met = async {
        tokio::select! {
            guest = door.welcome() => guest.ok_or_else(|| unreachable("the sender left at once")),
            refused = asked => refused,
        }
    };
    let late = |_| unreachable("the sender has not come in time");
    timeout(DIALLED_BY_SENDER, met).await.map_err(late)?
}

/// Why there is no connection.
#[derive(Debug)]
pub enum NotDialled {
    /// Nobody was there, or somebody else; why, for each that was tried. Another path may lead there.
    Unreachable(Vec<String>),
    /// It was there, or has lost its key, and it is not to be tried in another way.
    Final(ConnectError),
}

/// Dials one after the other, 3 s each and 6 s in all. `first` makes the first call, or none,
/// before the answer is there to whether the target is.
///
/// # Errors
/// None could be reached; or one that could is not the right one, or refuses.
pub async fn dial<T>(
    targets: &[SturdyRef],
    security: &Security,
    limits: &Limits,
    first: impl Fn(&Dialled) -> T,
) -> Result<(Connection, T), NotDialled> {
    let until = Instant::now() + DIAL_IN_ALL;
    let mut tried = Vec::new();
    for target in targets.iter().take(MOST_PATHS) {
        let deadline = DIAL_DEADLINE.min(until.saturating_duration_since(Instant::now()));
        if deadline.is_zero() {
            break;
        }
        match connect(target, security, deadline, limits, &first).await {
            Ok(connected) => return Ok(connected),
            Err(error) if error.is_final() => return Err(NotDialled::Final(error)),
            Err(error) => {
                tracing::info!(address = %target.address, %error, "can't be dialled");
                tried.push(chain(&error));
            }
        }
    }
    Err(NotDialled::Unreachable(tried))
}

async fn connect<T>(
    target: &SturdyRef,
    security: &Security,
    deadline: Duration,
    limits: &Limits,
    first: impl Fn(&Dialled) -> T,
) -> Result<(Connection, T), ConnectError> {
    let dialled = sturdyref::dial(target, security, deadline, limits).await?;
    let called = first(&dialled);
    Ok((dialled.restored().await?, called))
}

/// The most of a stream that may be on its way between two machines: a gigabit over 200 ms.
const MOST_WINDOW: usize = 32 << 20;

/// What data connections of a sender's keep to whose streams may take so many bytes together.
pub fn sending(memory: u64) -> Limits {
    let memory = Memory::of(usize::try_from(memory).unwrap_or(usize::MAX));
    Limits { most_window: MOST_WINDOW, memory, bulk: true, ..Limits::default() }
}

/// What a receiver's data connection keeps to: all that may be on its way is read, however
/// slow `zfs receive` is, so that no connection stands still that is well.
pub(crate) fn receiving() -> Limits {
    let usual = Limits::default();
    Limits { unanswered: usual.unanswered + MOST_WINDOW, ..usual }
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

fn line((connection, opening): (Connection, Opening), route: Route) -> Line {
    let (source, carried) = (connection.target(), Cell::new(0));
    let opening = Cell::new(Some(opening));
    Line { source, route, carried, opening, _connection: Some(connection), _guest: None }
}

fn came(guest: Guest) -> Line {
    let (source, carried) = (guest.source.clone(), Cell::new(0));
    let route = Route::DialledBySender;
    let opening = Cell::new(None);
    Line { source, route, carried, opening, _connection: None, _guest: Some(guest) }
}

const LOOK: &str = "See to it that the machines can reach each other, or the tracker's address.";

fn not_reached(place: &Place, error: &ConnectError) -> Failure {
    let may_pass = error.is_unreachable() || error.is_lost();
    let code = if may_pass { Code::Unreachable } else { Code::Failed };
    Failure::new(code, "reach", place, chain(error), LOOK)
}

#[cfg(test)]
mod tests;
