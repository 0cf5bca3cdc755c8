//! What a failure means: ZFS's errors as failures with a remedy, and what a transfer does about each.
//! The one place where they are classed.

use std::io::ErrorKind;

use schema::text::chain;
use schema::{Code, Failure};
use zfs::Reason;
use zfs::process::{CommandError, OperationError};

/// What a transfer does about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Nothing helps but what its remedy says: the transfer ends.
    Permanent,
    /// It may work the next time, from this source too.
    Transient,
    /// Nobody knows what it means: it is tried again, but not for ever.
    Unknown,
    /// This source can't, now; another may.
    NotThisSource,
    /// This source sends what was not planned: it is asked for nothing more.
    Distrusted,
}

/// A failure and its class.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) class: Class,
    pub(crate) failure: Failure,
}

impl Trouble {
    pub(crate) fn permanent(failure: Failure) -> Self {
        Self { class: Class::Permanent, failure }
    }

    pub(crate) fn transient(failure: Failure) -> Self {
        Self { class: Class::Transient, failure }
    }

    pub(crate) fn distrusted(failure: Failure) -> Self {
        Self { class: Class::Distrusted, failure }
    }

    pub(crate) fn not_this_source(failure: Failure) -> Self {
        Self { class: Class::NotThisSource, failure }
    }

    /// What ZFS said at the destination.
    pub(crate) fn at_destination(error: &dyn OperationError) -> Self {
        let class = match error.command_error() {
            CommandError::NotStarted { source, .. } => match source.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => Class::Permanent,
                // Too many processes, no memory: it passes.
                _ => Class::Transient,
            },
            _ => classify(error.reason()).1,
        };
        Self { class, failure: zfs_failure(error) }
    }

    /// What a source answered, or why it couldn't be reached.
    pub(crate) fn at_source(failure: Failure) -> Self {
        let reason = Reason::of(&failure.reason, &failure.subject);
        let class = match (failure.code, reason) {
            (Code::Offline | Code::Unreachable, _)
            | (_, Some(Reason::Busy | Reason::Suspended)) => Class::Transient,
            (Code::Failed, None) => Class::Unknown,
            _ => Class::NotThisSource,
        };
        Self { class, failure }
    }

    /// Why a source took no snapshot.
    pub(crate) fn at_snapshot(failure: Failure) -> Self {
        let reason = Reason::of(&failure.reason, &failure.subject);
        match (failure.code, reason) {
            // It has one by now, of which the tracker hasn't heard yet.
            (Code::Refused, None | Some(Reason::Exists)) => Self::transient(failure),
            (Code::Refused, Some(reason)) => Self { class: classify(Some(reason)).1, failure },
            _ => Self::at_source(failure),
        }
    }
}

/// A failed operation, in ZFS's own words where it said any.
pub fn zfs_failure(error: &dyn OperationError) -> Failure {
    let (code, remedy) = match error.command_error() {
        CommandError::NotStarted { .. } => {
            (Code::Failed, "Install OpenZFS's programs, or name them with --zfs and --zpool.")
        }
        CommandError::Failed { message, .. } if message.is_empty() => (
            Code::Failed,
            "Run the command again; if it fails again, look into that machine's log: dmesg",
        ),
        _ => {
            let (code, _, remedy) = classify(error.reason());
            (code, remedy)
        }
    };
    let reason = match error.zfs_message() {
        Some(message) => message.to_owned(),
        None => chain(error.command_error()),
    };
    Failure::new(code, error.operation(), error.subject(), reason, remedy)
}

/// Why ZFS failed: its exit status for people, its class at the destination, and what to do.
fn classify(reason: Option<Reason>) -> (Code, Class, &'static str) {
    use Class::{NotThisSource, Permanent, Transient, Unknown};
    use Reason as R;
    match reason {
        Some(R::NotFound) => {
            (Code::Refused, Permanent, "Look at what is there with: zfs list -t all -r POOL")
        }
        Some(R::NotAFilesystem) => {
            (Code::Refused, Permanent, "Choose a destination that isn't below a volume.")
        }
        Some(R::Exists) => (Code::Refused, Permanent, "Choose another name for the destination."),
        Some(R::NotHeld | R::Held) => (
            Code::Refused,
            Permanent,
            "See what holds it with: zfs holds SNAPSHOT; zatlas's own: cli holds",
        ),
        Some(R::Busy) => (
            Code::Refused,
            Transient,
            "Another receive into it may be running. Wait for it, then run the command again.",
        ),
        Some(R::OutOfSpace) => (
            Code::Refused,
            Permanent,
            "Free space at the destination or raise its quota, then run the command again: it goes on where it was.",
        ),
        Some(R::Suspended) => {
            (Code::Failed, Transient, "Mend the pool: zpool status, zpool clear.")
        }
        Some(R::NotPermitted) => (
            Code::Refused,
            Permanent,
            "Grant the rights with `zfs allow` (README), or run it as root.",
        ),
        Some(R::KeyNotLoaded) => (Code::Refused, Permanent, "Load the key: zfs load-key"),
        Some(R::OtherKey) => (
            Code::Refused,
            NotThisSource,
            "Use a source that shares the destination's encryption, with --from.",
        ),
        Some(R::Modified | R::NoCommonSnapshot) => (
            Code::Refused,
            Transient,
            "See what has changed with: zfs list -t snapshot -o name,guid,written DATASET",
        ),
        Some(R::PartialState) => (Code::Refused, Transient, "Run the command again."),
        Some(R::NeedsLargeBlocks | R::EmbeddedBlocks | R::OtherDevice | R::BaseGone) => (
            Code::Refused,
            NotThisSource,
            "Another replica may fit. Name one with --from, or begin anew with --restart.",
        ),
        // ZFS says so, too, of a destination that got a snapshot meanwhile: the next look tells. If
        // not, it stays so.
        Some(R::UnsupportedStream) => (
            Code::Refused,
            Unknown,
            "Use another source with --from; or upgrade the destination's pool: zpool upgrade.",
        ),
        Some(R::CorruptToken) => (
            Code::Refused,
            NotThisSource,
            "Throw away what has arrived, and begin anew, with --restart.",
        ),
        Some(R::BadStream) => {
            (Code::Failed, Transient, "The stream was cut or damaged. Run the command again.")
        }
        Some(R::NothingToAbort) | None => (
            Code::Failed,
            Unknown,
            "Run the command again; if it fails again, look into what ZFS said.",
        ),
    }
}

#[cfg(test)]
mod tests;
