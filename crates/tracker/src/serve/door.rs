//! `User` and `Admin`: what people's capability files stand for.

use std::path::PathBuf;
use std::rc::Rc;

use capnp::Error;
use catalogue::MachineId;
use schema::user_capnp::{admin, fleet, user};
use schema::{outcome, wire};
use sturdyref::Peer;

use super::answer::{NoAnswer, answer};
use super::fleet::Fleet;
use crate::failures;
use crate::issuer::Grant;
use crate::tracker::{NotSaved, Tracker};

/// The way in for people. Served as `User` to one, as `Admin` to the other.
pub(crate) struct Door {
    pub(crate) tracker: Rc<Tracker>,
    pub(crate) grant: Grant,
    /// Who has come.
    pub(crate) peer: Peer,
}

impl user::Server for Door {
    async fn open(
        self: Rc<Self>,
        params: user::OpenParams,
        mut results: user::OpenResults,
    ) -> Result<(), Error> {
        let hello = outcome::check_hello(params.get()?.get_hello()?, "tracker")?;
        let checked = hello.and_then(|()| self.tracker.check(&self.grant));
        outcome::write(results.get().init_outcome(), checked, |mut opened, ()| {
            let (tracker, grant) = (self.tracker.clone(), self.grant.clone());
            let fleet = Fleet { tracker, grant, peer: self.peer.clone() };
            opened.set_fleet(capnp_rpc::new_client::<fleet::Client, _>(fleet));
            Ok(())
        })
    }
}

impl admin::Server for Door {
    async fn forget(
        self: Rc<Self>,
        params: admin::ForgetParams,
        mut results: admin::ForgetResults,
    ) -> Result<(), Error> {
        let forgotten = answer(self.remove(params.get()?).await)?;
        outcome::write_nothing(results.get().init_outcome(), forgotten)
    }

    async fn reissue(
        self: Rc<Self>,
        params: admin::ReissueParams,
        mut results: admin::ReissueResults,
    ) -> Result<(), Error> {
        let reissued = answer(self.replace(params.get()?).await)?;
        outcome::write(results.get().init_outcome(), reissued, |mut reissued, file| {
            reissued.set_file(file.to_string_lossy());
            Ok(())
        })
    }
}

impl Door {
    async fn remove(&self, params: admin::forget_params::Reader<'_>) -> Result<(), NoAnswer> {
        let tracker = &self.tracker;
        tracker.check(&self.grant)?;
        let machine = MachineId {
            location: wire::parse(params.get_location()?)?,
            machine: wire::parse(params.get_machine()?)?,
        };
        let forgotten = tracker.catalogue.borrow_mut().forget(&machine);
        let (session, changes) =
            forgotten.map_err(|error| failures::no_such_machine(&machine, &error))?;
        if let Some(epoch) = session {
            tracker.drop_line(epoch);
        }
        let saved = tracker.save(changes).await;
        saved.map_err(|NotSaved| failures::not_saved("forget", &machine))?;
        tracing::info!(%machine, "forgotten");
        Ok(())
    }

    async fn replace(
        &self,
        params: admin::reissue_params::Reader<'_>,
    ) -> Result<PathBuf, NoAnswer> {
        self.tracker.check(&self.grant)?;
        let name = params.get_name()?.to_str()?;
        let role = name.parse().map_err(|error| failures::illegal("reissue", name, error))?;
        Ok(self.tracker.reissue(&role).await?)
    }
}
