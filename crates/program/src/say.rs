//! What a program says to people: lines on standard error.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes a line to standard error.
///
/// That it can't be written (`2>&1 | head -1`) is no reason to give up what the program does, as
/// `eprintln!` would.
pub fn say(line: impl Display) {
    // In one piece, so that other processes' lines don't come between.
    let line = format!("{line}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}
