//! What is at the destination now, and what it takes to bring it where the plan wants it.

use schema::Failure;
use zfs::process::Zfs;
use zfs::{DatasetName, Kind, PropertyName, Source};

use crate::failure::zfs_failure;
use crate::plan::{Destination, Wanted};
use crate::report::Plan;

/// Looks at the target and its parents.
pub(crate) async fn look(
    zfs: &Zfs,
    target: &DatasetName,
    wanted: &Wanted,
) -> Result<Destination, Failure> {
    match zfs.dataset(target).await.map_err(|error| zfs_failure(&error))? {
        None => Ok(Destination::Absent { missing_parents: missing_parents(zfs, target).await? }),
        Some(dataset) if dataset.properties.inconsistent => {
            Ok(Destination::Unfinished { ours: is_ours(zfs, target).await? })
        }
        Some(dataset) => Ok(Destination::Present {
            has_snapshot: match wanted {
                Wanted::Existing(wanted) => dataset.snapshots.iter().any(|s| s.guid == wanted.guid),
                Wanted::New => false,
            },
        }),
    }
}

/// Whether a transfer of ours began it. The marker must be its own: children inherit it.
async fn is_ours(zfs: &Zfs, target: &DatasetName) -> Result<bool, Failure> {
    let marker =
        zfs.property(target, PropertyName::TRANSFER).await.map_err(|error| zfs_failure(&error))?;
    Ok(marker.is_some_and(|marker| marker.source == Source::Local))
}

/// Reads back what keeps a received dataset from being mounted and marks it as ours: without the
/// right to set a property, ZFS skips it and exits with 0. Returns what is missing.
pub(crate) async fn check_marks(zfs: &Zfs, plan: &Plan) -> Result<Vec<String>, Failure> {
    let target = &plan.target;
    let mut missing = Vec::new();
    if !is_ours(zfs, target).await? {
        missing.push(format!(
            "the property {} could not be set on {target}; give the right: zfs allow ... userprop",
            PropertyName::TRANSFER
        ));
    }
    if plan.kind == Kind::Filesystem {
        let canmount = zfs.property(target, PropertyName::CANMOUNT).await;
        let canmount = canmount.map_err(|error| zfs_failure(&error))?;
        if canmount.is_none_or(|canmount| canmount.value != "noauto") {
            missing.push(format!(
                "canmount could not be set, so {target} may be mounted at the next boot; \
                 to prevent it: zfs set canmount=noauto '{target}'"
            ));
        }
    }
    Ok(missing)
}

/// The parents that aren't there, topmost first. The pool itself always is, or is an error later.
async fn missing_parents(zfs: &Zfs, target: &DatasetName) -> Result<Vec<DatasetName>, Failure> {
    let mut missing = Vec::new();
    let mut next = target.parent();
    while let Some(parent) = next.filter(|parent| parent.path().is_some()) {
        if zfs.dataset(&parent).await.map_err(|error| zfs_failure(&error))?.is_some() {
            break;
        }
        next = parent.parent();
        missing.push(parent);
    }
    missing.reverse();
    Ok(missing)
}
