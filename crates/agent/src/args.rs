//! The agent's command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use program::config::ConfigFile;
use schema::{Code, Failure, Machine};
use sturdyref::Address;
use transfer::job::Reserve;
use transfer::{Limits, Queue, Rate, Traffic, Ways, size};
use zfs::PoolName;

/// Announces this machine's ZFS datasets to the tracker, sends them to who may have them, and
/// receives what is copied here
#[derive(Parser, Debug)]
#[command(
    name = "agent",
    version,
    after_help = "\
Rights without root, by `zfs allow`: to send: send,snapshot,hold,release,bookmark; to receive: \
receive,create,mount,canmount,mountpoint,userprop,destroy,rollback,readonly."
)]
pub(crate) struct Args {
    /// The location's capability file, made by the tracker; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) connect: PathBuf,

    /// This machine's name within its location
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Machine,

    /// The pools to announce and to receive into, separated by commas
    #[arg(long, value_name = "POOLS", value_delimiter = ',', required = true)]
    pub(crate) zpools: Vec<PoolName>,

    /// Allow copies into this machine to discard what their source lacks, when their user asks for it
    #[arg(long)]
    pub(crate) allow_rollback: bool,

    /// Keep this much of a pool free of what is received: 10%, or 50G
    #[arg(long, value_name = "SIZE", default_value = "0")]
    pub(crate) reserve: Reserve,

    /// Memory for data on its way to receivers, of all streams together, beyond the first 3 MiB of each: 48M
    ///
    /// A stream takes what its path holds (bandwidth times round trip) and some more: 3 MiB in any
    /// case, also with 0, and at most 34 MiB.
    #[arg(long, value_name = "SIZE", default_value = "48M", value_parser = size)]
    pub(crate) memory: u64,

    /// How fast all that this machine sends and receives may be, together: bytes per second, as 500K,
    /// 10M or 1G (powers of 1024), 1K at least
    #[arg(long, value_name = "RATE")]
    pub(crate) limit_rate: Option<Rate>,

    /// How fast each single transfer may be, from here or into here
    #[arg(long, value_name = "RATE")]
    pub(crate) limit_rate_per_transfer: Option<Rate>,

    /// Send to so many at once, and receive so many copies at once; the others wait for their turn
    /// [default: no limit]
    #[arg(long, value_name = "N", value_parser = at_once)]
    pub(crate) max_transfers: Option<NonZeroUsize>,

    /// Where receivers of this machine's datasets connect to
    #[arg(long, value_name = "ADDRESS", default_value = "tcp:0.0.0.0:0")]
    pub(crate) capnp_listen_address: Address,

    /// The address that receivers are told [default: the one listened on; where that is a wildcard,
    /// the one that the tracker is reached from]
    #[arg(long, value_name = "tcp:NAME:PORT")]
    pub(crate) capnp_public_address: Option<Address>,

    /// Holds the agent's key, by which the tracker knows it again, and its book of holds
    ///
    /// By default $STATE_DIRECTORY, or /var/lib/zatlas/agent/NAME as root, else
    /// zatlas/agent/NAME in the XDG state home.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// The `zfs` program
    #[arg(long, value_name = "PATH", default_value = "zfs")]
    pub(crate) zfs: PathBuf,

    /// The `zpool` program
    #[arg(long, value_name = "PATH", default_value = "zpool")]
    pub(crate) zpool: PathBuf,

    #[command(flatten)]
    pub(crate) config: ConfigFile,
}

fn at_once(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "a number from 1 on; leave the flag away for no limit")
}

fn size(text: &str) -> Result<u64, &'static str> {
    size::parse(text).ok_or("not a size, such as 48M")
}

impl Args {
    /// What the transfers of this machine share.
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            to_send: Queue::new(self.max_transfers),
            to_receive: Queue::new(self.max_transfers),
            limits: Limits::new(self.limit_rate, self.limit_rate_per_transfer),
            ways: Ways::default(),
        }
    }

    /// Refuses addresses that no receiver can dial.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let refuse = |address: &Address, reason: &str, remedy: &str| {
            Err(Failure::new(Code::Usage, "use the address", address, reason, remedy))
        };
        if let listen @ Address::Unix(_) = &self.capnp_listen_address {
            let reason = "other machines can't reach a Unix socket";
            return refuse(listen, reason, "Give --capnp-listen-address tcp:HOST:PORT.");
        }
        match &self.capnp_public_address {
            None => Ok(()),
            Some(Address::Tcp { port: 1.., .. }) if !self.has_wildcard() => Ok(()),
            Some(public) => {
                let reason = "receivers can't dial it";
                refuse(
                    public,
                    reason,
                    "Give --capnp-public-address tcp:NAME:PORT, by which they can.",
                )
            }
        }
    }

    fn has_wildcard(&self) -> bool {
        self.capnp_public_address.as_ref().is_some_and(Address::is_wildcard)
    }
}
