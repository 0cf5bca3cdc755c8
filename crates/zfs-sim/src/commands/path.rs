//! `zfs-sim path`: where a dataset's or snapshot's data lives. The real `zfs` has no such command.

use std::fs;

use anyhow::Result;

use super::{existing, options};
use crate::failure::Failure;
use crate::name::Kinds;
use crate::state::{Access, Root};

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("path", arguments, "")?;
    let [name] = options.operands.as_slice() else {
        return Err(Failure::with_status(2, "usage: zfs-sim path DATASET|SNAPSHOT"));
    };
    let pool = existing(&Root::open()?, name, Kinds::SNAPSHOT, Access::Read)?;
    let Some(node) = pool.get(name) else { return Ok(()) };
    let path = pool.data(node.id().unwrap_or(0));
    match node.volsize() {
        None => fs::create_dir_all(&path)?,
        Some(size) => {
            let file =
                fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            if node.as_dataset().is_some() {
                file.set_len(size)?;
            }
        }
    }
    println!("{}", path.display());
    Ok(())
}
