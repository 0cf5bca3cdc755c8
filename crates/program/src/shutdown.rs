//! SIGINT, SIGTERM and SIGHUP: a request to end, not the end itself, unless it is repeated.

use std::process;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit status of a program that its user interrupted, as in a shell.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled at the first SIGINT, SIGTERM or SIGHUP. A SIGINT after that ends the
/// program at once, with status 130.
///
/// Must be called within a tokio runtime.
pub fn token() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        tracing::debug!("asked to end");
        cancelled.cancel();
        interrupt.recv().await;
        // Nothing is left running: the kernel kills the processes that move streams when their
        // parent ends (see `zfs::process::launcher`), and all others end by themselves.
        process::exit(INTERRUPTED);
    });
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    /// Set for the process that is to be interrupted, which is this test program again.
    const VICTIM: &str = "TEST_SHUTDOWN_VICTIM";

    #[test]
    fn the_first_interrupt_cancels_and_the_second_ends_the_program() {
        if std::env::var_os(VICTIM).is_some() {
            return never_end();
        }
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--nocapture", "--exact"])
            .arg("shutdown::tests::the_first_interrupt_cancels_and_the_second_ends_the_program")
            .env(VICTIM, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(victim.id().try_into().unwrap()).unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        for awaited in ["runs", "cancelled"] {
            let told = lines.by_ref().map(Result::unwrap).find(|line| line.ends_with(awaited));
            assert!(told.is_some(), "it ended without a word of: {awaited}");
            kill_process(pid, Signal::INT).unwrap();
        }
        assert_eq!(victim.wait().unwrap().code(), Some(INTERRUPTED));
    }

    fn never_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let token = token().unwrap();
            println!("runs");
            token.cancelled().await;
            println!("cancelled");
            std::future::pending::<()>().await;
        });
    }
}
