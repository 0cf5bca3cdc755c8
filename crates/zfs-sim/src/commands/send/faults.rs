//! What the environment asks of a send: to be slow, to pause until told to go on, to fail.

use std::io::{self, Write};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The most that is written between two looks at the clock.
const STEP: u64 = 16 << 10;
/// How often a paused send looks for its file.
const POLL: Duration = Duration::from_millis(5);

/// Output that obeys `ZFS_SIM_SEND_*`.
pub(super) struct Faulty<W> {
    out: W,
    written: u64,
    began: Instant,
    /// Bytes a second.
    rate: Option<u64>,
    /// After so many bytes, until that file exists.
    pause: Option<(u64, PathBuf)>,
    fail_at: Option<u64>,
}

impl<W: Write> Faulty<W> {
    pub(super) fn new(out: W) -> Result<Self> {
        let pause_at = number("ZFS_SIM_SEND_PAUSE_AT")?;
        let until = std::env::var_os("ZFS_SIM_SEND_PAUSE_UNTIL").map(PathBuf::from);
        Ok(Self {
            out,
            written: 0,
            began: Instant::now(),
            rate: number("ZFS_SIM_SEND_RATE")?,
            pause: pause_at.zip(until),
            fail_at: number("ZFS_SIM_SEND_FAIL_AT")?,
        })
    }

    /// How many bytes may go out before something happens.
    fn room(&self) -> u64 {
        let pause = self.pause.as_ref().map(|(at, _)| at.saturating_sub(self.written));
        let fail = self.fail_at.map(|at| at.saturating_sub(self.written));
        pause
            .into_iter()
            .chain(fail)
            .fold(if self.rate.is_some() { STEP } else { u64::MAX }, u64::min)
    }

    /// Waits, or fails, if it is time to.
    fn obey(&mut self) -> io::Result<()> {
        if self.fail_at.is_some_and(|at| self.written >= at) {
            return Err(io::Error::other("as told"));
        }
        if let Some((_, until)) = self.pause.take_if(|(at, _)| self.written >= *at) {
            self.out.flush()?;
            std::fs::write(until.with_added_extension("waiting"), "")?;
            while !until.exists() {
                sleep(POLL);
            }
        }
        if let Some(rate) = self.rate.filter(|rate| *rate > 0) {
            let due = Duration::from_secs_f64(self.written as f64 / rate as f64);
            sleep(due.saturating_sub(self.began.elapsed()));
        }
        Ok(())
    }
}

impl<W: Write> Write for Faulty<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.obey()?;
        let room = usize::try_from(self.room()).unwrap_or(usize::MAX);
        let count = self.out.write(&bytes[..bytes.len().min(room)])?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn number(variable: &str) -> Result<Option<u64>> {
    let Ok(text) = std::env::var(variable) else { return Ok(None) };
    text.parse().map(Some).with_context(|| format!("{variable} is not a number: {text}"))
}
