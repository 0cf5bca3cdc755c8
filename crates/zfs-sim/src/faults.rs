//! What the environment asks of a send or a receive: to be slow, to pause until told to go on, to fail.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The most that passes between two looks at the clock.
const STEP: u64 = 16 << 10;
/// How often a paused process looks for its file.
const POLL: Duration = Duration::from_millis(5);

/// A stream that obeys `ZFS_SIM_SEND_*` or `ZFS_SIM_RECEIVE_*`.
pub(crate) struct Faulty<S> {
    stream: S,
    passed: u64,
    began: Instant,
    /// Bytes a second.
    rate: Option<u64>,
    /// After so many bytes, until that file exists.
    pause: Option<(u64, PathBuf)>,
    fail_at: Option<u64>,
}

impl<S> Faulty<S> {
    /// `command` is `SEND` or `RECEIVE`.
    pub(crate) fn new(command: &str, stream: S) -> Result<Self> {
        let variable = |knob: &str| format!("ZFS_SIM_{command}_{knob}");
        let pause_at = number(&variable("PAUSE_AT"))?;
        let until = std::env::var_os(variable("PAUSE_UNTIL")).map(PathBuf::from);
        Ok(Self {
            stream,
            passed: 0,
            began: Instant::now(),
            rate: number(&variable("RATE"))?,
            pause: pause_at.zip(until),
            fail_at: number(&variable("FAIL_AT"))?,
        })
    }

    /// How many of so many bytes may pass before something happens.
    fn room(&self, bytes: usize) -> usize {
        let pause = self.pause.as_ref().map(|(at, _)| at.saturating_sub(self.passed));
        let fail = self.fail_at.map(|at| at.saturating_sub(self.passed));
        let step = if self.rate.is_some() { STEP } else { u64::MAX };
        let room = pause.into_iter().chain(fail).fold(step, u64::min);
        usize::try_from(room).map_or(bytes, |room| room.min(bytes))
    }

    /// Waits, or fails, if it is time to; `before_pause` comes first.
    fn obey(&mut self, before_pause: impl FnOnce(&mut S) -> io::Result<()>) -> io::Result<()> {
        if self.fail_at.is_some_and(|at| self.passed >= at) {
            return Err(io::Error::other("as told"));
        }
        if let Some((_, until)) = self.pause.take_if(|(at, _)| self.passed >= *at) {
            before_pause(&mut self.stream)?;
            std::fs::write(until.with_added_extension("waiting"), "")?;
            while !until.exists() {
                sleep(POLL);
            }
        }
        if let Some(rate) = self.rate.filter(|rate| *rate > 0) {
            let due = Duration::from_secs_f64(self.passed as f64 / rate as f64);
            sleep(due.saturating_sub(self.began.elapsed()));
        }
        Ok(())
    }
}

impl<S: Write> Write for Faulty<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.obey(S::flush)?;
        let room = self.room(bytes.len());
        let count = self.stream.write(&bytes[..room])?;
        self.passed += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Read> Read for Faulty<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.obey(|_| Ok(()))?;
        let room = self.room(buffer.len());
        let count = self.stream.read(&mut buffer[..room])?;
        self.passed += count as u64;
        Ok(count)
    }
}

/// A number from the environment.
pub(crate) fn number(variable: &str) -> Result<Option<u64>> {
    let Ok(text) = std::env::var(variable) else { return Ok(None) };
    text.parse().map(Some).with_context(|| format!("{variable} is not a number: {text}"))
}
