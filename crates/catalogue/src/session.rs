//! What connected machines tell: registration, contents, heartbeats, and their leaving.

use std::collections::BTreeSet;
use std::sync::Arc;

use schema::Place;
use zfs::{DatasetPath, PoolName};

use crate::change::{Change, Content, MachineRecord, PoolRecord};
use crate::model::{Catalogue, Identity, MachineId, MachineState};

/// A connected machine's last-seen times are renewed when they are older than this many seconds,
/// so that heartbeats don't keep the disk busy.
const RENEWAL: i64 = 60;

/// Tells a machine's present session from those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

/// A machine was registered.
#[derive(Debug)]
pub struct Registered {
    /// Its session.
    pub epoch: Epoch,
    /// The session that this one replaces, whose words count no more.
    pub replaced: Option<Epoch>,
    /// What is to be written.
    pub changes: Vec<Change>,
}

/// A machine's name belongs to another identity.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name belongs to another agent, which has another key")]
pub struct NameTaken {
    /// Whose name it is.
    pub owner: Identity,
}

/// Why a session's word doesn't count.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// It was replaced, its machine was forgotten, or it has ended.
    #[error("another connection has replaced this session, or its machine was forgotten")]
    Over,
    /// The pool was not announced when the machine registered.
    #[error("the pool '{0}' was not announced at registration")]
    UnknownPool(PoolName),
}

/// There is no such machine.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no machine of that name has ever registered there")]
pub struct NoSuchMachine;

/// What has become of a pool's content.
#[derive(Debug)]
pub enum Update {
    /// These datasets are all that it holds.
    Replace(Vec<(DatasetPath, Content)>),
    /// Some are new or changed, some are gone; the others stay.
    Change {
        /// New or changed.
        changed: Vec<(DatasetPath, Content)>,
        /// Gone.
        removed: Vec<DatasetPath>,
    },
}

impl Catalogue {
    /// Registers a machine, with all pools that it answers for, under its agent's identity.
    ///
    /// The same identity replaces its earlier session. A pool that is no longer announced is
    /// removed; the others keep their content, unavailable until the machine says otherwise.
    ///
    /// # Errors
    /// The name belongs to another identity.
    pub fn register(
        &mut self,
        id: &MachineId,
        identity: Identity,
        pools: &BTreeSet<PoolName>,
        now: i64,
    ) -> Result<Registered, NameTaken> {
        let (id, replaced) = match self.machines.get_key_value(id) {
            Some((_, machine)) if machine.record.identity != identity => {
                return Err(NameTaken { owner: machine.record.identity });
            }
            Some((id, machine)) => (Arc::clone(id), machine.session),
            None => (Arc::new(id.clone()), None),
        };
        let mut changes =
            vec![Change::Machine(Arc::clone(&id), MachineRecord { identity, last_seen: now })];
        if let Some(replaced) = replaced {
            changes.extend(self.disconnect(replaced, now));
        }
        let gone = self.pools_of(&id).filter(|(place, _)| !pools.contains(&place.pool));
        changes.extend(gone.map(|(place, _)| Change::PoolGone(Arc::clone(place))));
        let new =
            pools.iter().map(|pool| id.place(pool)).filter(|place| !self.pools.contains_key(place));
        changes
            .extend(new.map(|place| Change::Pool(Arc::new(place), PoolRecord { last_seen: None })));
        self.apply_all(&changes);

        self.last_epoch += 1;
        let epoch = Epoch(self.last_epoch);
        self.sessions.insert(epoch, Arc::clone(&id));
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.session = Some(epoch);
        }
        Ok(Registered { epoch, replaced, changes })
    }

    /// Whether the word of this session about this pool counts.
    ///
    /// # Errors
    /// It doesn't.
    pub fn check_pool(&self, epoch: Epoch, pool: &PoolName) -> Result<(), SessionError> {
        self.place_in(epoch, pool).map(drop)
    }

    /// Notes whether a pool is imported. What it holds stays as it is.
    ///
    /// # Errors
    /// The session's word doesn't count.
    pub fn set_pool_state(
        &mut self,
        epoch: Epoch,
        pool: &PoolName,
        online: bool,
        now: i64,
    ) -> Result<Vec<Change>, SessionError> {
        let place = self.place_in(epoch, pool)?;
        let Some(state) = self.pools.get_mut(&place) else { return Ok(Vec::new()) };
        let was_online = std::mem::replace(&mut state.online, online);
        let seen = online || was_online;
        let changes: Vec<_> = seen.then(|| seen_at(&place, now)).into_iter().collect();
        self.apply_all(&changes);
        Ok(changes)
    }

    /// Replaces or changes one pool's content. A pool that was listed is imported, so it is online.
    ///
    /// # Errors
    /// The session's word doesn't count.
    pub fn update(
        &mut self,
        epoch: Epoch,
        pool: &PoolName,
        update: Update,
        now: i64,
    ) -> Result<Vec<Change>, SessionError> {
        let place = self.place_in(epoch, pool)?;
        let mut changes = self.set_pool_state(epoch, pool, true, now)?;
        let (changed, removed) = match update {
            Update::Change { changed, removed } => (changed, removed),
            Update::Replace(all) => {
                let named: BTreeSet<&DatasetPath> = all.iter().map(|(name, _)| name).collect();
                let held = self.pools.get(&place).into_iter().flat_map(|pool| &pool.datasets);
                let gone = held.filter(|name| !named.contains(&***name));
                let gone = gone.map(|name| (**name).clone()).collect();
                (all, gone)
            }
        };
        let held = |name: &DatasetPath| self.replica(&place, name).map(|content| &**content);
        let gone = removed.into_iter().filter(|name| held(name).is_some());
        let mut steps: Vec<_> =
            gone.map(|name| Change::DatasetGone(Arc::clone(&place), Arc::new(name))).collect();
        let new = changed.into_iter().filter(|(name, content)| held(name) != Some(content));
        steps.extend(new.map(|(name, content)| {
            Change::Dataset(Arc::clone(&place), Arc::new(name), Arc::new(content))
        }));
        self.apply_all(&steps);
        changes.extend(steps);
        Ok(changes)
    }

    /// Notes that a machine is alive. Most heartbeats change nothing that is to be written.
    ///
    /// # Errors
    /// The session's word doesn't count.
    pub fn heartbeat(&mut self, epoch: Epoch, now: i64) -> Result<Vec<Change>, SessionError> {
        let (id, machine) = self.machine_in(epoch)?;
        if now.saturating_sub(machine.record.last_seen) < RENEWAL {
            return Ok(Vec::new());
        }
        let changes = self.seen(&id, now);
        self.apply_all(&changes);
        Ok(changes)
    }

    /// Makes a session's machine offline, last seen at `seen`. Nothing happens if it is over.
    pub fn disconnect(&mut self, epoch: Epoch, seen: i64) -> Vec<Change> {
        let Some(id) = self.sessions.remove(&epoch) else { return Vec::new() };
        let changes = self.seen(&id, seen);
        self.apply_all(&changes);
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.session = None;
        }
        let places: Vec<_> = self.pools_of(&id).map(|(place, _)| Arc::clone(place)).collect();
        for place in places {
            if let Some(pool) = self.pools.get_mut(&place) {
                pool.online = false;
            }
        }
        changes
    }

    /// Removes a machine and all that it held, and frees its name. Returns its session, if it is
    /// connected: that is over.
    ///
    /// # Errors
    /// There is no such machine.
    pub fn forget(
        &mut self,
        id: &MachineId,
    ) -> Result<(Option<Epoch>, Vec<Change>), NoSuchMachine> {
        let (id, machine) = self.machines.get_key_value(id).ok_or(NoSuchMachine)?;
        let (id, session) = (Arc::clone(id), machine.session);
        let pools = self.pools_of(&id).map(|(place, _)| Change::PoolGone(Arc::clone(place)));
        let mut changes: Vec<_> = pools.collect();
        changes.push(Change::MachineGone(id));
        self.apply_all(&changes);
        if let Some(epoch) = session {
            self.sessions.remove(&epoch);
        }
        Ok((session, changes))
    }

    fn machine_in(&self, epoch: Epoch) -> Result<(Arc<MachineId>, &MachineState), SessionError> {
        let id = self.sessions.get(&epoch).ok_or(SessionError::Over)?;
        let machine = self.machines.get(id).ok_or(SessionError::Over)?;
        Ok((Arc::clone(id), machine))
    }

    fn place_in(&self, epoch: Epoch, pool: &PoolName) -> Result<Arc<Place>, SessionError> {
        let (id, _) = self.machine_in(epoch)?;
        let known = self.pools_of(&id).find(|(place, _)| place.pool == *pool);
        known
            .map(|(place, _)| Arc::clone(place))
            .ok_or_else(|| SessionError::UnknownPool(pool.clone()))
    }

    /// A machine and its imported pools were there at `now`.
    fn seen(&self, id: &Arc<MachineId>, now: i64) -> Vec<Change> {
        let machine = self.machines.get(id).map(|machine| {
            let record = MachineRecord { last_seen: now, ..machine.record.clone() };
            Change::Machine(Arc::clone(id), record)
        });
        let online = self.pools_of(id).filter(|(_, pool)| pool.online);
        machine.into_iter().chain(online.map(|(place, _)| seen_at(place, now))).collect()
    }
}

fn seen_at(place: &Arc<Place>, now: i64) -> Change {
    Change::Pool(Arc::clone(place), PoolRecord { last_seen: Some(now) })
}

#[cfg(test)]
mod tests;
