//! `UpdateSink`: one pool's content arrives here, in parts. Dropped before its end it changes nothing.

use std::rc::Rc;

use capnp::Error;
use schema::location_capnp::{UpdateKind, update_sink};
use schema::{outcome, wire};
use zfs::PoolName;

use super::answer::{NoAnswer, answer};
use super::session::Session;
use crate::clock::now;
use crate::failures;
use crate::updates::Gathering;

/// Gathers one update.
pub(crate) struct UpdateSink {
    /// Keeps the session: an agent may drop its own hold on it only to leave.
    session: Rc<Session>,
    pool: PoolName,
    kind: UpdateKind,
    gathering: Rc<Gathering>,
}

impl UpdateSink {
    /// Begins an update, and voids an earlier one for this pool.
    ///
    /// # Errors
    /// The session is over, or doesn't answer for the pool.
    pub(crate) fn begin(
        session: Rc<Session>,
        pool: PoolName,
        kind: UpdateKind,
    ) -> Result<Self, Error> {
        session.check(&pool)?;
        let gathering = session.line.updates.begin(&pool);
        Ok(Self { session, pool, kind, gathering })
    }

    async fn take(&self) -> Result<(), NoAnswer> {
        self.session.check(&self.pool)?;
        let update = self.gathering.end(&self.pool)??.into_update(self.kind);
        let line = &self.session.line;
        let catalogue = &self.session.tracker.catalogue;
        let changes = catalogue.borrow_mut().update(line.epoch, &self.pool, update, now());
        let changes = changes.map_err(|error| failures::session(&error))?;
        self.session.tracker.catch_up(line, &self.pool);
        let count = changes.len();
        tracing::debug!(machine = %line.machine, pool = %self.pool, changes = count, "update");
        Ok(self.session.save(changes).await?)
    }
}

impl update_sink::Server for UpdateSink {
    async fn write(self: Rc<Self>, params: update_sink::WriteParams) -> Result<(), Error> {
        self.session.line.heard();
        let params = params.get()?;
        for dataset in params.get_datasets()? {
            self.gathering.add(wire::read_dataset(dataset)?)?;
        }
        for name in params.get_removed()? {
            self.gathering.remove(wire::parse(name?)?)?;
        }
        Ok(())
    }

    async fn end(
        self: Rc<Self>,
        _: update_sink::EndParams,
        mut results: update_sink::EndResults,
    ) -> Result<(), Error> {
        self.session.line.heard();
        let taken = answer(self.take().await)?;
        outcome::write_nothing(results.get().init_outcome(), taken)
    }
}
