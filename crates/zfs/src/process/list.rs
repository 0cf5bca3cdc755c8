//! Pools, datasets and snapshots, listed.

use std::collections::BTreeSet;

use super::Zfs;
use super::command::each_line;
use super::error::{ListError, OperationError};
use crate::dataset::Dataset;
use crate::listing::{DATASET_COLUMNS, Listing, SNAPSHOT_COLUMNS};
use crate::names::{DatasetName, PoolName};
use crate::pool::{POOL_COLUMNS, Pool, parse_feature};

/// How much below a dataset is listed with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The dataset without those below it.
    Alone,
    /// All of them.
    Everything,
}

impl Depth {
    /// The arguments of a `zfs list` of datasets.
    fn of_datasets(self) -> &'static [&'static str] {
        match self {
            Self::Alone => &["-d", "0"],
            Self::Everything => &["-r"],
        }
    }

    /// The arguments of a `zfs list` of snapshots and bookmarks, one level below their dataset.
    pub(super) fn of_snapshots(self) -> &'static [&'static str] {
        match self {
            Self::Alone => &["-d", "1"],
            Self::Everything => &["-r"],
        }
    }
}

impl Zfs {
    /// All imported pools.
    pub async fn pools(&self) -> Result<Vec<Pool>, ListError> {
        self.list_pools(None).await
    }

    /// One pool, `None` if none of this name is imported.
    pub async fn pool(&self, pool: &PoolName) -> Result<Option<Pool>, ListError> {
        let found = some_if_found(self.list_pools(Some(pool)).await)?;
        Ok(found.and_then(|pools| pools.into_iter().next()))
    }

    async fn list_pools(&self, pool: Option<&PoolName>) -> Result<Vec<Pool>, ListError> {
        let columns = POOL_COLUMNS.join(",");
        let mut arguments = vec!["list", "-Hp", "-o", &columns];
        arguments.extend(pool.map(PoolName::as_str));
        let mut pools = Vec::new();
        each_line(self.zpool(&arguments), |line| {
            pools.push(Pool::parse(line)?);
            Ok(())
        })
        .await
        .map_err(|error| ListError::new(pool.map_or("all pools", PoolName::as_str), error))?;
        Ok(pools)
    }

    /// The names of a pool's features that are enabled or active: `large_blocks`, ...
    pub async fn pool_features(&self, pool: &PoolName) -> Result<BTreeSet<String>, ListError> {
        let command = self.zpool(&["get", "-Hp", "-o", "property,value", "all", pool.as_str()]);
        let mut features = BTreeSet::new();
        each_line(command, |line| {
            features.extend(parse_feature(line).map(str::to_owned));
            Ok(())
        })
        .await
        .map_err(|error| ListError::new(pool, error))?;
        Ok(features)
    }

    /// All datasets of a pool, its root first, with their snapshots and bookmarks.
    ///
    /// Two commands whatever their number: see [`crate::listing`].
    pub async fn datasets(&self, pool: &PoolName) -> Result<Vec<Dataset>, ListError> {
        self.list(&DatasetName::root(pool.clone()), Depth::Everything).await
    }

    /// A dataset and all below it; `None` if there is no such dataset.
    pub async fn subtree(&self, dataset: &DatasetName) -> Result<Option<Vec<Dataset>>, ListError> {
        some_if_found(self.list(dataset, Depth::Everything).await)
    }

    /// A dataset without those below it; `None` if there is no such dataset.
    pub async fn dataset(&self, dataset: &DatasetName) -> Result<Option<Dataset>, ListError> {
        let found = some_if_found(self.list(dataset, Depth::Alone).await)?;
        Ok(found.and_then(|datasets| datasets.into_iter().next()))
    }

    async fn list(&self, dataset: &DatasetName, depth: Depth) -> Result<Vec<Dataset>, ListError> {
        let subject = dataset.to_string();
        let command = |types, columns: &[&str], depth: &[&str]| {
            let columns = columns.join(",");
            let head = ["list", "-Hp", "-t", types, "-o", &columns];
            self.zfs(&[&head, depth, &[&subject]].concat())
        };
        let datasets = command("filesystem,volume", &DATASET_COLUMNS, depth.of_datasets());
        let snapshots = command("snapshot,bookmark", &SNAPSHOT_COLUMNS, depth.of_snapshots());
        let mut listing = Listing::default();
        let listed = async {
            each_line(datasets, |line| listing.dataset_line(line)).await?;
            each_line(snapshots, |line| listing.snapshot_line(line)).await
        };
        listed.await.map_err(|error| ListError::new(&subject, error))?;
        Ok(listing.finish())
    }
}

fn some_if_found<T>(listed: Result<T, ListError>) -> Result<Option<T>, ListError> {
    match listed {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
