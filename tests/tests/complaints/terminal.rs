//! What a program shows on a terminal.

use std::fs::File;
use std::io::Read;
use std::process::{Command, ExitStatus};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Runs a command whose standard error is a terminal; gives all that was written to it.
pub(crate) fn run(mut command: Command) -> (ExitStatus, String) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).expect("a terminal");
    unlockpt(&ours).expect("a terminal");
    let theirs = ptsname(&ours, Vec::new()).expect("a terminal's name");
    let theirs = File::options().read(true).write(true).open(theirs.to_str().unwrap()).unwrap();
    command.env("TERM", "xterm").stderr(theirs);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // Else there is one more who could write to it, and no end of it.
    drop(command);
    let mut shown = Vec::new();
    let mut block = [0; 4096];
    let mut ours = File::from(ours);
    // Ends with an error when the last one who could write is gone.
    while let Ok(length @ 1..) = ours.read(&mut block) {
        shown.extend_from_slice(&block[..length]);
    }
    (child.wait().unwrap(), String::from_utf8_lossy(&shown).into_owned())
}

/// All percents that were shown, one after the other.
pub(crate) fn percents(shown: &str) -> Vec<u32> {
    let before = |text: &str| {
        let digits = text.rfind(|it: char| !it.is_ascii_digit()).map_or(0, |place| place + 1);
        text[digits..].parse().ok()
    };
    shown.match_indices('%').filter_map(|(place, _)| before(&shown[..place])).collect()
}
