//! What this machine's pools hold, as far as it is known: the state that the tracker is brought to.
//!
//! Sessions with the tracker come and go; each compares this with what it has sent and sends the
//! difference. So nothing queues up while the tracker is away, and nothing can be lost.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::watch;
use zfs::{Dataset, DatasetPath, PoolName};

/// The datasets of a pool. Unchanged ones keep their `Rc`, so that comparing two states is quick.
pub(crate) type Content = BTreeMap<DatasetPath, Rc<Dataset>>;

/// A pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct PoolState {
    /// It is imported and could be listed.
    pub(crate) online: bool,
    /// What it held when it was last listed; `None` before the first time.
    pub(crate) content: Option<Content>,
}

/// All pools of this agent.
#[derive(Debug)]
pub(crate) struct Inventory {
    pools: RefCell<BTreeMap<PoolName, PoolState>>,
    changed: watch::Sender<()>,
}

impl Inventory {
    /// Of these pools nothing is known yet.
    pub(crate) fn new(pools: impl IntoIterator<Item = PoolName>) -> Rc<Self> {
        let pools = pools.into_iter().map(|pool| (pool, PoolState::default())).collect();
        Rc::new(Self { pools: RefCell::new(pools), changed: watch::Sender::new(()) })
    }

    /// The names of the pools.
    pub(crate) fn names(&self) -> Vec<PoolName> {
        self.pools.borrow().keys().cloned().collect()
    }

    /// The pool's state now.
    pub(crate) fn state(&self, pool: &PoolName) -> Option<PoolState> {
        self.pools.borrow().get(pool).cloned()
    }

    /// Tells of each change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The pool can't be listed. What it held is still known.
    pub(crate) fn set_unavailable(&self, pool: &PoolName) {
        self.update(pool, |state| state.online = false);
    }

    /// The pool holds these datasets and no others.
    pub(crate) fn replace(&self, pool: &PoolName, datasets: Vec<Dataset>) {
        self.update(pool, |state| {
            let old = state.content.take().unwrap_or_default();
            let listed = datasets.into_iter().filter_map(|dataset| {
                let path = announced(&dataset)?;
                Some((path.clone(), keep_if_same(old.get(&path), dataset)))
            });
            state.content = Some(listed.collect());
            state.online = true;
        });
    }

    /// The dataset is now like this, or not there any more, nor anything below it.
    pub(crate) fn set_dataset(&self, pool: &PoolName, path: &DatasetPath, now: Option<Dataset>) {
        self.update(pool, |state| {
            let content = state.content.get_or_insert_default();
            match now {
                Some(dataset) if announced(&dataset).is_some() => {
                    let kept = keep_if_same(content.get(path), dataset);
                    content.insert(path.clone(), kept);
                }
                Some(_) => {
                    content.remove(path);
                }
                None => {
                    let below = format!("{path}/");
                    content.retain(|other, _| other != path && !other.as_str().starts_with(&below));
                }
            }
        });
    }

    fn update(&self, pool: &PoolName, change: impl FnOnce(&mut PoolState)) {
        if let Some(state) = self.pools.borrow_mut().get_mut(pool) {
            change(state);
        }
        self.changed.send_replace(());
    }
}

/// The path under which the tracker is told of a dataset: neither of a pool's root, nor of one
/// whose first receive is unfinished.
fn announced(dataset: &Dataset) -> Option<DatasetPath> {
    dataset.name.path().filter(|_| !dataset.properties.inconsistent).cloned()
}

fn keep_if_same(old: Option<&Rc<Dataset>>, new: Dataset) -> Rc<Dataset> {
    match old {
        Some(old) if **old == new => old.clone(),
        _ => Rc::new(new),
    }
}

/// What was added or changed, and what was removed, from `old` to `new`.
pub(crate) fn difference(old: &Content, new: &Content) -> (Vec<Rc<Dataset>>, Vec<DatasetPath>) {
    let is_same = |path: &DatasetPath, dataset: &Rc<Dataset>| {
        old.get(path).is_some_and(|old| Rc::ptr_eq(old, dataset))
    };
    let changed = new.iter().filter(|(path, dataset)| !is_same(path, dataset));
    let removed = old.keys().filter(|path| !new.contains_key(*path));
    (changed.map(|(_, dataset)| dataset.clone()).collect(), removed.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zfs::{Guid, Kind, Properties};

    fn dataset(name: &str, used: u64) -> Dataset {
        Dataset {
            name: name.parse().unwrap(),
            properties: Properties {
                kind: Kind::Filesystem,
                guid: Guid(1),
                used,
                referenced: 0,
                written: 0,
                encrypted: false,
                origin: None,
                inconsistent: false,
                resume_token: None,
            },
            snapshots: vec![],
            bookmarks: vec![],
        }
    }

    /// The inventory's content after each change, and what a session would send for it.
    fn sent(inventory: &Inventory, before: &mut Content) -> (Vec<String>, Vec<String>) {
        let now = inventory.state(&"tank".parse().unwrap()).unwrap().content.unwrap();
        let (changed, removed) = difference(before, &now);
        *before = now;
        (
            changed.iter().map(|dataset| dataset.name.to_string()).collect(),
            removed.iter().map(ToString::to_string).collect(),
        )
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_what_changed_is_sent() {
        let pool: PoolName = "tank".parse().unwrap();
        let inventory = Inventory::new([pool.clone()]);
        let mut before = Content::new();
        let all = || {
            vec![
                dataset("tank", 0),
                dataset("tank/a", 1),
                dataset("tank/a/b", 1),
                dataset("tank/ab", 1),
            ]
        };
        inventory.replace(&pool, all());
        assert_eq!(
            sent(&inventory, &mut before),
            (texts(&["tank/a", "tank/a/b", "tank/ab"]), vec![])
        );
        inventory.replace(&pool, all());
        assert_eq!(sent(&inventory, &mut before), (vec![], vec![]));
        inventory.set_dataset(&pool, &"ab".parse().unwrap(), Some(dataset("tank/ab", 2)));
        assert_eq!(sent(&inventory, &mut before), (texts(&["tank/ab"]), vec![]));
        inventory.set_dataset(&pool, &"a".parse().unwrap(), None);
        assert_eq!(sent(&inventory, &mut before), (vec![], texts(&["a", "a/b"])));
    }

    #[test]
    fn an_unfinished_first_receive_is_not_announced() {
        let pool: PoolName = "tank".parse().unwrap();
        let inventory = Inventory::new([pool.clone()]);
        let mut partial = dataset("tank/a", 1);
        partial.properties.inconsistent = true;
        inventory.replace(&pool, vec![partial.clone()]);
        assert!(inventory.state(&pool).unwrap().content.unwrap().is_empty());
        inventory.set_dataset(&pool, &"a".parse().unwrap(), Some(partial));
        assert!(inventory.state(&pool).unwrap().content.unwrap().is_empty());
    }

    #[test]
    fn a_pool_that_goes_away_keeps_its_content() {
        let pool: PoolName = "tank".parse().unwrap();
        let inventory = Inventory::new([pool.clone()]);
        inventory.replace(&pool, vec![dataset("tank/a", 1)]);
        inventory.set_unavailable(&pool);
        let state = inventory.state(&pool).unwrap();
        assert!(!state.online);
        assert_eq!(state.content.unwrap().len(), 1);
    }
}
