//! The commands of `zpool`, one a file.

mod create;
mod events;
mod get;
mod list;
mod transfer;

use anyhow::Result;

use crate::commands::VERSION;
use crate::failure::Failure;
use crate::options::Options;
use crate::state::{Access, Pool, Root};
use crate::usage;

/// Runs `zpool` with its arguments.
pub(crate) fn run(arguments: Vec<String>) -> Result<()> {
    let Some((command, arguments)) = arguments.split_first() else {
        return Err(usage::commands("zpool", None));
    };
    match command.as_str() {
        "version" | "--version" | "-V" => {
            println!("{VERSION}");
            Ok(())
        }
        "create" => create::run(arguments),
        "destroy" => transfer::destroy(arguments),
        "events" => events::run(arguments),
        "export" => transfer::export(arguments),
        "import" => transfer::import(arguments),
        "get" => get::run(arguments),
        "list" => list::run(arguments),
        unknown => Err(usage::commands("zpool", Some(unknown))),
    }
}

fn options(command: &str, arguments: &[String], specification: &str) -> Result<Options> {
    Options::read(arguments, specification)
        .map_err(|mistake| usage::zpool(command, &mistake.complaint()))
}

fn existing(root: &Root, name: &str, access: Access) -> Result<Pool> {
    root.pool(name, access)?
        .ok_or_else(|| Failure::error(format!("cannot open '{name}': no such pool")))
}
