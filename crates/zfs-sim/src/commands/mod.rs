//! The commands of `zfs`, one a file, and what they share: opening what a name means.

mod bookmark;
mod create;
mod destroy;
mod get;
mod hold;
mod list;
mod mount;
mod path;
mod populate;
mod receive;
mod rename;
mod rollback;
mod send;
mod set;
mod snapshot;

use anyhow::Result;

pub(crate) use mount::mount_all;

use crate::failure::Failure;
use crate::name::{self, Kinds};
use crate::options::Options;
use crate::state::{Access, Pool, Root};
use crate::usage;

/// What `zfs version` and `zpool version` print.
pub(crate) const VERSION: &str = "zfs-2.3.2-sim\nzfs-kmod-2.3.2-sim";

/// Runs `zfs` with its arguments.
pub(crate) fn run(arguments: Vec<String>) -> Result<()> {
    let Some((command, arguments)) = arguments.split_first() else {
        return Err(usage::commands("zfs", None));
    };
    match command.as_str() {
        "version" | "--version" | "-V" => {
            println!("{VERSION}");
            Ok(())
        }
        "bookmark" => bookmark::run(arguments),
        "create" => create::run(arguments),
        "destroy" => destroy::run(arguments),
        "get" => get::run(arguments),
        "hold" => hold::hold(arguments),
        "holds" => hold::holds(arguments),
        "inherit" => set::inherit(arguments),
        "list" => list::run(arguments),
        "mount" => mount::mount(arguments),
        "path" => path::run(arguments),
        "populate" => populate::run(arguments),
        "receive" | "recv" => receive::run(arguments),
        "release" => hold::release(arguments),
        "rename" => rename::run(arguments),
        "rollback" => rollback::run(arguments),
        "send" => send::run(arguments),
        "set" => set::set(arguments),
        "snapshot" | "snap" => snapshot::run(arguments),
        "unmount" | "umount" => mount::unmount(arguments),
        unknown => Err(usage::commands("zfs", Some(unknown))),
    }
}

/// Reads a command's options, or tells how to use it.
fn options(command: &str, arguments: &[String], specification: &str) -> Result<Options> {
    Options::read(arguments, specification)
        .map_err(|mistake| usage::zfs(command, &mistake.complaint()))
}

/// Opens the pool of something that must exist, with a name of these kinds.
fn existing(root: &Root, name: &str, kinds: Kinds, access: Access) -> Result<Pool> {
    if let Some(complaint) = name::complaint(name, kinds) {
        return Err(Failure::error(format!("cannot open '{name}': {complaint}")));
    }
    root.pool(name::pool(name), access)?
        .filter(|pool| pool.get(name).is_some())
        .ok_or_else(|| Failure::error(format!("cannot open '{name}': dataset does not exist")))
}
