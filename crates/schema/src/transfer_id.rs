//! What a transfer goes by: in its destination's marker, in the tags of holds, in messages.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// As text, so many hex digits.
const DIGITS: usize = 16;

/// A transfer; as text 16 hex digits. All transfers to one destination have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TransferId(u64);

/// A text is no transfer's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a transfer's id has {DIGITS} hex digits, in lower case")]
pub struct TransferIdError;

impl FromStr for TransferId {
    type Err = TransferIdError;

    fn from_str(text: &str) -> Result<Self, TransferIdError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == DIGITS && text.bytes().all(is_digit) {
            u64::from_str_radix(text, 16).map(Self).map_err(|_| TransferIdError)
        } else {
            Err(TransferIdError)
        }
    }
}

impl TryFrom<String> for TransferId {
    type Error = TransferIdError;

    fn try_from(text: String) -> Result<Self, TransferIdError> {
        text.parse()
    }
}

impl From<TransferId> for String {
    fn from(id: TransferId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_its_digits_and_nothing_else() {
        for id in [
            "",
            "x",
            "0123456789abcde",
            "0123456789ABCDEF",
            "+123456789abcdef",
            "-b-0123456789abcdef",
            "0123456789abcdeé",
            "../../x/../../../",
        ] {
            assert_eq!(id.parse::<TransferId>(), Err(TransferIdError), "{id}");
        }
        let id = "00000000000000ff";
        assert_eq!(id.parse::<TransferId>().unwrap().to_string(), id);
    }
}
