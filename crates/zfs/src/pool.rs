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

/// The feature that a line of `zpool get -Hp -o property,value all POOL` tells of, by its short
/// name (`large_blocks`), if the pool has it enabled or in use.
pub fn parse_feature(line: &str) -> Option<&str> {
    let (name, value) = line.strip_prefix("feature@")?.split_once('\t')?;
    matches!(value, "enabled" | "active").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_readable_unless_zfs_says_that_it_is_ill() {
        for (health, readable) in
            [("ONLINE", true), ("DEGRADED", true), ("SUSPENDED", false), ("UNAVAIL", false)]
        {
            let pool = Pool::parse(&format!("tank\t8870246368721594442\t{health}")).unwrap();
            assert_eq!(pool.guid, Guid(8870246368721594442));
            assert_eq!((pool.name.as_str(), pool.is_readable()), ("tank", readable), "{health}");
        }
    }

    #[test]
    fn a_feature_counts_if_it_is_enabled_or_active() {
        for (line, feature) in [
            ("feature@lz4_compress\tactive", Some("lz4_compress")),
            ("feature@large_blocks\tenabled", Some("large_blocks")),
            ("feature@zstd_compress\tdisabled", None),
            ("unsupported@com.example:x\tinactive", None),
            ("readonly\toff", None),
        ] {
            assert_eq!(parse_feature(line), feature, "{line}");
        }
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error_that_shows_it() {
        for (line, expected) in [
            ("no pools available", "3 fields between tabs: name, guid, health"),
            ("9tank\t1\tONLINE", "must begin with a letter"),
            ("tank\t-\tONLINE", "a number as guid"),
        ] {
            let error = Pool::parse(line).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(&line[..4]), "{error}");
        }
    }
}
