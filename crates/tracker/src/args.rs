//! The command line.

use std::path::PathBuf;

use catalogue::{MachineId, Role};
use clap::{Parser, Subcommand};
use program::config::ConfigFile;
use schema::Location;
use schema::place::parse_machine;
use sturdyref::Address;

/// Knows which ZFS dataset is on which machine, and brings sender and receiver together
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) run: Run,
    #[command(subcommand)]
    pub(crate) action: Option<Action>,
}

/// What a running tracker needs to know.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// Where to listen: tcp:HOST:PORT or unix:/PATH
    #[arg(long, value_name = "ADDRESS", required = true)]
    pub(crate) capnp_listen_address: Option<Address>,
    /// The locations to serve; each gets its capability file
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true, value_parser = location)]
    pub(crate) locations: Vec<Location>,
    /// The address that capability files name, where it isn't the one listened on: tcp:NAME:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) capnp_public_address: Option<Address>,
    /// The tracker's key, made if there is none [default: secret-key.pem in the state folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) capnp_secret_key_file: Option<PathBuf>,
    /// Speak without TLS: for tests, and for networks that protect the traffic by themselves
    #[arg(long)]
    pub(crate) capnp_disable_tls: bool,
    /// Where capability files are written
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) cap_dir: PathBuf,
    #[command(flatten)]
    pub(crate) state: State,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}

/// Where the catalogue is.
#[derive(Debug, clap::Args)]
pub(crate) struct State {
    /// What the tracker remembers [default: $STATE_DIRECTORY, /var/lib/zatlas/tracker as root, or
    /// zatlas/tracker under XDG's state home]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl State {
    /// The folder named, or the default one.
    pub(crate) fn folder(&self) -> anyhow::Result<PathBuf> {
        match &self.state_dir {
            Some(folder) => Ok(folder.clone()),
            None => program::state::default_folder("tracker"),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Remove a machine and all that it held from the catalogue, and free its name
    Forget {
        /// Which, as cli's show writes it
        #[arg(value_name = r"LOCATION\MACHINE", value_parser = machine)]
        machine: MachineId,
        #[command(flatten)]
        state: State,
    },
    /// Void a capability file, and write a new one
    Reissue {
        /// A location, "user" or "admin"
        name: Role,
        #[command(flatten)]
        state: State,
    },
}

fn location(text: &str) -> Result<Location, String> {
    match text.parse::<Role>() {
        Ok(Role::Location(location)) => Ok(location),
        Ok(role) => Err(format!("{role}.cap is for people, so no location can be called '{role}'")),
        Err(error) => Err(error.to_string()),
    }
}

fn machine(text: &str) -> Result<MachineId, schema::PlaceError> {
    let (location, machine) = parse_machine(text)?;
    Ok(MachineId { location, machine })
}
