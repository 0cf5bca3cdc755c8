//! `UpdateSink`: one pool's content arrives here, in parts. Dropped before its end it changes nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use capnp::Error;
use catalogue::{Content, Update};
use schema::location_capnp::{UpdateKind, update_sink};
use schema::{outcome, wire};
use zfs::{DatasetPath, PoolName, Properties, Snapshot};

use super::session::Session;
use crate::clock::now;
use crate::failures;

/// Gathers one update.
pub(crate) struct UpdateSink {
    /// Keeps the session: an agent may drop its own hold on it only to leave.
    session: Rc<Session>,
    pool: PoolName,
    kind: UpdateKind,
    gathered: RefCell<Gathered>,
    ended: Cell<bool>,
}

#[derive(Default)]
struct Gathered {
    datasets: BTreeMap<DatasetPath, (Properties, Vec<Snapshot>, Vec<Snapshot>)>,
    removed: Vec<DatasetPath>,
}

impl UpdateSink {
    pub(crate) fn new(session: Rc<Session>, pool: PoolName, kind: UpdateKind) -> Self {
        Self { session, pool, kind, gathered: RefCell::default(), ended: Cell::new(false) }
    }
}

impl Gathered {
    fn add(&mut self, part: wire::DatasetPart) -> Result<(), Error> {
        let wire::DatasetPart { name, properties, snapshots, bookmarks } = part;
        match properties {
            Some(properties) => {
                self.datasets.insert(name, (properties, snapshots, bookmarks));
            }
            None => {
                let begun = self.datasets.get_mut(&name).ok_or_else(|| {
                    Error::failed(format!("a part of '{name}', which was not begun"))
                })?;
                begun.1.extend(snapshots);
                begun.2.extend(bookmarks);
            }
        }
        Ok(())
    }

    fn into_update(self, kind: UpdateKind) -> Update {
        let content = |(name, (properties, snapshots, bookmarks)): (_, (_, Vec<_>, Vec<_>))| {
            (name, Content { properties, snapshots: snapshots.into(), bookmarks: bookmarks.into() })
        };
        let datasets = self.datasets.into_iter().map(content).collect();
        match kind {
            UpdateKind::Replace => Update::Replace(datasets),
            UpdateKind::Change => Update::Change { changed: datasets, removed: self.removed },
        }
    }
}

impl update_sink::Server for UpdateSink {
    async fn write(self: Rc<Self>, params: update_sink::WriteParams) -> Result<(), Error> {
        self.session.line.heard();
        let params = params.get()?;
        let mut gathered = self.gathered.borrow_mut();
        for dataset in params.get_datasets()? {
            gathered.add(wire::read_dataset(dataset)?)?;
        }
        for name in params.get_removed()? {
            gathered.removed.push(wire::parse(name?)?);
        }
        Ok(())
    }

    async fn end(
        self: Rc<Self>,
        _: update_sink::EndParams,
        mut results: update_sink::EndResults,
    ) -> Result<(), Error> {
        if self.ended.replace(true) {
            return Err(Error::failed("the update has ended already".to_owned()));
        }
        let line = &self.session.line;
        line.heard();
        let gathered = self.gathered.take();
        let datasets = gathered.datasets.len();
        let update = gathered.into_update(self.kind);
        let catalogue = &self.session.tracker.catalogue;
        let changes = catalogue.borrow_mut().update(line.epoch, &self.pool, update, now());
        let changes = changes.map_err(|error| failures::session(&error))?;
        tracing::debug!(
            machine = %line.machine, pool = %self.pool, datasets, changes = changes.len(), "update"
        );
        self.session.save(changes).await?;
        outcome::write_nothing(results.get().init_outcome(), Ok(()))
    }
}
