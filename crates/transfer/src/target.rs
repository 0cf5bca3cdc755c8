//! What is at the destination now.

use std::collections::BTreeMap;

use schema::{Code, Failure};
use zfs::process::Zfs;
use zfs::{Dataset, DatasetName, Guid, Kind, PropertyName, PropertyValue, ResumeToken};

use crate::failure::{Trouble, zfs_failure};
use crate::plan::{Destination, Form, Partial, Present};

/// What is looked at of the target beside its listing.
const LOOKED_AT: [PropertyName; 5] = [
    PropertyName::TRANSFER,
    PropertyName::STREAM,
    PropertyName::SENDER,
    PropertyName::MOUNTED,
    PropertyName::READONLY,
];

/// The destination as it is now.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// For the planner.
    pub(crate) destination: Destination,
    /// The target's own GUID, where it exists.
    pub(crate) guid: Option<Guid>,
    /// Which dataset sent the last stream, and of which snapshot.
    pub(crate) sender: Option<Sender>,
}

/// The dataset that a partial snapshot was received from last: the value of `zatlas:sender`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    /// The own GUID of the sending dataset.
    pub(crate) dataset: Guid,
    /// The snapshot that was being received.
    pub(crate) snapshot: Guid,
}

impl Sender {
    fn parse(text: &str) -> Option<Self> {
        let (dataset, snapshot) = text.split_once('@')?;
        Some(Self { dataset: dataset.parse().ok()?, snapshot: snapshot.parse().ok()? })
    }
}

impl std::fmt::Display for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.dataset, self.snapshot)
    }
}

/// How far what is at the destination has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    snapshots: usize,
    /// Object and offset of an interrupted receive.
    point: Option<(u64, u64)>,
}

impl Mark {
    /// Whether an interrupted receive can be gone on with.
    pub(crate) fn is_partial(self) -> bool {
        self.point.is_some()
    }
}

impl Look {
    /// How far it has come: another mark later means that something has arrived.
    pub(crate) fn mark(&self) -> Mark {
        let snapshots = match &self.destination {
            Destination::Present(present) => present.snapshots.len(),
            Destination::Absent { .. } => 0,
        };
        Mark { snapshots, point: self.token().map(|token| (token.object, token.offset)) }
    }

    /// The token of an interrupted receive.
    pub(crate) fn token(&self) -> Option<&ResumeToken> {
        match &self.destination {
            Destination::Present(present) => {
                present.partial.as_ref()?.token.as_ref()?.as_ref().ok()
            }
            Destination::Absent { .. } => None,
        }
    }
}

/// Looks at the target and its parents.
pub(crate) async fn look(zfs: &Zfs, target: &DatasetName) -> Result<Look, Trouble> {
    let found = zfs.dataset(target).await;
    let Some(dataset) = found.map_err(|error| Trouble::at_destination(&error))? else {
        // Where there is no pool, nothing is said of what is in it.
        let pool = zfs.pool(target.pool()).await;
        if pool.map_err(|error| Trouble::at_destination(&error))?.is_none() {
            let remedy = "Import the pool: zpool import";
            let failure =
                Failure::new(Code::Offline, "look at", target, "its pool is not there", remedy);
            return Err(Trouble::transient(failure));
        }
        let missing_parents = missing_parents(zfs, target).await?;
        let destination = Destination::Absent { missing_parents };
        return Ok(Look { destination, guid: None, sender: None });
    };
    let values = zfs.properties(target, &LOOKED_AT).await;
    let values = values.map_err(|error| Trouble::at_destination(&error))?;
    Ok(Look {
        guid: Some(dataset.properties.guid),
        sender: own(&values, PropertyName::SENDER).and_then(Sender::parse),
        destination: Destination::Present(Box::new(present(dataset, &values))),
    })
}

type Values = BTreeMap<PropertyName, PropertyValue>;

/// A property's value if it is set on the dataset itself: children inherit a user's property.
fn own(values: &Values, name: PropertyName) -> Option<&str> {
    values.get(&name).filter(|value| value.is_local()).map(|value| value.value.as_str())
}

fn present(dataset: Dataset, values: &Values) -> Present {
    let is = |name, value: &str| values.get(&name).is_some_and(|found| found.value == value);
    let properties = dataset.properties;
    let token = properties
        .resume_token
        .map(|token| token.parse::<ResumeToken>().map_err(|error| error.to_string()));
    let first = properties.inconsistent;
    Present {
        kind: properties.kind,
        encrypted: properties.encrypted,
        ours: own(values, PropertyName::TRANSFER).is_some(),
        form: own(values, PropertyName::STREAM).and_then(|form| form.parse::<Form>().ok()),
        snapshots: if first { Vec::new() } else { dataset.snapshots },
        written: properties.written,
        mounted_writable: properties.kind == Kind::Filesystem
            && is(PropertyName::MOUNTED, "yes")
            && !is(PropertyName::READONLY, "on"),
        partial: (first || token.is_some()).then_some(Partial { first, token }),
    }
}

/// Reads back what keeps a received dataset from being mounted and marks it as ours: without the
/// right to set a property, ZFS skips it and exits with 0. Returns what is missing.
pub(crate) async fn check_marks(
    zfs: &Zfs,
    target: &DatasetName,
    kind: Kind,
) -> Result<Vec<String>, Failure> {
    let looked_at = [PropertyName::TRANSFER, PropertyName::CANMOUNT];
    let values = zfs.properties(target, &looked_at).await.map_err(|error| zfs_failure(&error))?;
    let mut missing = Vec::new();
    if own(&values, PropertyName::TRANSFER).is_none() {
        missing.push(format!(
            "the property {} could not be set on {target}; give the right: zfs allow ... userprop",
            PropertyName::TRANSFER
        ));
    }
    if kind == Kind::Filesystem && own(&values, PropertyName::CANMOUNT) != Some("noauto") {
        missing.push(format!(
            "canmount could not be set, so {target} may be mounted at the next boot; \
             to prevent it: zfs set canmount=noauto '{target}'"
        ));
    }
    Ok(missing)
}

/// The parents that aren't there, topmost first. The pool itself always is, or is an error later.
async fn missing_parents(zfs: &Zfs, target: &DatasetName) -> Result<Vec<DatasetName>, Trouble> {
    let mut missing = Vec::new();
    let mut next = target.parent();
    while let Some(parent) = next.filter(|parent| parent.path().is_some()) {
        let exists = zfs.exists(&parent).await;
        if exists.map_err(|error| Trouble::at_destination(&error))? {
            break;
        }
        next = parent.parent();
        missing.push(parent);
    }
    missing.reverse();
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_a_dataset_and_a_snapshot() {
        let sender = Sender { dataset: Guid(5), snapshot: Guid(u64::MAX) };
        assert_eq!(sender.to_string(), "5@18446744073709551615");
        assert_eq!(Sender::parse(&sender.to_string()), Some(sender));
        for text in ["", "5", "5@", "@5", "a@b", "-"] {
            assert_eq!(Sender::parse(text), None, "{text}");
        }
    }
}
