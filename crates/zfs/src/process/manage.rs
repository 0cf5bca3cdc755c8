//! Small commands on one dataset or snapshot. Three destroy something: aborting a partial receive,
//! rolling back, and destroying the snapshots that are in the way of that.

use super::Zfs;
use super::command::run;
use super::error::{
    AbortError, BookmarkError, CreateError, DestroyError, OperationError, RollbackError,
    SnapshotError,
};
use crate::names::{BookmarkName, DatasetName, SnapshotLabel, SnapshotName};

impl Zfs {
    /// Takes a snapshot.
    pub async fn take_snapshot(&self, snapshot: &SnapshotName) -> Result<(), SnapshotError> {
        let subject = snapshot.to_string();
        let taken = run(self.zfs(&["snapshot", &subject])).await;
        taken.map_err(|error| SnapshotError::new(subject, error))
    }

    /// Makes a bookmark of a snapshot, on the snapshot's own dataset. `false` if there is one of
    /// this name already: of this snapshot only if its GUID says so.
    pub async fn bookmark(
        &self,
        snapshot: &SnapshotName,
        bookmark: &BookmarkName,
    ) -> Result<bool, BookmarkError> {
        let subject = snapshot.to_string();
        let made = run(self.zfs(&["bookmark", &subject, &bookmark.to_string()])).await;
        match made.map_err(|error| BookmarkError::new(subject, error)) {
            Err(error) if error.is_there_already() => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Destroys these snapshots of a dataset: all of them, or none where one is held or has a clone.
    pub async fn destroy_snapshots(
        &self,
        dataset: &DatasetName,
        labels: &[&SnapshotLabel],
    ) -> Result<(), DestroyError> {
        let labels: Vec<&str> = labels.iter().map(|label| label.as_str()).collect();
        let subject = format!("{dataset}@{}", labels.join(","));
        let destroyed = run(self.zfs(&["destroy", &subject])).await;
        destroyed.map_err(|error| DestroyError::new(subject, error))
    }

    /// Destroys a bookmark.
    pub async fn destroy_bookmark(&self, bookmark: &BookmarkName) -> Result<(), DestroyError> {
        let subject = bookmark.to_string();
        let destroyed = run(self.zfs(&["destroy", &subject])).await;
        destroyed.map_err(|error| DestroyError::new(subject, error))
    }

    /// Brings a dataset back to its newest snapshot: destroys what was written since. ZFS refuses
    /// where a snapshot or bookmark is newer (with `-r` it would destroy those too, and stop half
    /// way at one that is held).
    pub async fn rollback(&self, snapshot: &SnapshotName) -> Result<(), RollbackError> {
        let subject = snapshot.to_string();
        let rolled_back = run(self.zfs(&["rollback", &subject])).await;
        rolled_back.map_err(|error| RollbackError::new(subject, error))
    }

    /// Makes an empty filesystem that is never mounted, to hold others; its parent must exist.
    /// `false` if it was there already.
    pub async fn create_parent(&self, dataset: &DatasetName) -> Result<bool, CreateError> {
        let subject = dataset.to_string();
        let created = run(self.zfs(&["create", "-u", "-o", "canmount=off", &subject])).await;
        match created.map_err(|error| CreateError::new(subject, error)) {
            Err(error) if error.is_there_already() => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Throws away what an interrupted receive has left; the whole dataset if it was its first.
    pub async fn abort_receive(&self, dataset: &DatasetName) -> Result<(), AbortError> {
        let subject = dataset.to_string();
        let aborted = run(self.zfs(&["receive", "-A", &subject])).await;
        aborted.map_err(|error| AbortError::new(subject, error))
    }
}
