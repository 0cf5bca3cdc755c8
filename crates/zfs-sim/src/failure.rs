//! How a command fails: ZFS's words on stderr and its exit status. Anything else is a fault of the
//! simulator or its state, and says so.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// What a shell reports for a process that SIGPIPE ended, as it ends the real commands.
const BROKEN_PIPE: u8 = 141;

/// The failure of a command, in ZFS's own words; empty when they were printed on the way.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    message: String,
}

impl Failure {
    /// Exit status 1 with a message.
    pub(crate) fn error(message: impl Into<String>) -> anyhow::Error {
        Self::with_status(1, message)
    }

    /// An exit status of its own, with a message.
    pub(crate) fn with_status(status: u8, message: impl Into<String>) -> anyhow::Error {
        Self { status, message: message.into() }.into()
    }

    /// Exit status 1; everything has been said.
    pub(crate) fn silent() -> anyhow::Error {
        Self::error("")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Prints a failure and turns it into the process's exit status.
pub(crate) fn exit(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if let Some(failure) = error.downcast_ref::<Failure>() {
        if !failure.message.is_empty() {
            // Nobody may be listening any more; the status still tells.
            let _ = writeln!(io::stderr(), "{}", failure.message.trim_end_matches('\n'));
        }
        return ExitCode::from(failure.status);
    }
    if error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    {
        return ExitCode::from(BROKEN_PIPE);
    }
    eprintln!("zfs-sim: {error:#}");
    ExitCode::from(70)
}
