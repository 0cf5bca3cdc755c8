//! The tags of one agent's holds: `zatlas-<agent>-<transfer>`.

use std::fmt;

use schema::{Code, Failure, Machine};
use serde::{Deserialize, Serialize};
use zfs::HoldTag;

/// A transfer's id has so many hex digits, so that what is before it in a tag can be told from it.
const DIGITS: usize = 16;

/// A transfer, as tags name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct TransferId(u64);

impl TransferId {
    /// What a peer calls a transfer. It gets to choose no other part of a tag.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        Self::try_from(text.to_owned()).map_err(|reason| {
            let remedy = "Install the same release of zatlas on both machines.";
            Failure::new(Code::Usage, "hold for the transfer", text, reason, remedy)
        })
    }
}

impl TryFrom<String> for TransferId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == DIGITS && text.bytes().all(is_digit) {
            u64::from_str_radix(&text, 16).map(Self).map_err(|error| error.to_string())
        } else {
            Err(format!("its id has not {DIGITS} hex digits"))
        }
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

/// The tags of one agent; as text `zatlas-<agent>-...`.
#[derive(Debug)]
pub(super) struct Tags {
    prefix: String,
}

impl Tags {
    pub(super) fn of(machine: &Machine) -> Self {
        Self { prefix: format!("zatlas-{machine}") }
    }

    /// The tag for a transfer.
    pub(super) fn tag(&self, transfer: TransferId) -> Result<HoldTag, Failure> {
        let tag = format!("{}-{transfer}", self.prefix);
        tag.parse().map_err(|error| {
            Failure::new(Code::Failed, "hold for the transfer", transfer, error, "")
        })
    }

    /// The transfer of a tag, if it is this agent's. An agent's name may begin with another's, and
    /// hold dashes; so the tag is read from its end.
    pub(super) fn transfer(&self, tag: &str) -> Option<TransferId> {
        let (prefix, transfer) = tag.rsplit_once('-')?;
        if prefix == self.prefix { transfer.to_owned().try_into().ok() } else { None }
    }
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-...", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_from_its_end() {
        let tags = |machine: &str| Tags::of(&machine.parse().unwrap());
        let id = "0123456789abcdef";
        for (machine, tag, is_ours) in [
            ("a", format!("zatlas-a-{id}"), true),
            ("a-b", format!("zatlas-a-b-{id}"), true),
            ("a", format!("zatlas-a-b-{id}"), false),
            ("a-b", format!("zatlas-a-{id}"), false),
            (id, format!("zatlas-{id}-{id}"), true),
            ("a", format!("zatlas-a-{id}-{id}"), false),
            ("a", format!("zatlas-a-{id}0"), false),
            ("a", "zatlas-a-0123456789ABCDEF".into(), false),
            ("a", "zatlas-a-+123456789abcde".into(), false),
            ("a", "zatlas-a-".into(), false),
            ("a", format!("other-a-{id}"), false),
            ("a", "keep".into(), false),
        ] {
            assert_eq!(tags(machine).transfer(&tag).is_some(), is_ours, "{tag} of {machine}");
        }
        let id = TransferId::parse(id).unwrap();
        let longest = tags(&"m".repeat(63));
        assert_eq!(longest.transfer(longest.tag(id).unwrap().as_str()), Some(id));
    }

    #[test]
    fn a_peer_chooses_nothing_but_the_digits() {
        for id in [
            "",
            "x",
            "0123456789abcde",
            "-b-0123456789abcdef",
            "0123456789abcdeé",
            "../../x/../../../",
        ] {
            assert_eq!(TransferId::parse(id).unwrap_err().code, Code::Usage, "{id}");
        }
        let id = "00000000000000ff";
        assert_eq!(TransferId::parse(id).unwrap().to_string(), id);
    }
}
