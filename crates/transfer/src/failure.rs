//! ZFS's errors, as failures with a class and a remedy. The one place where they are classed.

use schema::{Code, Failure};
use zfs::Reason;
use zfs::process::{CommandError, OperationError};

use schema::text::chain;

/// A failed operation, in ZFS's own words where it said any.
pub fn zfs_failure(error: &dyn OperationError) -> Failure {
    let (code, remedy) = match error.command_error() {
        CommandError::NotStarted { .. } => {
            (Code::Failed, "Install OpenZFS's programs, or name them with --zfs and --zpool.")
        }
        _ => classify(error.reason()),
    };
    let reason = match error.zfs_message() {
        Some(message) => message.to_owned(),
        None => chain(error.command_error()),
    };
    Failure::new(code, error.operation(), error.subject(), reason, remedy)
}

/// The class of why ZFS failed, and what to do about it.
fn classify(reason: Option<Reason>) -> (Code, &'static str) {
    match reason {
        Some(Reason::NotFound) => {
            (Code::Refused, "Look at what is there with: zfs list -t all -r POOL")
        }
        Some(Reason::NotAFilesystem) => {
            (Code::Refused, "Choose a destination that isn't below a volume.")
        }
        Some(Reason::Exists) => (Code::Refused, "Choose another name for the destination."),
        Some(Reason::Busy) => (
            Code::Refused,
            "Another receive into it may be running. Wait for it, then run the command again.",
        ),
        Some(Reason::OutOfSpace) => {
            (Code::Refused, "Free space at the destination or raise its quota, or choose another.")
        }
        Some(Reason::NotPermitted) => {
            (Code::Refused, "Grant the rights with `zfs allow` (README), or run it as root.")
        }
        Some(Reason::KeyNotLoaded) => (Code::Refused, "Load the key at the source: zfs load-key"),
        Some(Reason::BadStream) => {
            (Code::Failed, "The stream was cut or damaged. Run the command again.")
        }
        Some(Reason::Suspended) => {
            (Code::Failed, "Bring the pool back with `zpool clear`, then run the command again.")
        }
        Some(Reason::PartialState) => (
            Code::Refused,
            "Finish the interrupted receive at the destination, or abort it with: zfs receive -A",
        ),
        Some(
            Reason::Modified
            | Reason::NoCommonSnapshot
            | Reason::NeedsLargeBlocks
            | Reason::EmbeddedBlocks
            | Reason::UnsupportedStream
            | Reason::OtherKey
            | Reason::OtherDevice
            | Reason::CorruptToken
            | Reason::BaseGone
            | Reason::Held,
        ) => (Code::Refused, "The destination takes no such stream. Choose another name for it."),
        Some(Reason::NothingToAbort | Reason::NotHeld) | None => {
            (Code::Failed, "Run the command again; if it fails again, look into what ZFS said.")
        }
    }
}
