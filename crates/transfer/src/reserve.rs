//! How much of a pool is to stay free.

use std::fmt;
use std::str::FromStr;

use schema::text::Bytes;
use schema::{Code, Failure};
use zfs::DatasetName;
use zfs::process::Zfs;

use crate::failure::zfs_failure;
use crate::size;

/// A part of a pool that transfers leave free: `10%`, `50G`, `0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// Of the pool's size.
    Percent(u8),
    /// As it is.
    Bytes(u64),
}

/// A text that is no reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a percentage (10%) nor a size (50G)")]
pub struct ReserveError;

impl Default for Reserve {
    fn default() -> Self {
        Self::Bytes(0)
    }
}

impl fmt::Display for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Bytes(bytes) => write!(f, "{}", Bytes(*bytes)),
        }
    }
}

impl FromStr for Reserve {
    type Err = ReserveError;

    fn from_str(text: &str) -> Result<Self, ReserveError> {
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.parse().ok().filter(|percent| *percent < 100);
            return percent.map(Self::Percent).ok_or(ReserveError);
        }
        size::parse(text).map(Self::Bytes).ok_or(ReserveError)
    }
}

impl Reserve {
    /// Of a pool of this size, in bytes.
    fn of(self, size: u64) -> u64 {
        match self {
            Self::Percent(percent) => {
                u64::try_from(u128::from(size) * u128::from(percent) / 100).unwrap_or(u64::MAX)
            }
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Bytes that may be received below a dataset that exists.
    pub(crate) async fn room(self, zfs: &Zfs, exists: &DatasetName) -> Result<u64, Failure> {
        let (space, pool) = zfs.space(exists).await.map_err(|error| zfs_failure(&error))?;
        let kept = self.of(pool.used.saturating_add(pool.available));
        Ok(space.available.min(pool.available.saturating_sub(kept)))
    }

    /// Refuses a transfer of so many bytes that the target or its pool has no room for. A quota
    /// counts as the room that it leaves.
    pub(crate) async fn check(
        self,
        zfs: &Zfs,
        target: &DatasetName,
        exists: &DatasetName,
        bytes: u64,
    ) -> Result<(), Failure> {
        let room = self.room(zfs, exists).await?;
        if bytes <= room {
            return Ok(());
        }
        let reserve = if self == Self::default() {
            String::new()
        } else {
            format!(", with {self} of the pool kept free")
        };
        Err(Failure::new(
            Code::Refused,
            "receive into",
            target,
            format!(
                "about {} are to come, and there is room for {}{reserve}",
                Bytes(bytes),
                Bytes(room)
            ),
            "Free space at the destination or raise its quota, or choose another.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_a_share_or_a_size() {
        for (text, of_a_thousand) in [
            ("0", 0),
            ("10%", 100),
            ("0%", 0),
            ("99%", 990),
            ("7", 7),
            ("1K", 1024),
            ("2kib", 2048),
        ] {
            assert_eq!(text.parse::<Reserve>().unwrap().of(1000), of_a_thousand, "{text}");
        }
        assert_eq!("50G".parse(), Ok(Reserve::Bytes(50 << 30)));
        assert_eq!(Reserve::Percent(50).of(u64::MAX), u64::MAX / 2);
        for text in ["", "%", "100%", "-1", "1.5G", "G", "10 %", "9999999999P", "1X"] {
            assert_eq!(text.parse::<Reserve>(), Err(ReserveError), "{text}");
        }
    }
}
