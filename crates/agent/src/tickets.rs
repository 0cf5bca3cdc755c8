//! Tickets: the right to read one dataset, for one receiver, soon and once.
//!
//! Nothing else of an agent can be restored from outside. Tickets are kept in memory alone, and by
//! the digest of their id, so that nothing that leaks is of use.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use schema::source_capnp::source;
use schema::{Code, Failure};
use sturdyref::{
    Address, Auth, Fingerprint, IdDigest, ObjectId, Peer, RestoreError, Restored, Restorer,
    Security, SturdyRef, Worker,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transfer::Traffic;
use transfer::entrance::Entrance;
use transfer::guests::Guests;
use transfer::holds::Holds;
use transfer::outgoing::{self, Tasks};
use zfs::{DatasetName, Zfs};

/// From a ticket's making to its use.
const VALID: Duration = Duration::from_secs(60);

/// What a ticket is for.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    /// The dataset to be read.
    pub(crate) dataset: DatasetName,
    /// The key that the receiver's connection must show; `None` without TLS.
    pub(crate) receiver: Option<Fingerprint>,
    /// Whether a first snapshot may be taken.
    pub(crate) may_snapshot: bool,
}

/// A ticket that can be used until then.
#[derive(Clone, Debug)]
struct Valid {
    ticket: Ticket,
    until: Instant,
}

/// A ticket that nobody else can use meanwhile. Dropped, it is good again for what is left of its time,
/// unless it was used.
pub(crate) struct Taken {
    tickets: Rc<Tickets>,
    digest: IdDigest,
    valid: Valid,
    is_used: bool,
}

impl Taken {
    pub(crate) fn ticket(&self) -> &Ticket {
        &self.valid.ticket
    }

    /// It is good no more.
    pub(crate) fn used(mut self) {
        self.is_used = true;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.is_used {
            self.tickets.valid.borrow_mut().insert(self.digest, self.valid.clone());
        }
    }
}

/// The tickets not used yet, and where to use them.
pub(crate) struct Tickets {
    zfs: Zfs,
    auth: Auth,
    tasks: Tasks,
    holds: Holds,
    traffic: Traffic,
    /// Senders that this machine's own transfers expect.
    guests: Guests,
    /// What is to be dialled here, once that is known.
    address: watch::Sender<Option<Address>>,
    valid: RefCell<HashMap<IdDigest, Valid>>,
}

impl Tickets {
    /// No tickets yet; those minted later are for a listener with this authentication.
    pub(crate) fn new(
        zfs: Zfs,
        auth: Auth,
        tasks: Tasks,
        holds: Holds,
        traffic: Traffic,
    ) -> Rc<Self> {
        let (address, guests) = (watch::Sender::default(), Guests::default());
        let valid = RefCell::default();
        Rc::new(Self { zfs, auth, tasks, holds, traffic, guests, address, valid })
    }

    /// Sets what others are told to dial.
    pub(crate) fn advertise(&self, address: Address) {
        self.address.send_replace(Some(address));
    }

    /// Where senders come in; `security` is the listener's.
    pub(crate) fn entrance(&self, security: Security) -> Entrance {
        let (guests, at) = (self.guests.clone(), self.address.subscribe());
        Entrance::Listener { guests, at, security }
    }

    /// Makes a ticket; gives the sturdyrefs to use it with, and what it is known by here.
    pub(crate) fn mint(&self, ticket: Ticket) -> Result<(Vec<SturdyRef>, IdDigest), Failure> {
        let id = ObjectId::random().map_err(|error| {
            Failure::new(Code::Failed, "make a ticket for", &ticket.dataset, error, "")
        })?;
        let now = Instant::now();
        let digest = id.digest();
        let mut valid = self.valid.borrow_mut();
        valid.retain(|_, other| other.until > now);
        valid.insert(digest, Valid { ticket, until: now + VALID });
        let address = self.address.borrow();
        let sturdyref = |address: &Address| SturdyRef {
            auth: self.auth,
            address: address.clone(),
            id: id.clone(),
        };
        Ok((address.iter().map(sturdyref).collect(), digest))
    }

    /// Takes a ticket for use by this agent itself, which dials its receiver: nobody else can use it then.
    pub(crate) fn take(self: &Rc<Self>, digest: &IdDigest) -> Option<Taken> {
        let valid = self.valid.borrow_mut().remove(digest)?;
        let taken = |valid| Taken { tickets: self.clone(), digest: *digest, valid, is_used: false };
        (valid.until > Instant::now()).then(|| taken(valid))
    }

    /// Takes a ticket for use, by a receiver that showed this key.
    fn redeem(&self, id: &[u8], peer: &Peer) -> Result<Ticket, RestoreError> {
        let digest = IdDigest::of(id);
        let mut valid = self.valid.borrow_mut();
        let found = valid.get(&digest).ok_or(RestoreError::Unknown)?;
        if found.until <= Instant::now() {
            valid.remove(&digest);
            return Err(RestoreError::Refused("the ticket has expired".into()));
        }
        if found.ticket.receiver.is_some() && found.ticket.receiver != peer.fingerprint {
            // Not used up: whoever found it must not be able to spoil it.
            return Err(RestoreError::Refused("the ticket is for another receiver".into()));
        }
        valid.remove(&digest).map(|valid| valid.ticket).ok_or(RestoreError::Unknown)
    }

    /// Serves a ticket's dataset, on whatever thread this is called.
    pub(crate) fn source(&self, ticket: &Ticket) -> MakeSource {
        let (zfs, tasks, holds) = (self.zfs.clone(), self.tasks.clone(), self.holds.clone());
        let traffic = self.traffic.clone();
        let Ticket { dataset, may_snapshot, .. } = ticket.clone();
        Box::new(move || outgoing::serve(zfs, dataset, may_snapshot, tasks, holds, traffic))
    }
}

/// Makes a source, and a token that is cancelled when nobody holds it any more.
pub(crate) type MakeSource = Box<dyn FnOnce() -> (source::Client, CancellationToken) + Send>;

impl Restorer for Tickets {
    fn restore(&self, id: &[u8], peer: &Peer) -> Result<Restored, RestoreError> {
        if let Some(guest) = self.guests.restore(id, peer) {
            return guest;
        }
        let ticket = self.redeem(id, peer)?;
        tracing::info!(dataset = %ticket.dataset, peer = %peer.address, "ticket used");
        let worker = Worker::spawn("send")
            .map_err(|error| RestoreError::Overloaded(format!("no thread to send on: {error}")))?;
        let source = self.source(&ticket);
        Ok(Restored::On(worker, Box::new(move |_| source().0.client)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets() -> Rc<Tickets> {
        let book = "/nonexistent/holds.json".into();
        let holds = Holds::open(Zfs::default(), &"m".parse().unwrap(), book).unwrap();
        let tickets = Tickets::new(
            Zfs::default(),
            Auth::Insecure,
            Tasks::default(),
            holds,
            Traffic::default(),
        );
        tickets.advertise("tcp:192.0.2.1:1".parse().unwrap());
        tickets
    }

    fn peer(key: u8) -> Peer {
        Peer::new(Some(Fingerprint([key; 32])), "tcp:192.0.2.9:9")
    }

    fn mint(tickets: &Tickets) -> ObjectId {
        let ticket = Ticket {
            dataset: "tank/a".parse().unwrap(),
            receiver: Some(Fingerprint([7; 32])),
            may_snapshot: false,
        };
        tickets.mint(ticket).unwrap().0.remove(0).id
    }

    #[test]
    fn a_ticket_is_for_one_receiver_and_one_use() {
        let tickets = tickets();
        let id = mint(&tickets);
        let refused = tickets.redeem(id.as_bytes(), &peer(8));
        assert!(matches!(refused, Err(RestoreError::Refused(_))), "{refused:?}");
        assert_eq!(tickets.redeem(id.as_bytes(), &peer(7)).unwrap().dataset.to_string(), "tank/a");
        let again = tickets.redeem(id.as_bytes(), &peer(7));
        assert!(matches!(again, Err(RestoreError::Unknown)), "{again:?}");
    }

    #[test]
    fn a_ticket_is_for_whoever_uses_it_first_the_receiver_or_this_agent() {
        let tickets = tickets();
        let id = mint(&tickets);
        tickets.redeem(id.as_bytes(), &peer(7)).unwrap();
        assert!(tickets.take(&id.digest()).is_none());

        let id = mint(&tickets);
        let taken = tickets.take(&id.digest()).unwrap();
        assert!(tickets.take(&id.digest()).is_none());
        let late = tickets.redeem(id.as_bytes(), &peer(7));
        assert!(matches!(late, Err(RestoreError::Unknown)), "{late:?}");
        drop(taken);
        tickets.take(&id.digest()).unwrap().used();
        assert!(tickets.take(&id.digest()).is_none());
    }

    #[test]
    fn a_ticket_expires() {
        let tickets = tickets();
        let id = mint(&tickets);
        for valid in tickets.valid.borrow_mut().values_mut() {
            valid.until = Instant::now();
        }
        let late = tickets.redeem(id.as_bytes(), &peer(7));
        assert!(matches!(late, Err(RestoreError::Refused(_))), "{late:?}");
    }
}
