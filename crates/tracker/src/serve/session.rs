//! `Session`: a registered machine's line to the tracker.

use std::rc::Rc;

use capnp::Error;
use schema::location_capnp::{PoolState, session, update_sink};
use schema::{outcome, wire};
use zfs::PoolName;

use super::update_sink::UpdateSink;
use crate::clock::now;
use crate::failures;
use crate::line::Line;
use crate::tracker::{NotSaved, Tracker};

/// Held by the machine's agent; its end makes the machine offline.
pub(crate) struct Session {
    pub(crate) tracker: Rc<Tracker>,
    pub(crate) line: Rc<Line>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.tracker.end(&self.line, "its session or connection was closed");
    }
}

impl session::Server for Session {
    async fn heartbeat(
        self: Rc<Self>,
        params: session::HeartbeatParams,
        _: session::HeartbeatResults,
    ) -> Result<(), Error> {
        self.line.heard();
        self.line.sending.set(params.get()?.get_sending());
        let changes = self.tracker.catalogue.borrow_mut().heartbeat(self.line.epoch, now());
        self.save(changes.map_err(|error| failures::session(&error))?).await
    }

    async fn pool_state(
        self: Rc<Self>,
        params: session::PoolStateParams,
        _: session::PoolStateResults,
    ) -> Result<(), Error> {
        self.line.heard();
        let params = params.get()?;
        let pool = wire::parse(params.get_pool()?)?;
        let online = match params.get_state()? {
            PoolState::Online => true,
            PoolState::Unavailable => false,
        };
        tracing::debug!(machine = %self.line.machine, %pool, online, "pool state");
        let epoch = self.line.epoch;
        let changes =
            self.tracker.catalogue.borrow_mut().set_pool_state(epoch, &pool, online, now());
        let changes = changes.map_err(|error| failures::session(&error))?;
        if online {
            self.tracker.catch_up(&self.line, &pool);
        }
        self.save(changes).await
    }

    async fn update(
        self: Rc<Self>,
        params: session::UpdateParams,
        mut results: session::UpdateResults,
    ) -> Result<(), Error> {
        self.line.heard();
        let params = params.get()?;
        let pool = wire::parse(params.get_pool()?)?;
        let sink = UpdateSink::begin(self.clone(), pool, params.get_kind()?)?;
        outcome::write(results.get().init_outcome(), Ok(sink), |mut answer, sink| {
            answer.set_sink(capnp_rpc::new_client::<update_sink::Client, _>(sink));
            Ok(())
        })
    }
}

impl Session {
    /// Refuses the word of a session that is over, or about a pool that the machine never announced.
    pub(crate) fn check(&self, pool: &PoolName) -> Result<(), Error> {
        let checked = self.tracker.catalogue.borrow().check_pool(self.line.epoch, pool);
        checked.map_err(|error| failures::session(&error))
    }

    pub(crate) async fn save(&self, changes: Vec<catalogue::Change>) -> Result<(), Error> {
        let saved = self.tracker.save(changes).await;
        saved.map_err(|NotSaved| Error::failed("the tracker cannot write its catalogue".to_owned()))
    }
}
