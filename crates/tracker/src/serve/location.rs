//! `Location`: machines register here.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use capnp::Error;
use catalogue::{Identity, MachineId};
use schema::location_capnp::{location, session};
use schema::{Code, Failure, outcome, wire};
use sturdyref::{Fingerprint, Peer};

use super::answer::{NoAnswer, answer};
use super::session::Session;
use crate::clock::now;
use crate::failures;
use crate::issuer::Grant;
use crate::line::Line;
use crate::tracker::{NotSaved, Tracker};

/// How long a replaced agent may take to hear of it.
const GOODBYE: Duration = Duration::from_secs(5);

/// The right to be believed about a location.
pub(crate) struct Location {
    pub(crate) tracker: Rc<Tracker>,
    pub(crate) grant: Grant,
    pub(crate) location: schema::Location,
    pub(crate) peer: Peer,
}

impl location::Server for Location {
    async fn register(
        self: Rc<Self>,
        params: location::RegisterParams,
        mut results: location::RegisterResults,
    ) -> Result<(), Error> {
        let registered = answer(self.read_and_admit(params.get()?).await)?;
        outcome::write(results.get().init_outcome(), registered, |mut registered, session| {
            registered.set_location(self.location.as_str());
            registered.set_session(capnp_rpc::new_client::<session::Client, _>(session));
            Ok(())
        })
    }
}

impl Location {
    async fn read_and_admit(
        &self,
        params: location::register_params::Reader<'_>,
    ) -> Result<Session, NoAnswer> {
        outcome::check_hello(params.get_hello()?, "tracker")??;
        let registration = params.get_registration()?;
        let machine = wire::parse(registration.get_machine()?)?;
        let machine = MachineId { location: self.location.clone(), machine };
        let identity = registration.get_identity()?.try_into();
        let identity = identity.map_err(|_| Error::failed("an identity has 32 bytes".into()))?;
        let names = registration.get_pools()?;
        let pools = names.iter().map(|name| wire::parse(name?)).collect::<Result<_, _>>()?;
        Ok(self.admit(&machine, identity, &pools, registration.get_agent()?).await?)
    }

    async fn admit(
        &self,
        machine: &MachineId,
        identity: [u8; 32],
        pools: &BTreeSet<zfs::PoolName>,
        agent: schema::agent_capnp::agent::Client,
    ) -> Result<Session, Failure> {
        let tracker = &self.tracker;
        tracker.check(&self.grant)?;
        let fingerprint = Fingerprint(identity);
        if self.peer.fingerprint.is_some_and(|shown| shown != fingerprint) {
            let reason = "the connection was made with another key than the one announced";
            let remedy = "Connect with the agent's own key.";
            return Err(Failure::new(Code::Refused, "register", machine, reason, remedy));
        }
        let registered =
            tracker.catalogue.borrow_mut().register(machine, Identity(identity), pools, now());
        let registered = registered.map_err(|taken| {
            tracing::warn!(%machine, %fingerprint, peer = self.peer.address, "refused: {taken}");
            failures::name_taken(machine, &taken)
        })?;
        if let Some(ghost) = registered.replaced.and_then(|epoch| tracker.take_line(epoch)) {
            self.say_goodbye(&ghost);
        }
        let line = Rc::new(Line::new(registered.epoch, machine.clone(), agent, self.peer.clone()));
        tracker.connected(line.clone());
        // From here on, whatever happens to the caller, the session's end ends the registration.
        let session = Session { tracker: tracker.clone(), line };
        let saved = tracker.save(registered.changes).await;
        saved.map_err(|NotSaved| failures::not_saved("register", machine))?;
        tracing::info!(%machine, %fingerprint, peer = self.peer.address, "online");
        Ok(session)
    }

    /// Tells an agent that another connection of the same identity has taken its place, and hangs up.
    fn say_goodbye(&self, ghost: &Rc<Line>) {
        let mut request = ghost.agent.replaced_request();
        request.get().set_by(&self.peer.address);
        // On its way before any answer that tells the ghost that its session is over.
        let heard = request.send().promise;
        let peer = ghost.peer.clone();
        self.tracker.chores.begin(async move {
            // It may well be dead.
            let _ = tokio::time::timeout(GOODBYE, heard).await;
            peer.hang_up();
        });
    }
}
