//! The updates that a machine is telling: what each has gathered, until it counts.
//!
//! There is one for each pool. What it has gathered is let go with it, with the next one for its
//! pool, or with the machine's session. This module never touches the catalogue.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::{Rc, Weak};

use capnp::Error;
use catalogue::{Content, Update};
use schema::Failure;
use schema::location_capnp::UpdateKind;
use schema::wire::DatasetPart;
use zfs::{DatasetPath, PoolName, Properties, Snapshot};

use crate::failures;

/// So many datasets, snapshots and bookmarks may an update hold, some hundred bytes each.
const MOST: usize = 4_000_000;

/// A machine's open updates.
#[derive(Default)]
pub(crate) struct Updates(RefCell<HashMap<PoolName, Weak<Gathering>>>);

impl Updates {
    /// Begins a pool's update, and voids the one before.
    pub(crate) fn begin(&self, pool: &PoolName) -> Rc<Gathering> {
        let begun = Rc::new(Gathering::new(MOST));
        let before = self.0.borrow_mut().insert(pool.clone(), Rc::downgrade(&begun));
        if let Some(before) = before.and_then(|before| before.upgrade()) {
            before.void();
        }
        begun
    }

    /// Voids them all.
    pub(crate) fn void(&self) {
        self.0.take().into_values().filter_map(|open| open.upgrade()).for_each(|open| open.void());
    }
}

/// What an update has told so far.
pub(crate) struct Gathering {
    state: RefCell<State>,
    most: usize,
}

enum State {
    Open(Gathered),
    TooLarge,
    /// Taken or voided.
    Over,
}

#[derive(Default)]
pub(crate) struct Gathered {
    datasets: BTreeMap<DatasetPath, (Properties, Vec<Snapshot>, Vec<Snapshot>)>,
    removed: Vec<DatasetPath>,
    entries: usize,
}

impl Gathering {
    fn new(most: usize) -> Self {
        Self { state: RefCell::new(State::Open(Gathered::default())), most }
    }

    fn void(&self) {
        self.state.replace(State::Over);
    }

    /// Takes in a dataset, or a further part of one.
    ///
    /// # Errors
    /// The part has no beginning, or the update is over.
    pub(crate) fn add(&self, part: DatasetPart) -> Result<(), Error> {
        let entries = 1 + part.snapshots.len() + part.bookmarks.len();
        self.gather(entries, |gathered| gathered.add(part))
    }

    /// Takes in that a dataset is gone.
    ///
    /// # Errors
    /// The update is over.
    pub(crate) fn remove(&self, name: DatasetPath) -> Result<(), Error> {
        self.gather(1, |gathered| {
            gathered.removed.push(name);
            Ok(())
        })
    }

    /// A stream of parts is not answered: that they are too many is told at its end.
    fn gather(
        &self,
        entries: usize,
        gather: impl FnOnce(&mut Gathered) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut state = self.state.borrow_mut();
        match &mut *state {
            State::Open(gathered) if gathered.entries + entries > self.most => {
                *state = State::TooLarge;
                Ok(())
            }
            State::Open(gathered) => {
                gathered.entries += entries;
                gather(gathered)
            }
            State::TooLarge => Ok(()),
            State::Over => Err(over()),
        }
    }

    /// Takes all of it, once; a failure if it was too much.
    ///
    /// # Errors
    /// The update is over.
    pub(crate) fn end(&self, pool: &PoolName) -> Result<Result<Gathered, Failure>, Error> {
        match self.state.replace(State::Over) {
            State::Open(gathered) => Ok(Ok(gathered)),
            State::TooLarge => Ok(Err(failures::too_large(pool, self.most))),
            State::Over => Err(over()),
        }
    }
}

fn over() -> Error {
    Error::failed("the update has ended, or another of its pool has begun".to_owned())
}

impl Gathered {
    fn add(&mut self, part: DatasetPart) -> Result<(), Error> {
        let DatasetPart { name, properties, snapshots, bookmarks } = part;
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

    pub(crate) fn into_update(self, kind: UpdateKind) -> Update {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> PoolName {
        "tank".parse().unwrap()
    }

    fn removed(gathering: &Gathering) -> Result<(), Error> {
        gathering.remove("a".parse().unwrap())
    }

    #[test]
    fn an_update_that_is_too_large_is_let_go_and_fails_at_its_end() {
        let gathering = Gathering::new(2);
        for _ in 0..4 {
            removed(&gathering).unwrap();
        }
        assert!(matches!(*gathering.state.borrow(), State::TooLarge), "it is kept");
        let failure = gathering.end(&pool()).unwrap().err().unwrap();
        assert!(failure.to_string().contains("more than 2 datasets"), "{failure}");
        assert!(failure.remedy.contains("snapshots and bookmarks"), "{failure}");

        let gathering = Gathering::new(2);
        removed(&gathering).unwrap();
        removed(&gathering).unwrap();
        assert_eq!(gathering.end(&pool()).unwrap().ok().unwrap().removed.len(), 2);
    }

    #[test]
    fn what_was_gathered_is_let_go_with_the_session() {
        let updates = Updates::default();
        let gathering = updates.begin(&pool());
        removed(&gathering).unwrap();
        updates.void();
        assert!(matches!(*gathering.state.borrow(), State::Over), "it is kept");
        assert!(removed(&gathering).is_err());
        assert!(gathering.end(&pool()).is_err());
    }
}
