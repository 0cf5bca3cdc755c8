//! How fast data may go.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use schema::text::Bytes;

use crate::size;

/// Less is more likely a unit that was forgotten than meant.
const LEAST: u64 = 1024;

/// Bytes per second: `10M` is 10 MiB/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(NonZeroU64);

/// A text that is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// It is no size at all.
    #[error("not a rate: write bytes per second as 500K, 10M or 1G")]
    Malformed,
    /// It is hardly what was meant.
    #[error("a rate is at least 1K, which is 1024 bytes per second")]
    TooSmall,
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        match size::parse(text) {
            None => Err(RateError::Malformed),
            Some(0..LEAST) => Err(RateError::TooSmall),
            Some(bytes) => Self::per_second(bytes).ok_or(RateError::TooSmall),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Bytes(self.bytes_per_second()))
    }
}

impl Rate {
    /// Of so many bytes per second; `None` for 0, which stands for no limit on the wire.
    pub fn per_second(bytes: u64) -> Option<Self> {
        NonZeroU64::new(bytes).map(Self)
    }

    /// In bytes per second.
    pub fn bytes_per_second(self) -> u64 {
        self.0.get()
    }

    /// An equal part of it for each of so many; never nothing.
    pub fn divided_by(self, parts: usize) -> Self {
        let parts = u64::try_from(parts).unwrap_or(u64::MAX).max(1);
        Self(NonZeroU64::new(self.0.get() / parts).unwrap_or(NonZeroU64::MIN))
    }

    /// How long so many bytes take at least.
    pub(crate) fn time_for(self, bytes: usize) -> Duration {
        let nanos = (bytes as u128 * 1_000_000_000).div_ceil(u128::from(self.0.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_written_as_the_bytes_of_a_second() {
        for (text, bytes) in [("1K", 1 << 10), ("10M", 10 << 20), ("1500", 1500), ("2GiB", 2 << 30)]
        {
            assert_eq!(text.parse::<Rate>().unwrap().bytes_per_second(), bytes, "{text}");
        }
        assert_eq!("fast".parse::<Rate>(), Err(RateError::Malformed));
        assert_eq!("10Mbit".parse::<Rate>(), Err(RateError::Malformed));
        for text in ["0", "100", "1023"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError::TooSmall), "{text}");
        }
        assert_eq!("10M".parse::<Rate>().unwrap().to_string(), "10.0 MiB/s");
    }

    #[test]
    fn parts_add_up_to_no_more_than_the_whole() {
        let rate: Rate = "10M".parse().unwrap();
        assert_eq!(rate.divided_by(4).bytes_per_second(), (10 << 20) / 4);
        assert!(3 * rate.divided_by(3).bytes_per_second() <= rate.bytes_per_second());
        assert_eq!(rate.divided_by(0), rate);
        assert_eq!(rate.divided_by(usize::MAX).bytes_per_second(), 1);
    }
}
