//! Small commands on one dataset or snapshot. None destroys anything but a partial receive.

use super::Zfs;
use super::command::{run, text};
use super::error::{
    AbortError, CommandError, CreateError, OperationError, PropertyError, SnapshotError,
};
use crate::dataset::Guid;
use crate::names::{DatasetName, FullName, SnapshotName};
use crate::output::UnexpectedLine;
use crate::property::{PropertyName, PropertyValue};

impl Zfs {
    /// A property of a dataset or snapshot; `None` if it has no value there. An object that
    /// doesn't exist is an error ([`OperationError::is_not_found`]).
    pub async fn property(
        &self,
        object: &impl FullName,
        name: PropertyName,
    ) -> Result<Option<PropertyValue>, PropertyError> {
        let subject = object.to_string();
        let arguments = ["get", "-Hp", "-o", "value,source", name.as_str(), &subject];
        let output = text(self.zfs(&arguments)).await;
        output
            .and_then(|output| Ok(PropertyValue::parse(&output)?))
            .map_err(|error| PropertyError::new(subject, error))
    }

    /// A snapshot's GUID, `None` if there is no such snapshot.
    pub async fn snapshot_guid(
        &self,
        snapshot: &SnapshotName,
    ) -> Result<Option<Guid>, PropertyError> {
        let property = match self.property(snapshot, PropertyName::GUID).await {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        let text = property.map(|property| property.value).unwrap_or_default();
        let guid = text.parse().map_err(|_| {
            let error = UnexpectedLine::new(&text, "a number as guid");
            PropertyError::new(snapshot, CommandError::Output(error))
        })?;
        Ok(Some(guid))
    }

    /// Takes a snapshot.
    pub async fn take_snapshot(&self, snapshot: &SnapshotName) -> Result<(), SnapshotError> {
        let subject = snapshot.to_string();
        let taken = run(self.zfs(&["snapshot", &subject])).await;
        taken.map_err(|error| SnapshotError::new(subject, error))
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
