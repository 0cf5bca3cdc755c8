//! What a receiver may ask of a dataset: looked up by GUID each time, in what is there now.

use std::cell::RefCell;
use std::rc::Rc;

use schema::{Code, Failure};
use zfs::process::{Stream, Zfs};
use zfs::{Base, Dataset, DatasetName, Guid, Snapshot, SnapshotName};

use crate::failure::zfs_failure;
use crate::stream_request::{Start, StreamRequest};

/// The one dataset that a source serves.
pub(super) struct Subject {
    pub(super) zfs: Zfs,
    pub(super) name: DatasetName,
    /// As it was listed last.
    pub(super) listed: RefCell<Option<Rc<Dataset>>>,
}

impl Subject {
    /// The dataset as it is now.
    pub(super) async fn dataset(&self) -> Result<Rc<Dataset>, Failure> {
        let dataset = self.zfs.dataset(&self.name).await.map_err(|error| zfs_failure(&error))?;
        let dataset = dataset.map(Rc::new).ok_or_else(|| {
            self.lacks(
                "it is not there any more",
                "See where datasets are with: cli --connect user.cap show",
            )
        })?;
        self.listed.replace(Some(dataset.clone()));
        Ok(dataset)
    }

    /// What `zfs send -n` is to be told. A plan of thousands of streams is priced by one listing,
    /// the one that it was made by; what isn't in it is looked for again.
    pub(super) async fn stream_to_price(&self, request: &StreamRequest) -> Result<Stream, Failure> {
        let listed = self.listed.borrow().clone();
        match listed.and_then(|dataset| self.stream_of(&dataset, request).ok()) {
            Some(stream) => Ok(stream),
            None => self.stream(request).await,
        }
    }

    /// The snapshot's name here and now: most often the one that it goes by elsewhere, too.
    pub(super) async fn snapshot(&self, wanted: &Snapshot) -> Result<SnapshotName, Failure> {
        if let Ok(name) = self.name.at(wanted.label.clone()) {
            let found = self.zfs.snapshot_guid(&name).await;
            if found.map_err(|error| zfs_failure(&error))? == Some(wanted.guid) {
                return Ok(name);
            }
        }
        self.named(find(&self.dataset().await?.snapshots, wanted.guid), wanted)
    }

    /// What `zfs send` is to be told, if the dataset has what the stream is made of and may be sent
    /// so.
    pub(super) async fn stream(&self, request: &StreamRequest) -> Result<Stream, Failure> {
        self.stream_of(&*self.dataset().await?, request)
    }

    fn stream_of(&self, dataset: &Dataset, request: &StreamRequest) -> Result<Stream, Failure> {
        let encrypted = dataset.properties.encrypted;
        let snapshot =
            self.named(find(&dataset.snapshots, request.snapshot.guid), &request.snapshot)?;
        let raw = match &request.start {
            Start::Fresh { flags, .. } => flags.raw,
            Start::Resumed(token) => token.raw,
        };
        if encrypted && !raw && !request.decrypt {
            return Err(self.refuses(
                "it is encrypted, and would be sent in the clear",
                "Encrypted datasets are sent raw, unless --decrypt asks for it.",
            ));
        }
        if raw && !encrypted {
            let reason = "it is not encrypted, and is asked for raw";
            return Err(self.refuses(reason, "Use a source that is encrypted."));
        }
        match &request.start {
            Start::Fresh { base, flags } => {
                let base = base.as_ref().map(|base| self.base(dataset, base.snapshot.guid));
                Ok(Stream::Snapshot { snapshot, base: base.transpose()?, flags: *flags })
            }
            Start::Resumed(token) => {
                if token.to_guid != request.snapshot.guid {
                    let reason = "the resume token is of another snapshot than the one asked for";
                    return Err(self.refuses(reason, "Run the command again."));
                }
                if token.redacted || token.saved {
                    let reason = "the resume token is of a redacted or incomplete dataset";
                    return Err(self.refuses(reason, "Begin anew with --restart."));
                }
                if let Some(base) = token.from_guid {
                    self.base(dataset, base)?;
                }
                // The token names the dataset of whoever sent before.
                let token = token.at(&snapshot);
                Ok(Stream::Resumed { snapshot, token })
            }
        }
    }

    /// What an increment starts from: the snapshot, or what is left of it.
    fn base(&self, dataset: &Dataset, guid: Guid) -> Result<Base, Failure> {
        let lost = || {
            let reason = format!("it has neither snapshot nor bookmark with the GUID {guid}");
            self.lacks(&reason, "Another replica may have it. Run the command again.")
        };
        if let Some(snapshot) = find(&dataset.snapshots, guid) {
            return self.named(Some(snapshot), snapshot).map(Base::Snapshot);
        }
        let bookmark = find(&dataset.bookmarks, guid).ok_or_else(lost)?;
        let name = self.name.bookmark(bookmark.label.clone());
        name.map(Base::Bookmark).map_err(|error| self.lacks(&error.to_string(), ""))
    }

    fn named(&self, found: Option<&Snapshot>, wanted: &Snapshot) -> Result<SnapshotName, Failure> {
        const REMEDY: &str = "The snapshots have changed. Run the command again.";
        let lost =
            || format!("it has no snapshot with the GUID {} ('{}')", wanted.guid, wanted.label);
        let found = found.ok_or_else(|| self.lacks(&lost(), REMEDY))?;
        self.name.at(found.label.clone()).map_err(|error| self.lacks(&error.to_string(), REMEDY))
    }

    fn lacks(&self, reason: &str, remedy: &str) -> Failure {
        Failure::new(Code::NoSuchDataset, "send", &self.name, reason, remedy)
    }

    pub(super) fn refuses(&self, reason: &str, remedy: &str) -> Failure {
        Failure::new(Code::Refused, "send", &self.name, reason, remedy)
    }
}

fn find(snapshots: &[Snapshot], guid: Guid) -> Option<&Snapshot> {
    snapshots.iter().find(|snapshot| snapshot.guid == guid)
}

#[cfg(test)]
mod tests;
