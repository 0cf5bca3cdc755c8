//! Pools, as `zpool list` tells of them.

use crate::dataset::Guid;
use crate::names::PoolName;
use crate::output::{UnexpectedLine, fields};

/// The columns of a listing of pools: `zpool list -Hp -o ...`.
pub const POOL_COLUMNS: [&str; 3] = ["name", "guid", "health"];

/// An imported pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name on this machine; an import can change it.
    pub name: PoolName,
    /// Its identity.
    pub guid: Guid,
    /// ZFS's word: `ONLINE`, `DEGRADED`, `FAULTED`, `UNAVAIL`, `SUSPENDED`, ...
    pub health: String,
}

impl Pool {
    /// Parses a line of the listing of pools (columns: [`POOL_COLUMNS`]).
    pub fn parse(line: &str) -> Result<Self, UnexpectedLine> {
        let [name, guid, health] = fields(line, &POOL_COLUMNS)?;
        Ok(Self {
            name: name
                .parse()
                .map_err(|error| UnexpectedLine::new(line, format!("a pool ({error})")))?,
            guid: guid.parse().map_err(|_| UnexpectedLine::new(line, "a number as guid"))?,
            health: health.to_owned(),
        })
    }

    /// Whether its datasets can be read. Commands on a pool that is suspended can hang.
    pub fn is_readable(&self) -> bool {
        matches!(self.health.as_str(), "ONLINE" | "DEGRADED")
    }
}
