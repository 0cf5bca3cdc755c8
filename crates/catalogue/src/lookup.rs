//! Finding the session that answers for a place.

use schema::{Machine, Place};
use zfs::DatasetPath;

use crate::model::{Catalogue, MachineId};
use crate::session::Epoch;

/// So many known places are named to someone who asked for an unknown one.
const SUGGESTIONS: usize = 3;

/// Why nobody answers for a place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No machine ever announced it.
    #[error("no machine has announced such a pool")]
    NoSuchPlace {
        /// The known places whose names are nearest, the nearest first.
        near: Vec<Place>,
    },
    /// Its machine is not connected.
    #[error("the machine '{machine}' is not connected")]
    MachineOffline {
        /// The machine.
        machine: Machine,
        /// Unix time in seconds.
        last_seen: i64,
    },
    /// Its machine is connected, but says that the pool is not imported, or hasn't listed it yet.
    #[error("the machine is connected, but the pool is not available there")]
    PoolUnavailable {
        /// Unix time in seconds; `None`: never.
        last_seen: Option<i64>,
    },
}

impl Catalogue {
    /// The session that answers for a place, which is online.
    ///
    /// # Errors
    /// There is no such place, or it is offline.
    pub fn find_online(&self, place: &Place) -> Result<Epoch, LookupError> {
        let pool = self
            .pools
            .get(place)
            .ok_or_else(|| LookupError::NoSuchPlace { near: self.near(place) })?;
        let machine = self.machines.get(&MachineId::of(place));
        match machine.and_then(|machine| machine.session) {
            Some(epoch) if pool.online => Ok(epoch),
            Some(_) => Err(LookupError::PoolUnavailable { last_seen: pool.last_seen }),
            None => Err(LookupError::MachineOffline {
                machine: place.machine.clone(),
                last_seen: machine.map_or(0, |machine| machine.record.last_seen),
            }),
        }
    }

    /// Whether a dataset of this name is known anywhere.
    pub fn has(&self, name: &DatasetPath) -> bool {
        self.datasets.contains_key(name)
    }

    /// Whether the dataset at a place is a replica of the datasets of a name: it has that name
    /// itself, or shares the GUID of a snapshot or bookmark with one of them.
    pub fn is_replica(&self, place: &Place, dataset: &DatasetPath, name: &DatasetPath) -> bool {
        self.replica(place, dataset).is_some_and(|content| {
            dataset == name
                || content
                    .guids()
                    .any(|guid| self.lineage.names(guid).any(|other| **other == *name))
        })
    }

    /// The known places whose names are nearest.
    fn near(&self, place: &Place) -> Vec<Place> {
        let wanted = place.to_string();
        let mut known: Vec<_> = self
            .pools
            .keys()
            .map(|place| (strsim::damerau_levenshtein(&wanted, &place.to_string()), place))
            .collect();
        known.sort();
        known.into_iter().take(SUGGESTIONS).map(|(_, place)| (**place).clone()).collect()
    }
}
