//! The fleet's model, and the one function that changes it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use schema::{Location, Machine, Place};
use serde::{Deserialize, Serialize};
use zfs::{DatasetPath, PoolName};

use crate::change::{Change, Content, MachineRecord, PoolRecord};
use crate::lineage::Lineage;
use crate::release::Release;
use crate::role::Role;
use crate::session::Epoch;

/// SHA-256 of an agent's public key: tells which agent a machine's name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity(pub [u8; 32]);

/// A machine at a location; as text `location\machine`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineId {
    /// The location.
    pub location: Location,
    /// The machine's name there.
    pub machine: Machine,
}

impl MachineId {
    /// The machine that a place is on.
    pub fn of(place: &Place) -> Self {
        Self { location: place.location.clone(), machine: place.machine.clone() }
    }

    /// The place of a pool of the machine.
    pub fn place(&self, pool: &PoolName) -> Place {
        let Self { location, machine } = self.clone();
        Place { location, machine, pool: pool.clone() }
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\\{}", self.location, self.machine)
    }
}

/// Everything that is known of the fleet.
///
/// Datasets are kept by name, since that is how they are looked for. Names, places and contents
/// are shared, so that a million replicas fit into memory.
#[derive(Debug, Default, PartialEq)]
pub struct Catalogue {
    pub(crate) generations: BTreeMap<Role, u32>,
    pub(crate) machines: BTreeMap<Arc<MachineId>, MachineState>,
    pub(crate) pools: BTreeMap<Arc<Place>, PoolState>,
    pub(crate) datasets: BTreeMap<Arc<DatasetPath>, Vec<Held>>,
    /// Of all that is in `datasets`.
    pub(crate) lineage: Lineage,
    /// What places are to be told, and since when, in Unix seconds.
    pub(crate) owed: BTreeMap<Release, i64>,
    pub(crate) sessions: HashMap<Epoch, Arc<MachineId>>,
    pub(crate) last_epoch: u64,
}

#[derive(Debug, PartialEq)]
pub(crate) struct MachineState {
    pub(crate) record: MachineRecord,
    /// Its session, while it is connected.
    pub(crate) session: Option<Epoch>,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct PoolState {
    pub(crate) last_seen: Option<i64>,
    /// Its machine is connected and says that it is imported.
    pub(crate) online: bool,
    pub(crate) datasets: BTreeSet<Arc<DatasetPath>>,
}

/// One replica, in a vector sorted by place.
#[derive(Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) place: Arc<Place>,
    pub(crate) content: Arc<Content>,
}

impl Catalogue {
    pub(crate) fn apply_all(&mut self, changes: &[Change]) {
        changes.iter().cloned().for_each(|change| self.apply(change));
    }

    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Generation(role, generation) => {
                self.generations.insert(role, generation);
            }
            Change::Machine(id, record) => match self.machines.get_mut(&id) {
                Some(machine) => machine.record = record,
                None => {
                    self.machines.insert(id, MachineState { record, session: None });
                }
            },
            Change::MachineGone(id) => {
                self.machines.remove(&id);
            }
            Change::Pool(place, PoolRecord { last_seen }) => {
                self.pools.entry(place).or_default().last_seen = last_seen;
            }
            Change::PoolGone(place) => {
                let pool = self.pools.remove(&place).unwrap_or_default();
                pool.datasets.iter().for_each(|name| self.remove_replica(&place, name));
                self.owed.retain(|release, _| release.place != place);
            }
            Change::Dataset(place, name, content) => {
                let name = self.add_replica(Arc::clone(&place), name, content);
                self.pools.entry(place).or_default().datasets.insert(name);
            }
            Change::DatasetGone(place, name) => {
                self.remove_replica(&place, &name);
                if let Some(pool) = self.pools.get_mut(&place) {
                    pool.datasets.remove(&name);
                }
            }
            Change::Owed(release, since) => {
                self.owed.insert(release, since);
            }
            Change::Released(release) => {
                self.owed.remove(&release);
            }
        }
    }

    /// Returns the name as the catalogue shares it.
    fn add_replica(
        &mut self,
        place: Arc<Place>,
        name: Arc<DatasetPath>,
        content: Arc<Content>,
    ) -> Arc<DatasetPath> {
        let name = self.datasets.get_key_value(&name).map_or(name, |(known, _)| Arc::clone(known));
        let replicas = self.datasets.entry(Arc::clone(&name)).or_default();
        match replicas.binary_search_by(|held| held.place.cmp(&place)) {
            Ok(index) => {
                let before = std::mem::replace(&mut replicas[index].content, content);
                let content = &replicas[index].content;
                // Sizes change more often than snapshots, of which there can be thousands.
                if !before.guids().eq(content.guids()) {
                    self.lineage.remove(&name, &before);
                    self.lineage.add(&name, content);
                }
            }
            Err(index) => {
                self.lineage.add(&name, &content);
                replicas.insert(index, Held { place, content });
            }
        }
        name
    }

    fn remove_replica(&mut self, place: &Place, name: &DatasetPath) {
        let Some((known, _)) = self.datasets.get_key_value(name) else { return };
        let known = Arc::clone(known);
        let Some(replicas) = self.datasets.get_mut(name) else { return };
        for gone in replicas.extract_if(.., |held| *held.place == *place) {
            self.lineage.remove(&known, &gone.content);
        }
        if replicas.is_empty() {
            self.datasets.remove(name);
        }
    }

    pub(crate) fn replica(&self, place: &Place, name: &DatasetPath) -> Option<&Arc<Content>> {
        let replicas = self.datasets.get(name)?;
        let index = replicas.binary_search_by(|held| (*held.place).cmp(place)).ok()?;
        Some(&replicas[index].content)
    }

    /// All machines that ever registered and were not forgotten, sorted.
    pub fn machines(&self) -> impl Iterator<Item = &MachineId> {
        self.machines.keys().map(Arc::as_ref)
    }

    /// The pools of a machine, sorted.
    pub(crate) fn pools_of(
        &self,
        id: &MachineId,
    ) -> impl Iterator<Item = (&Arc<Place>, &PoolState)> {
        let of_machine =
            |place: &Place| place.location == id.location && place.machine == id.machine;
        self.pools.iter().filter(move |(place, _)| of_machine(place))
    }

    /// The generation of a role's capability; `None` if none was issued.
    pub fn generation(&self, role: &Role) -> Option<u32> {
        self.generations.get(role).copied()
    }

    /// Every role that a capability was ever issued for, with its generation.
    pub fn generations(&self) -> impl Iterator<Item = (&Role, u32)> {
        self.generations.iter().map(|(role, generation)| (role, *generation))
    }

    /// Issues a role's first capability, or the next, which voids all before.
    pub fn issue(&mut self, role: &Role) -> Vec<Change> {
        let generation = self.generation(role).map_or(1, |last| last.saturating_add(1));
        let changes = vec![Change::Generation(role.clone(), generation)];
        self.apply_all(&changes);
        changes
    }
}
