//! Holds: put on snapshots, released, and found again.

use std::collections::BTreeMap;

use super::Zfs;
use super::command::{each_line, run, text};
use super::error::{HoldError, HoldsError, OperationError, ReleaseError};
use super::list::Depth;
use crate::dataset::Guid;
use crate::hold::{self, Hold, HoldTag};
use crate::listing::is_internal;
use crate::names::{DatasetName, SnapshotName};
use crate::output::{UnexpectedLine, fields};
use crate::reason::Reason;

/// Snapshots whose holds are asked for by one command: a fraction of what arguments may take.
const BATCH: usize = 100;

impl Zfs {
    /// Keeps a snapshot from being destroyed. `false` if it is held by this tag already.
    pub async fn hold(&self, snapshot: &SnapshotName, tag: &HoldTag) -> Result<bool, HoldError> {
        let subject = snapshot.to_string();
        let held = run(self.zfs(&["hold", tag.as_str(), &subject])).await;
        match held.map_err(|error| HoldError::new(subject, error)) {
            Err(error) if error.is_there_already() => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Releases a hold. `false` if the snapshot isn't held by this tag.
    pub async fn release(
        &self,
        snapshot: &SnapshotName,
        tag: &HoldTag,
    ) -> Result<bool, ReleaseError> {
        let subject = snapshot.to_string();
        let released = run(self.zfs(&["release", tag.as_str(), &subject])).await;
        match released.map_err(|error| ReleaseError::new(subject, error)) {
            Err(error) if error.reason() == Some(Reason::NotHeld) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// All holds on a dataset's snapshots, anyone's, each with its snapshot's GUID.
    pub async fn holds(
        &self,
        dataset: &DatasetName,
        depth: Depth,
    ) -> Result<Vec<(Guid, Hold)>, HoldsError> {
        let listed = self.held(dataset, depth).await?;
        let held: Vec<String> = listed.iter().map(|(name, _)| name.to_string()).collect();
        let guids: BTreeMap<SnapshotName, Guid> = listed.into_iter().collect();
        let mut holds = Vec::new();
        for batch in held.chunks(BATCH) {
            match self.holds_of(dataset, batch).await {
                // One of them is gone by now, and ZFS may not have come to the others.
                Err(error) if error.is_not_found() => {
                    for snapshot in batch {
                        match self.holds_of(dataset, std::slice::from_ref(snapshot)).await {
                            Err(error) if error.is_not_found() => {}
                            found => holds.extend(found?),
                        }
                    }
                }
                found => holds.extend(found?),
            }
        }
        let with_guid = |hold: Hold| Some((*guids.get(&hold.snapshot)?, hold));
        Ok(holds.into_iter().filter_map(with_guid).collect())
    }

    /// The snapshots that have holds.
    async fn held(
        &self,
        dataset: &DatasetName,
        depth: Depth,
    ) -> Result<Vec<(SnapshotName, Guid)>, HoldsError> {
        let subject = dataset.to_string();
        let head = ["list", "-Hp", "-t", "snapshot", "-o", "name,guid,userrefs"];
        let command = self.zfs(&[&head, depth.of_snapshots(), &[&subject]].concat());
        let mut held = Vec::new();
        let listed = each_line(command, |line| {
            let [name, guid, references] = fields(line, &["name", "guid", "userrefs"])?;
            let references: u64 = references
                .parse()
                .map_err(|_| UnexpectedLine::new(line, "a number as userrefs"))?;
            if references > 0 && !is_internal(name) {
                let snapshot: SnapshotName = name
                    .parse()
                    .map_err(|error| UnexpectedLine::new(line, format!("a snapshot ({error})")))?;
                let guid = guid.parse();
                let guid = guid.map_err(|_| UnexpectedLine::new(line, "a number as guid"))?;
                held.push((snapshot, guid));
            }
            Ok(())
        });
        listed.await.map_err(|error| HoldsError::new(subject, error))?;
        Ok(held)
    }

    async fn holds_of(
        &self,
        dataset: &DatasetName,
        snapshots: &[String],
    ) -> Result<Vec<Hold>, HoldsError> {
        let head = ["holds".to_owned(), "-Hp".to_owned()];
        let output = text(self.zfs(&[&head, snapshots].concat())).await;
        output
            .and_then(|output| Ok(hold::parse(&output)?))
            .map_err(|error| HoldsError::new(dataset, error))
    }
}
