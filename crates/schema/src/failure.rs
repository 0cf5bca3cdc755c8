//! An expected failure: what failed, on what, why, and what to do about it.

use std::fmt;

use zfs::Escaped;

pub use crate::outcome_capnp::Code;
use crate::outcome_capnp::failure;

/// What a call answers when it can't do what it was asked for.
///
/// Shown as two lines or more: the first says what, the last what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class, from which the cli's exit status follows.
    pub code: Code,
    /// A verb phrase: "receive".
    pub operation: String,
    /// What it was done to.
    pub subject: String,
    /// Why; ZFS's own words where ZFS was asked.
    pub reason: String,
    /// What the reader can do.
    pub remedy: String,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", Escaped(&self.operation))?;
        if !self.subject.is_empty() {
            write!(f, " '{}'", Escaped(&self.subject))?;
        }
        // ZFS's messages may have several lines; each is escaped by itself so that they stay lines.
        let mut lines = self.reason.lines();
        write!(f, ": {}", Escaped(lines.next().unwrap_or("no reason was given")))?;
        for line in lines {
            write!(f, "\n  {}", Escaped(line))?;
        }
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n{}", Escaped(&self.remedy)) }
    }
}

impl Failure {
    /// A failure of class `code`.
    pub fn new(
        code: Code,
        operation: impl Into<String>,
        subject: impl fmt::Display,
        reason: impl fmt::Display,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            code,
            operation: operation.into(),
            subject: subject.to_string(),
            reason: reason.to_string(),
            remedy: remedy.into(),
        }
    }

    /// An exception from the RPC system: the peer is gone, overloaded, or has a bug.
    pub fn from_exception(
        operation: &str,
        subject: impl fmt::Display,
        exception: &capnp::Error,
    ) -> Self {
        let (code, remedy) = match exception.kind {
            capnp::ErrorKind::Disconnected => {
                (Code::Unreachable, "The connection was lost. Run the command again.")
            }
            capnp::ErrorKind::Overloaded => {
                (Code::Failed, "The other side is overloaded. Run the command again later.")
            }
            _ => (Code::Failed, "The log of the other side has more."),
        };
        Self::new(code, operation, subject, exception, remedy)
    }

    /// The cli's exit status.
    pub fn exit_status(&self) -> u8 {
        match self.code {
            Code::Failed | Code::OtherProtocol | Code::Unreachable | Code::NoSuchTransfer => 1,
            Code::Usage => 2,
            Code::NoSuchDataset | Code::NoSuchPlace => 3,
            Code::Ambiguous => 4,
            Code::Offline => 5,
            Code::Refused => 6,
            Code::Interrupted => 130,
        }
    }

    /// Reads one from a message. A text that isn't UTF-8 is taken as far as it goes.
    pub fn read(reader: failure::Reader<'_>) -> capnp::Result<Self> {
        let text =
            |text: capnp::text::Reader<'_>| String::from_utf8_lossy(text.as_bytes()).into_owned();
        Ok(Self {
            code: reader.get_code().unwrap_or(Code::Failed),
            operation: text(reader.get_operation()?),
            subject: text(reader.get_subject()?),
            reason: text(reader.get_zfs_message()?),
            remedy: text(reader.get_remedy()?),
        })
    }

    /// Writes it into a message.
    pub fn write(&self, mut builder: failure::Builder<'_>) {
        builder.set_code(self.code);
        builder.set_operation(&self.operation);
        builder.set_subject(&self.subject);
        builder.set_zfs_message(&self.reason);
        builder.set_remedy(&self.remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Failure {
        Failure::new(
            Code::Refused,
            "receive",
            "tank/a",
            "cannot receive new filesystem stream: out of space\nmore\x1b[2J",
            "Free some space.",
        )
    }

    #[test]
    fn the_first_line_says_what_and_the_last_what_to_do() {
        assert_eq!(
            example().to_string(),
            "cannot receive 'tank/a': cannot receive new filesystem stream: out of space\n  \
             more\\u{1b}[2J\nFree some space."
        );
    }

    #[test]
    fn it_survives_the_wire() {
        let mut message = capnp::message::Builder::new_default();
        example().write(message.init_root());
        let reader = message.get_root_as_reader().unwrap();
        assert_eq!(Failure::read(reader).unwrap(), example());
    }
}
