//! `zfs rename`.

use anyhow::Result;

use super::create::make_parents;
use super::{existing, options};
use crate::failure::Failure;
use crate::name::{self, Kinds};
use crate::state::{Access, Pool, Root};
use crate::usage;

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("rename", arguments, "fpru")?;
    let (from, to) = match options.operands.as_slice() {
        [] => return Err(usage::zfs("rename", "missing source dataset argument")),
        [_] => return Err(usage::zfs("rename", "missing target dataset argument")),
        [from, to] => (from, to),
        _ => return Err(usage::zfs("rename", "too many arguments")),
    };
    let root = Root::open()?;
    let mut pool = existing(&root, from, Kinds::SNAPSHOT, Access::Write)?;
    let to = if to.starts_with('@') { format!("{}{to}", name::dataset(from)) } else { to.clone() };
    if let Some(complaint) = name::new_complaint(&to, Kinds::SNAPSHOT) {
        return Err(Failure::error(format!("cannot rename to '{to}': {complaint}")));
    }
    if from.contains('@') {
        snapshot(&mut pool, from, &to)?;
    } else {
        dataset(&root, &mut pool, from, &to, options.has('p'))?;
    }
    pool.commit()
}

fn snapshot(pool: &mut Pool, from: &str, to: &str) -> Result<()> {
    if name::dataset(from) != name::dataset(to) || !to.contains('@') {
        return Err(Failure::error(format!(
            "cannot rename to '{to}': snapshots must be part of same dataset"
        )));
    }
    if pool.get(to).is_some() {
        return Err(exists(from));
    }
    let detail = format!("-> @{}", &to[name::dataset(to).len() + 1..]);
    relocate(pool, from, to, &detail);
    Ok(())
}

fn dataset(root: &Root, pool: &mut Pool, from: &str, to: &str, parents: bool) -> Result<()> {
    if name::pool(to) != pool.name {
        let target = name::pool(to);
        return Err(Failure::error(match root.pool_dir(target).exists() {
            true => format!("cannot rename to '{to}': datasets must be within same pool"),
            false => format!("cannot create '{to}': no such pool '{target}'"),
        }));
    }
    if pool.get(to).is_some() {
        return Err(exists(from));
    }
    if parents {
        make_parents(pool, to)?;
    }
    if name::parent(to).is_none_or(|parent| pool.dataset(parent).is_none()) {
        return Err(Failure::error(format!("cannot create '{to}': parent does not exist")));
    }
    if to.starts_with(&format!("{from}/")) {
        return Err(Failure::error(format!(
            "cannot rename to '{to}': New dataset name cannot be a descendant of current dataset name"
        )));
    }
    let below: Vec<_> = ["/", "@", "#"]
        .iter()
        .flat_map(|separator| {
            pool.with_prefix(&format!("{from}{separator}"))
                .map(|(name, _)| name.to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    pool.next_txg();
    relocate(pool, from, to, &format!("-> {to}"));
    for name in below {
        if let Some(node) = pool.remove(&name) {
            pool.put(&format!("{to}{}", &name[from.len()..]), node);
        }
    }
    Ok(())
}

fn relocate(pool: &mut Pool, from: &str, to: &str, detail: &str) {
    if let Some(node) = pool.remove(from) {
        pool.history(from, node.id().unwrap_or(0), "rename", detail);
        pool.put(to, node);
    }
}

fn exists(from: &str) -> anyhow::Error {
    Failure::error(format!("cannot rename '{from}': dataset already exists"))
}
