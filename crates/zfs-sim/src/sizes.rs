//! How much everything takes: what the files take now, and what datasets, pools and snapshots add up to.

use std::collections::{HashMap, HashSet};
use std::fs;

use anyhow::Result;

use crate::state::{Dataset, Node, Pool};
use crate::{name, tree};

/// What an empty filesystem and an empty volume take, in bytes.
const EMPTY_FILESYSTEM: u64 = 24_576;
const EMPTY_VOLUME: u64 = 12_288;
/// ZFS keeps a part of each pool to itself.
const SLOP: u64 = 128 << 20;

/// What a dataset takes, in bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Size {
    /// Its own data.
    pub(crate) referenced: u64,
    /// Kept free for it.
    pub(crate) reserved: u64,
    /// All of it and below.
    pub(crate) used: u64,
}

/// What all of a pool's datasets take.
pub(crate) struct Sizes {
    datasets: HashMap<String, Size>,
    /// The IDs of data that isn't empty.
    stored: HashSet<u64>,
    /// Bytes left in the pool.
    pub(crate) available: u64,
}

impl Sizes {
    pub(crate) fn of(pool: &Pool) -> Result<Self> {
        let stored: HashSet<u64> = fs::read_dir(pool.dir().join("data"))?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        let mut datasets: HashMap<String, Size> = HashMap::new();
        for (on, node) in pool.iter() {
            let Node::Dataset(dataset) = node else { continue };
            let content =
                if stored.contains(&dataset.id) { tree::size(&pool.data(dataset.id))? } else { 0 };
            let referenced = content + Self::empty(dataset.volsize.is_some());
            let reserved = reservation(pool, on, dataset, referenced);
            let partial = dataset.receiving.as_ref().filter(|_| !dataset.is_inconsistent());
            let incoming = partial.map_or(0, |receiving| pool.progress(receiving.id).bytes);
            for ancestor in std::iter::successors(Some(on), |on| name::parent(on)) {
                datasets.entry(ancestor.to_owned()).or_default().used +=
                    referenced + reserved + incoming;
            }
            datasets
                .entry(on.to_owned())
                .and_modify(|size| (size.referenced, size.reserved) = (referenced, reserved));
        }
        let used = datasets.get(&pool.name).map_or(0, |size| size.used);
        Ok(Self {
            datasets,
            stored,
            available: pool.size().saturating_sub(SLOP).saturating_sub(used),
        })
    }

    /// None for what is no dataset.
    pub(crate) fn of_dataset(&self, on: &str) -> Option<Size> {
        self.datasets.get(on).copied()
    }

    /// What an empty volume or filesystem takes, in bytes.
    pub(crate) fn empty(is_volume: bool) -> u64 {
        if is_volume { EMPTY_VOLUME } else { EMPTY_FILESYSTEM }
    }

    /// Bytes until a dataset's own `quota`; none without one.
    pub(crate) fn quota_left(&self, pool: &Pool, on: &str) -> Option<u64> {
        let used = self.of_dataset(on).unwrap_or_default().used;
        Some(limit(pool.dataset(on)?, "quota")?.saturating_sub(used))
    }

    /// Bytes that can still be written to a dataset.
    pub(crate) fn available(&self, pool: &Pool, on: &str) -> u64 {
        let size = self.of_dataset(on).unwrap_or_default();
        let own = pool.dataset(on).and_then(|dataset| limit(dataset, "refquota"));
        let above = std::iter::successors(Some(on), |on| name::parent(on));
        above
            .filter_map(|on| self.quota_left(pool, on))
            .chain(own.map(|quota| quota.saturating_sub(size.referenced)))
            .fold(self.available + size.reserved, u64::min)
    }

    /// Bytes that changed since the newest snapshot.
    pub(crate) fn written(&self, pool: &Pool, on: &str, dataset: &Dataset) -> Result<u64> {
        let newest = pool.snapshots(on).pop();
        match newest.and_then(|newest| pool.get(&newest)?.id()) {
            Some(snapshot)
                if !self.stored.contains(&snapshot) && !self.stored.contains(&dataset.id) =>
            {
                Ok(0)
            }
            Some(snapshot) => tree::difference(&pool.data(snapshot), &pool.data(dataset.id)),
            None => Ok(self.of_dataset(on).map_or(0, |size| size.referenced)),
        }
    }
}

/// A quota, if one is set.
fn limit(dataset: &Dataset, property: &str) -> Option<u64> {
    dataset.properties.get(property)?.parse().ok().filter(|bytes| *bytes > 0)
}

/// What a reservation keeps free beside the data: all of it once a snapshot holds that data.
fn reservation(pool: &Pool, on: &str, dataset: &Dataset, referenced: u64) -> u64 {
    let reserved = dataset
        .properties
        .get("refreservation")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0_u64);
    if reserved == 0 || pool.with_prefix(&format!("{on}@")).next().is_some() {
        return reserved;
    }
    reserved.saturating_sub(referenced)
}
