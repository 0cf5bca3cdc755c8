//! Properties, read and set.

use std::collections::BTreeMap;

use super::Zfs;
use super::command::{run, text};
use super::error::{CommandError, OperationError, PropertyError, SetPropertyError};
use crate::dataset::Guid;
use crate::names::{DatasetName, FullName, SnapshotName};
use crate::output::UnexpectedLine;
use crate::property::{PropertyName, PropertyValue, parse_all};

/// The space of a dataset; of a pool's root, the whole pool's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that it and its descendants take.
    pub used: u64,
    /// Bytes that may still be written, quotas and reservations considered.
    pub available: u64,
}

impl Space {
    /// From lines of a name, a property and its value.
    fn parse(output: &str, dataset: &str) -> Result<Self, UnexpectedLine> {
        let bytes = |property: PropertyName| {
            let begin = format!("{dataset}\t{property}\t");
            let found = output.lines().find_map(|line| line.strip_prefix(&begin));
            let number = found.and_then(|text| text.parse().ok());
            let wrong = || UnexpectedLine::new(output, format!("{property} of {dataset} in bytes"));
            number.ok_or_else(wrong)
        };
        Ok(Self { used: bytes(PropertyName::USED)?, available: bytes(PropertyName::AVAILABLE)? })
    }
}

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

    /// Several properties of a dataset, snapshot or bookmark, by one command. Each is to be named
    /// once; those without a value there aren't among the result.
    pub async fn properties(
        &self,
        object: &impl FullName,
        names: &[PropertyName],
    ) -> Result<BTreeMap<PropertyName, PropertyValue>, PropertyError> {
        let subject = object.to_string();
        let list = comma_separated(names);
        let output =
            text(self.zfs(&["get", "-Hp", "-o", "property,value,source", &list, &subject]));
        let output = output.await;
        output
            .and_then(|output| Ok(parse_all(&output, names)?))
            .map_err(|error| PropertyError::new(subject, error))
    }

    /// Those of `among` that are set on the dataset itself, not further up nor by a stream.
    pub async fn local_properties(
        &self,
        dataset: &DatasetName,
        among: &[PropertyName],
    ) -> Result<BTreeMap<PropertyName, String>, PropertyError> {
        let values = self.properties(dataset, among).await?;
        let local = values.into_iter().filter(|(_, value)| value.is_local());
        Ok(local.map(|(name, value)| (name, value.value)).collect())
    }

    /// Whether there is such a dataset.
    pub async fn exists(&self, dataset: &DatasetName) -> Result<bool, PropertyError> {
        match self.property(dataset, PropertyName::GUID).await {
            Err(error) if error.is_not_found() => Ok(false),
            found => found.map(|_| true),
        }
    }

    /// The space of a dataset and of its pool's root, by one command.
    pub async fn space(&self, dataset: &DatasetName) -> Result<(Space, Space), PropertyError> {
        let (subject, root) = (dataset.to_string(), DatasetName::root(dataset.pool().clone()));
        let mut arguments = vec!["get", "-Hp", "-o", "name,property,value", "used,available"];
        let root = root.to_string();
        arguments.push(&subject);
        if root != subject {
            arguments.push(&root);
        }
        let output = text(self.zfs(&arguments)).await;
        let spaces = output.and_then(|output| {
            Ok((Space::parse(&output, &subject)?, Space::parse(&output, &root)?))
        });
        spaces.map_err(|error| PropertyError::new(subject, error))
    }

    /// Sets a property.
    pub async fn set_property(
        &self,
        dataset: &DatasetName,
        name: PropertyName,
        value: &str,
    ) -> Result<(), SetPropertyError> {
        let subject = dataset.to_string();
        let set = run(self.zfs(&["set", &format!("{name}={value}"), &subject])).await;
        set.map_err(|error| SetPropertyError::new(subject, error))
    }
}

fn comma_separated(names: &[PropertyName]) -> String {
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(",")
}
