//! The tags of one agent's holds: `zatlas-<agent>-<transfer>`.

use std::fmt;

use schema::{Code, Failure, Machine, TransferId, TransferIdError};
use zfs::HoldTag;

/// What a peer calls a transfer. It gets to choose no other part of a tag.
pub(super) fn parse(transfer: &str) -> Result<TransferId, Failure> {
    transfer.parse().map_err(|error: TransferIdError| {
        let remedy = "Install the same release of zatlas on both machines.";
        Failure::new(Code::Usage, "hold for the transfer", transfer, error, remedy)
    })
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
        if prefix == self.prefix { transfer.parse().ok() } else { None }
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
        let id = id.parse().unwrap();
        let longest = tags(&"m".repeat(63));
        assert_eq!(longest.transfer(longest.tag(id).unwrap().as_str()), Some(id));
    }
}
