//! Holds: put on snapshots, released, and found again.

use super::Zfs;
use super::command::{each_line, run, text};
use super::error::{HoldError, HoldsError, OperationError, ReleaseError};
use super::list::Depth;
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

    /// All holds on a dataset's snapshots, anyone's.
    pub async fn holds(
        &self,
        dataset: &DatasetName,
        depth: Depth,
    ) -> Result<Vec<Hold>, HoldsError> {
        let held = self.held(dataset, depth).await?;
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
        Ok(holds)
    }

    /// The snapshots that have holds.
    async fn held(&self, dataset: &DatasetName, depth: Depth) -> Result<Vec<String>, HoldsError> {
        let subject = dataset.to_string();
        let head = ["list", "-Hp", "-t", "snapshot", "-o", "name,userrefs"];
        let command = self.zfs(&[&head, depth.of_snapshots(), &[&subject]].concat());
        let mut held = Vec::new();
        let listed = each_line(command, |line| {
            let [name, references] = fields(line, &["name", "userrefs"])?;
            let references: u64 = references
                .parse()
                .map_err(|_| UnexpectedLine::new(line, "a number as userrefs"))?;
            if references > 0 && !is_internal(name) {
                let snapshot: SnapshotName = name
                    .parse()
                    .map_err(|error| UnexpectedLine::new(line, format!("a snapshot ({error})")))?;
                held.push(snapshot.to_string());
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
