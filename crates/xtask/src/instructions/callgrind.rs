//! Counts a test's instructions with callgrind.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process;

/// Keeps the C library from copying and clearing by what it derives from the processor's caches: never
/// with `rep movsb`, which callgrind counts byte by byte.
const TUNABLES: &str = "glibc.cpu.x86_rep_movsb_threshold=0x100000000:\
    glibc.cpu.x86_rep_stosb_threshold=0x100000000:\
    glibc.cpu.x86_non_temporal_threshold=0x100000000";

/// Runs `test` of `program` with so many streams of so many bytes, and tells how many instructions
/// that took; where they went is written to the file `profile`.
pub(super) fn count(
    program: &Path,
    test: &str,
    bytes: u64,
    streams: u64,
    profile: &Path,
) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet", "--cache-sim=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args(["--exact", test, "--test-threads=1"])
        // Whatever else is set would be the machine's.
        .env_clear()
        .env("GLIBC_TUNABLES", TUNABLES)
        .env("ZATLAS_STREAMS", streams.to_string())
        .env("ZATLAS_STREAM_BYTES", bytes.to_string())
        .current_dir(profile.parent().unwrap_or(Path::new("/")))
        .stdin(Stdio::null());
    let output = command.output().context("cannot start valgrind")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !said.contains("1 passed") {
        let warned = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}\n{said}{warned}", process::shown(&command), output.status);
    }
    let written = fs::read_to_string(profile);
    let written = written.with_context(|| format!("cannot read {}", profile.display()))?;
    total(&written).with_context(|| format!("{} has no total", profile.display()))
}

/// The instructions of all of a profile: the first number of the line `totals:`
/// (<https://valgrind.org/docs/manual/cl-format.html>).
fn total(profile: &str) -> Option<u64> {
    let mut lines = profile.lines().rev();
    let totals = lines.find_map(|line| line.strip_prefix("totals:"))?;
    totals.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_last_lines_and_not_a_functions() {
        let profile = "version: 1\nevents: Ir\nsummary: 17\n\nfn=(1) totals:\n3 12\n\ntotals: 15\n";
        assert_eq!(total(profile), Some(15));
        assert_eq!(total("totals: 15 3 4"), Some(15));
        for cut in ["", "fn=(1) main\n", "totals:", "totals: many"] {
            assert_eq!(total(cut), None, "{cut}");
        }
    }
}
