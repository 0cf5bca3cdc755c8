//! Pools, datasets and snapshots, listed.

use super::Zfs;
use super::command::each_line;
use super::error::{ListError, OperationError};
use crate::dataset::Dataset;
use crate::listing::{DATASET_COLUMNS, Listing, SNAPSHOT_COLUMNS};
use crate::names::{DatasetName, PoolName};
use crate::pool::{POOL_COLUMNS, Pool};

/// How much below a dataset is listed with it.
#[derive(Clone, Copy)]
enum Depth {
    Alone,
    Everything,
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
        // A dataset's snapshots are one level below it.
        let (for_datasets, for_snapshots) = match depth {
            Depth::Alone => (["-d", "0"].as_slice(), ["-d", "1"].as_slice()),
            Depth::Everything => (["-r"].as_slice(), ["-r"].as_slice()),
        };
        let subject = dataset.to_string();
        let command = |types, columns: &[&str], depth: &[&str]| {
            let columns = columns.join(",");
            let head = ["list", "-Hp", "-t", types, "-o", &columns];
            self.zfs(&[&head, depth, &[&subject]].concat())
        };
        let datasets = command("filesystem,volume", &DATASET_COLUMNS, for_datasets);
        let snapshots = command("snapshot,bookmark", &SNAPSHOT_COLUMNS, for_snapshots);
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
