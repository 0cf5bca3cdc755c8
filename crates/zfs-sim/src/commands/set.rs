//! `zfs set` and `zfs inherit`.

use anyhow::Result;

use super::{existing, options};
use crate::failure::Failure;
use crate::name::Kinds;
use crate::property::{Native, View, assignment, check, is_user_property, scope};
use crate::sizes::Sizes;
use crate::state::{Access, Node, Pool, Root};
use crate::usage;

/// Properties that limit what a dataset takes, or keep it free.
const QUOTAS: [&str; 4] = ["quota", "refquota", "reservation", "refreservation"];

pub(super) fn set(arguments: &[String]) -> Result<()> {
    let options = options("set", arguments, "u")?;
    let assigned = options.operands.iter().take_while(|operand| operand.contains('=')).count();
    let (assignments, names) = options.operands.split_at(assigned);
    if names.is_empty() || assignments.is_empty() && names.len() < 2 {
        let complaint = match (assignments, names) {
            ([], []) => "missing arguments",
            ([], _) => "missing property=value argument(s)",
            _ => "missing dataset name(s)",
        };
        return Err(usage::zfs("set", complaint));
    }
    let root = Root::open()?;
    for name in names {
        let mut pool = existing(&root, name, Kinds::SNAPSHOT, Access::Write)?;
        pool.next_txg();
        for (property, value) in assignments.iter().filter_map(|argument| assignment(argument)) {
            assign(&mut pool, name, property, value)?;
        }
        pool.commit()?;
    }
    Ok(())
}

fn assign(pool: &mut Pool, name: &str, property: &str, value: &str) -> Result<()> {
    let cannot =
        |why: String| Failure::with_status(255, format!("cannot set property for '{name}': {why}"));
    let Some(mut node) = pool.get(name).cloned() else { return Ok(()) };
    let kind = scope(&node);
    if matches!(node, Node::Snapshot(_))
        && !is_user_property(property)
        && Native::find(property).is_some()
    {
        return Err(cannot("this property can not be modified for snapshots".to_owned()));
    }
    let value = check(property, value, kind).map_err(cannot)?;
    let property = Native::find(property).map_or(property, |native| native.name);
    if let Some(why) = too_small_or_large(pool, name, property, &value)? {
        return Err(cannot(why.to_owned()));
    }
    pool.history(name, node.id().unwrap_or(0), "set", &format!("{property}={value}"));
    match &mut node {
        Node::Dataset(dataset) if property == "volsize" => dataset.volsize = value.parse().ok(),
        Node::Dataset(dataset) => drop(dataset.properties.insert(property.to_owned(), value)),
        Node::Snapshot(snapshot) => drop(snapshot.properties.insert(property.to_owned(), value)),
        Node::Bookmark(_) => {}
    }
    pool.put(name, node);
    if matches!(property, "mountpoint" | "canmount") {
        remount(pool, name, property == "mountpoint")?;
    }
    Ok(())
}

/// What stands against a quota or reservation of so many bytes.
fn too_small_or_large(
    pool: &Pool,
    name: &str,
    property: &str,
    value: &str,
) -> Result<Option<&'static str>> {
    let bytes: u64 = match value.parse() {
        Ok(bytes) if bytes > 0 && QUOTAS.contains(&property) => bytes,
        _ => return Ok(None),
    };
    let sizes = Sizes::of(pool)?;
    let size = sizes.of_dataset(name).unwrap_or_default();
    let small = "size is less than current used or reserved space";
    let large = "size is greater than available space";
    Ok(match property {
        "quota" => (bytes < size.used).then_some(small),
        "refquota" => (bytes < size.referenced).then_some(small),
        _ => (bytes > sizes.available(pool, name) + size.referenced).then_some(large),
    })
}

/// A new mountpoint mounts what may be mounted, unless it had been unmounted from a place of its own;
/// `canmount=off` unmounts.
fn remount(pool: &mut Pool, name: &str, moved: bool) -> Result<()> {
    for on in pool.subtree(name) {
        let Some(dataset) = pool.dataset(&on).cloned() else { continue };
        let may = dataset.volsize.is_none() && View::new(pool).mounts_by_itself(&on, &dataset)?;
        let mounted = may && (moved || dataset.mounted);
        if mounted != dataset.mounted && (on == name || moved) {
            pool.change(&on, |dataset| dataset.mounted = mounted);
        }
    }
    Ok(())
}

pub(super) fn inherit(arguments: &[String]) -> Result<()> {
    let options = options("inherit", arguments, "rS")?;
    let (property, names) = match options.operands.split_first() {
        None => return Err(usage::zfs("inherit", "missing property argument")),
        Some((_, [])) => return Err(usage::zfs("inherit", "missing dataset argument")),
        Some(split) => split,
    };
    let property = match Native::find(property) {
        Some(native) if native.default.is_none() && native.name != "mountpoint" => {
            return Err(Failure::error(format!("{property} property is read-only")));
        }
        Some(native) if !native.is_inherited() => {
            return Err(Failure::error(format!("'{property}' property cannot be inherited")));
        }
        Some(native) => native.name,
        None if is_user_property(property) => property,
        None => return Err(usage::zfs("inherit", &format!("invalid property '{property}'"))),
    };
    let root = Root::open()?;
    for name in names {
        let mut pool = existing(&root, name, Kinds::SNAPSHOT, Access::Write)?;
        pool.next_txg();
        let below = if options.has('r') { pool.subtree(name) } else { vec![name.clone()] };
        for on in below {
            let Some(mut node) = pool.get(&on).cloned() else { continue };
            match &mut node {
                Node::Dataset(dataset) => drop(dataset.properties.remove(property)),
                Node::Snapshot(snapshot) => drop(snapshot.properties.remove(property)),
                Node::Bookmark(_) => {}
            }
            pool.history(&on, node.id().unwrap_or(0), "inherit", &format!("{property}="));
            pool.put(&on, node);
        }
        pool.commit()?;
    }
    Ok(())
}
