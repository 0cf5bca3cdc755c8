//! How a program ends: its message and its exit status.

use std::process::ExitCode;

use schema::Failure;
use zfs::Escaped;

use crate::say;

/// Prints what went wrong, if anything did, and gives the status to exit with.
///
/// A [`Failure`] anywhere in the error's chain decides the status; any other error is status 1.
pub fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    match error.chain().find_map(|cause| cause.downcast_ref::<Failure>()) {
        Some(failure) => {
            say(failure);
            ExitCode::from(failure.exit_status())
        }
        None => {
            for line in format!("{error:#}").lines() {
                say(Escaped(line));
            }
            ExitCode::FAILURE
        }
    }
}
