//! The command line. Names and durations are taken as texts and parsed by [`crate::names`], because
//! clap would print a wrong one as it is, escape sequences included.

mod wish;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(crate) use wish::{Progress, Props, Wish};

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
    /// The capability file that the tracker made (user.cap); `-` reads it from standard input.
    /// Required, before or after the command
    // clap has no argument that is both required and global; `crate::capability` asks for it.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) connect: Option<PathBuf>,

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
    /// List the snapshots that are kept from being destroyed for transfers, or let them go
    Holds(Holds),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Show {
    /// Only datasets of this name; * ? [ ] {a,b} are wildcards, and * matches / too
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

#[derive(clap::Args, Debug)]
pub(crate) struct Download {
    /// The dataset, as `show` names it
    pub(crate) dataset: String,

    /// Where to: POOL keeps the dataset's name, POOL/PATH is exactly that
    #[arg(long, value_name = "POOL[/PATH]")]
    pub(crate) to: Option<String>,

    #[command(flatten)]
    pub(crate) wish: Wish,

    /// Have the first receive set readonly=on, so that the replica stays one
    #[arg(long)]
    pub(crate) readonly: bool,

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

    /// Have the first receive leave the dataset writable; else it sets readonly=on, so that the
    /// replica stays one
    #[arg(long)]
    pub(crate) writable: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Holds {
    /// Print a JSON document
    #[arg(long, conflicts_with = "release")]
    pub(crate) json: bool,

    /// Let go of the holds with this tag, and say of which snapshots; status 3 if there is none,
    /// or 5 if there may be one at a machine or pool that could not be asked. The transfer that they are for may then have to begin anew
    #[arg(long, value_name = "TAG")]
    pub(crate) release: Option<String>,

    /// Let go of the hold on this snapshot alone
    #[arg(long, value_name = r"LOCATION\MACHINE\POOL/PATH@NAME", requires = "release")]
    pub(crate) snapshot: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn connect_comes_before_or_after_the_command() {
        for line in [["cli", "--connect", "u", "show"], ["cli", "show", "--connect", "u"]] {
            assert_eq!(Args::try_parse_from(line).unwrap().connect, Some("u".into()), "{line:?}");
        }
    }

    #[test]
    fn what_only_recursion_knows_needs_it() {
        for flag in ["--include=a", "--exclude=a", "--jobs=3"] {
            let line = ["cli", "download", "data", flag];
            assert!(Args::try_parse_from(line).is_err(), "{flag}");
            assert!(Args::try_parse_from([&line[..], &["-r"]].concat()).is_ok(), "{flag}");
        }
        assert!(Args::try_parse_from(["cli", "download", "data", "-r", "--jobs=0"]).is_err());
    }
}
