//! What can go wrong, one type for each operation: on what, and why in ZFS's own words.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::output::UnexpectedLine;
use crate::reason::Reason;

/// Why a command didn't do what it was run for.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program isn't there, or may not be run.
    #[error("cannot start {program}")]
    NotStarted {
        /// Its path.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// It ended with another status than 0, or by a signal.
    #[error("{}", failure(.status, .message))]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to its standard error, fit to be shown; may be empty.
        message: String,
    },
    /// It printed what it isn't known to print.
    #[error(transparent)]
    Output(#[from] UnexpectedLine),
    /// It couldn't be read from or waited for.
    #[error("lost contact with the process")]
    Lost(#[source] io::Error),
}

fn failure(status: &ExitStatus, message: &str) -> String {
    match (message, status.signal()) {
        ("", Some(_)) => format!("it was killed ({status})"),
        ("", None) => format!("it ended without a word ({status})"),
        _ => message.to_owned(),
    }
}

/// What the errors of all operations have in common.
pub trait OperationError: std::error::Error {
    /// What was tried: `list`, `receive into`, ...
    fn operation(&self) -> &'static str;

    /// The pool, dataset or snapshot that it was tried on, in full.
    fn subject(&self) -> &str;

    /// How the command failed.
    fn command_error(&self) -> &CommandError;

    /// ZFS's own words, if it said anything.
    fn zfs_message(&self) -> Option<&str> {
        match self.command_error() {
            CommandError::Failed { message, .. } if !message.is_empty() => Some(message),
            _ => None,
        }
    }

    /// ZFS's own words, or else what kept it from saying any, with its cause.
    fn why(&self) -> String {
        match self.command_error() {
            CommandError::NotStarted { source, .. } | CommandError::Lost(source) => {
                format!("{}: {source}", self.command_error())
            }
            error => error.to_string(),
        }
    }

    /// Why, so far as ZFS's words are known.
    fn reason(&self) -> Option<Reason> {
        Reason::of(self.zfs_message()?, self.subject())
    }

    /// The subject, its pool or its parent isn't there.
    fn is_not_found(&self) -> bool {
        self.reason() == Some(Reason::NotFound)
    }

    /// What was to be made is there already.
    fn is_there_already(&self) -> bool {
        self.reason() == Some(Reason::Exists)
    }

    /// The subject is in use.
    fn is_busy(&self) -> bool {
        self.reason() == Some(Reason::Busy)
    }

    /// The pool or a quota is full.
    fn is_out_of_space(&self) -> bool {
        self.reason() == Some(Reason::OutOfSpace)
    }
}

macro_rules! operation_error {
    ($(#[$doc:meta])* $name:ident, $operation:literal) => {
        $(#[$doc])*
        #[derive(Debug, thiserror::Error)]
        #[error("cannot {} {subject}", $operation)]
        pub struct $name {
            subject: String,
            source: CommandError,
        }

        impl $name {
            pub(super) fn new(subject: impl ToString, source: CommandError) -> Self {
                Self { subject: subject.to_string(), source }
            }
        }

        impl OperationError for $name {
            fn operation(&self) -> &'static str {
                $operation
            }

            fn subject(&self) -> &str {
                &self.subject
            }

            fn command_error(&self) -> &CommandError {
                &self.source
            }
        }
    };
}

operation_error!(
    /// A listing of pools or datasets failed.
    ListError,
    "list"
);
operation_error!(
    /// Following the pools' events failed or came to an end.
    EventsError,
    "follow the events of"
);
operation_error!(
    /// A property couldn't be read.
    PropertyError,
    "read a property of"
);
operation_error!(
    /// A property couldn't be set.
    SetPropertyError,
    "set a property of"
);
operation_error!(
    /// A snapshot couldn't be taken.
    SnapshotError,
    "take the snapshot"
);
operation_error!(
    /// A snapshot couldn't be bookmarked.
    BookmarkError,
    "bookmark"
);
operation_error!(
    /// A snapshot couldn't be held.
    HoldError,
    "hold"
);
operation_error!(
    /// A hold couldn't be released.
    ReleaseError,
    "release a hold on"
);
operation_error!(
    /// The holds couldn't be listed.
    HoldsError,
    "list the holds of"
);
operation_error!(
    /// A dataset couldn't be rolled back, or not all the way.
    RollbackError,
    "roll back to"
);
operation_error!(
    /// Snapshots couldn't be destroyed.
    DestroyError,
    "destroy"
);
operation_error!(
    /// A dataset couldn't be made.
    CreateError,
    "create"
);
operation_error!(
    /// A partial receive couldn't be aborted.
    AbortError,
    "abort the partial receive of"
);
operation_error!(
    /// A stream's size couldn't be estimated.
    EstimateError,
    "estimate the size of"
);
operation_error!(
    /// A snapshot couldn't be sent.
    SendError,
    "send"
);
operation_error!(
    /// A stream couldn't be received.
    ReceiveError,
    "receive into"
);
