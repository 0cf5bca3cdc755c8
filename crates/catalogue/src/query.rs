//! Listings: which dataset is where.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use schema::{Location, Place, Replica};
use zfs::{DatasetPath, Guid, NameError};

use crate::model::{Catalogue, Held};

/// Which replicas to list.
#[derive(Debug)]
pub struct Query {
    names: Names,
    location: Option<Location>,
}

#[derive(Debug)]
enum Names {
    All,
    One(DatasetPath),
    Matching(GlobMatcher),
}

/// A text that is no pattern over dataset names.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Without wildcards it is a name, and names have rules.
    #[error(transparent)]
    Name(#[from] NameError),
    /// With wildcards it must be a whole glob.
    #[error("{0}")]
    Glob(#[from] globset::Error),
}

impl Query {
    /// Everything.
    pub fn all() -> Self {
        Self { names: Names::All, location: None }
    }

    /// What fits `pattern`: a dataset's name, or a glob (`*`, `?`, `[a-z]`, `{a,b}`) in which `*`
    /// matches `/` too; empty: all. With `location`, only what is there.
    ///
    /// # Errors
    /// The pattern is neither a legal name nor a glob.
    pub fn new(pattern: &str, location: Option<Location>) -> Result<Self, PatternError> {
        let names = if pattern.is_empty() {
            Names::All
        } else if pattern.contains(['*', '?', '[', '{', '\\']) {
            Names::Matching(GlobBuilder::new(pattern).build()?.compile_matcher())
        } else {
            Names::One(pattern.parse()?)
        };
        Ok(Self { names, location })
    }

    fn takes_name(&self, name: &DatasetPath) -> bool {
        match &self.names {
            Names::All => true,
            Names::One(one) => one == name,
            Names::Matching(glob) => glob.is_match(name.as_str()),
        }
    }

    fn takes_place(&self, place: &Place) -> bool {
        self.location.as_ref().is_none_or(|location| *location == place.location)
    }
}

impl Catalogue {
    /// The replicas that fit a query, by name and place, without their snapshots; those behind
    /// `after` only, so that a long list can be taken in pages while the catalogue changes.
    pub fn list<'a>(
        &'a self,
        query: &'a Query,
        after: Option<(&'a DatasetPath, &'a Place)>,
        now: i64,
    ) -> impl Iterator<Item = Replica> + 'a {
        let first = match (after, &query.names) {
            (Some((name, _)), _) | (None, Names::One(name)) => Bound::Included(name),
            (None, Names::All | Names::Matching(_)) => Bound::Unbounded,
        };
        let last = match &query.names {
            // What comes after the name can't come before it, so this range is never upside down.
            Names::One(name) if after.is_none_or(|(after, _)| after <= name) => {
                Bound::Included(name)
            }
            _ => Bound::Unbounded,
        };
        self.datasets
            .range::<DatasetPath, _>((first, last))
            .filter(|(name, _)| query.takes_name(name))
            .flat_map(|(name, replicas)| replicas.iter().map(move |held| (name, held)))
            .filter(move |(name, held)| {
                query.takes_place(&held.place)
                    && after.is_none_or(|after| (&***name, &*held.place) > after)
            })
            .map(move |(name, held)| self.describe(name, held, now))
    }

    /// Every replica of a dataset, with its snapshots: those of its name, by place; behind them, by
    /// place and name, those of other names that share the GUID of a snapshot or bookmark with one
    /// of the former.
    pub fn replicas(&self, name: &DatasetPath, now: i64) -> Vec<Replica> {
        let Some((name, namesakes)) = self.datasets.get_key_value(name) else { return Vec::new() };
        let guids: HashSet<Guid> = namesakes.iter().flat_map(|held| held.content.guids()).collect();
        let names: BTreeSet<_> = guids.iter().flat_map(|guid| self.lineage.names(*guid)).collect();
        let others = names.into_iter().filter(|other| *other != name);
        let others = others.filter_map(|other| self.datasets.get_key_value(other));
        // Of those that share a name some may be unrelated.
        let mut relatives: Vec<_> = others
            .flat_map(|(name, replicas)| replicas.iter().map(move |held| (name, held)))
            .filter(|(_, held)| held.content.guids().any(|guid| guids.contains(&guid)))
            .collect();
        relatives.sort_by_key(|(name, held)| (&held.place, *name));
        let whole = |(name, held): (_, &Held)| Replica {
            snapshots: held.content.snapshots.to_vec(),
            bookmarks: held.content.bookmarks.to_vec(),
            ..self.describe(name, held, now)
        };
        namesakes.iter().map(|held| (name, held)).chain(relatives).map(whole).collect()
    }

    /// A replica without its snapshots, and without how many streams its machine sends.
    fn describe(&self, name: &Arc<DatasetPath>, held: &Held, now: i64) -> Replica {
        let pool = self.pools.get(&held.place);
        let online = pool.is_some_and(|pool| pool.online);
        let last_seen = pool.and_then(|pool| pool.last_seen).unwrap_or_default();
        Replica {
            place: (*held.place).clone(),
            online,
            last_seen: if online { now } else { last_seen },
            name: (**name).clone(),
            properties: held.content.properties.clone(),
            snapshots: Vec::new(),
            bookmarks: Vec::new(),
            snapshot_count: u32::try_from(held.content.snapshots.len()).unwrap_or(u32::MAX),
            newest: held.content.snapshots.last().cloned(),
            sending: 0,
        }
    }
}

#[cfg(test)]
mod tests;
