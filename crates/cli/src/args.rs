//! The command line. Names are taken as texts and parsed by [`crate::names`], because clap would
//! print a wrong one as it is, escape sequences included.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Shows where ZFS datasets are, downloads them to this machine, and copies them between machines
#[derive(Parser, Debug)]
#[command(
    name = "cli",
    version,
    after_help = "\
Exit status: 0 done; 1 failed; 2 wrong usage; 3 no such dataset or place; 4 ambiguous; 5 offline; \
6 refused; 130 interrupted."
)]
pub(crate) struct Args {
    /// The capability file that the tracker made (user.cap); `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) connect: PathBuf,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// List datasets and the places where they are
    Show(Show),
    /// Receive a dataset into a pool of this machine
    Download(Download),
    /// Have a dataset received into a pool of another machine
    Copy(Copy),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Show {
    /// Only datasets of this name; * ? [ ] are wildcards, and * matches / too
    pub(crate) pattern: Option<String>,

    /// Print a JSON document
    #[arg(long)]
    pub(crate) json: bool,

    /// Print size, snapshots and times of each replica
    #[arg(long, conflicts_with = "json")]
    pub(crate) long: bool,

    /// Only replicas at this location
    #[arg(long, value_name = "LOCATION")]
    pub(crate) location: Option<String>,
}

/// What download and copy have in common.
#[derive(clap::Args, Debug)]
pub(crate) struct Wish {
    /// The source to use and no other
    #[arg(long, value_name = r"LOCATION\MACHINE\POOL")]
    pub(crate) from: Option<String>,

    /// The snapshot to transfer, instead of the newest
    #[arg(long, value_name = "NAME")]
    pub(crate) snapshot: Option<String>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print what was done as a JSON document
    #[arg(long)]
    pub(crate) json: bool,

    /// Show no progress
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Download {
    /// The dataset, as `show` names it
    pub(crate) dataset: String,

    /// Where to: POOL keeps the dataset's name, POOL/PATH is exactly that
    #[arg(long, value_name = "POOL[/PATH]")]
    pub(crate) to: Option<String>,

    #[command(flatten)]
    pub(crate) wish: Wish,

    /// The `zfs` program
    #[arg(long, value_name = "PATH", default_value = "zfs")]
    pub(crate) zfs: PathBuf,

    /// The `zpool` program
    #[arg(long, value_name = "PATH", default_value = "zpool")]
    pub(crate) zpool: PathBuf,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Copy {
    /// The dataset, as `show` names it
    pub(crate) dataset: String,

    /// Where to; / is taken for \, and without PATH the dataset keeps its name
    #[arg(value_name = r"LOCATION\MACHINE\POOL[\PATH]")]
    pub(crate) destination: String,

    #[command(flatten)]
    pub(crate) wish: Wish,
}
