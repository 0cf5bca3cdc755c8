//! Starts a process that dies with us, even when we are killed with SIGKILL.
//!
//! We run ourselves again, that process asks the kernel for a signal at its parent's death
//! (`PR_SET_PDEATHSIG`), and becomes the program in question. The kernel's "parent" is the
//! *thread* that started it: when that thread ends, the process is killed. So start long-lived
//! processes on a thread that outlives them (a runtime's own, never a blocking task's).
//!
//! The kernel forgets the request if the program is setuid or has file capabilities; `zfs` isn't.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tokio::process::Command;

/// The first argument of a process that is to become another: then our id, program, arguments.
const MARKER: &str = "zatlas-launch";
/// Us, also when the file that we were started from has been replaced.
const OURSELVES: &str = "/proc/self/exe";
/// The exit status for a program that can't be started, as in a shell.
const NOT_STARTED: i32 = 127;

/// What is to be called first thing in `main`, before anything is printed or any thread made.
///
/// Returns if this process is what it seems to be; else it becomes another or exits.
pub fn run_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == MARKER) {
        eprintln!("{}", become_another(arguments));
        std::process::exit(NOT_STARTED);
    }
}

/// The command that starts `program`, whose arguments are to be added.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new(OURSELVES);
    command.arg(MARKER).arg(std::process::id().to_string()).arg(program);
    command
}

/// Returns only what went wrong.
fn become_another(mut arguments: impl Iterator<Item = OsString>) -> String {
    let (Some(parent), Some(program)) = (arguments.next(), arguments.next()) else {
        return format!("{MARKER} takes a process id, a program and its arguments");
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return format!("cannot ask for a signal at the parent's death: {error}");
    }
    // A parent that died before the request won't be signalled any more.
    if !is_our_parent(&parent) {
        return "the process that started this one is gone".to_owned();
    }
    let error = std::process::Command::new(&program).args(arguments).exec();
    format!("cannot start {}: {error}", program.display())
}

fn is_our_parent(pid: &OsStr) -> bool {
    let parent = getppid().map(|pid| pid.as_raw_nonzero().to_string());
    parent.is_some_and(|parent| pid == parent.as_str())
}
