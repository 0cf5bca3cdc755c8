//! Which congestion control carries bulk to another machine: the usual one, or BBR where it turns out faster.
//!
//! On a long path that loses packets BBR is many times as fast as what takes each loss for a full path. On a clean
//! one it is no faster, and slower where timers are coarse, as in some virtual machines: it sends by the clock. So
//! each has a few seconds of the first stream, and the better one stays.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::transport::Handle;

/// How long each has to find the path's pace, and then to show it.
const SETTLE: Duration = Duration::from_secs(2);
const MEASURE: Duration = Duration::from_secs(2);
/// As many times as much must be brought by BBR.
const WORTH: f64 = 1.2;
const BBR: &[u8] = b"bbr";

/// A connection that carries bulk.
pub(crate) struct Bulk {
    socket: Handle,
    /// The system's own choice.
    usual: Vec<u8>,
    began: Instant,
    trial: RefCell<Trial>,
}

impl Bulk {
    /// Over this connection; `None` where there is nothing to choose: within a machine nothing is lost.
    pub(crate) fn over(socket: Handle) -> Option<Rc<Self>> {
        let (usual, trial) = (socket.congestion_control()?, RefCell::default());
        Some(Rc::new(Self { socket, usual, began: Instant::now(), trial }))
    }

    /// A stream begins.
    pub(crate) fn begins(&self) {
        self.trial.borrow_mut().begins(self.began.elapsed());
    }

    /// So many bytes more have arrived.
    pub(crate) fn arrived(&self, bytes: usize) {
        let next = self.trial.borrow_mut().arrived(self.began.elapsed(), bytes);
        let name = match next {
            None => return,
            Some(Control::Bbr) => BBR,
            Some(Control::Usual) => &self.usual,
        };
        match self.socket.set_congestion_control(name) {
            Ok(()) => tracing::debug!(control = %name.escape_ascii(), "another congestion control"),
            Err(error) => {
                tracing::debug!(%error, "keeping the usual congestion control");
                *self.trial.borrow_mut() = Trial::over();
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    Usual,
    Bbr,
}

/// Both in turn. Pure: the time is an argument.
#[derive(Debug, Default)]
struct Trial {
    is_over: bool,
    /// When the control in use had its beginning.
    began: Duration,
    /// Bytes since it was to have found its pace.
    bytes: usize,
    /// Bytes per second by the usual one, once that is known.
    usual: Option<f64>,
}

impl Trial {
    fn over() -> Self {
        Self { is_over: true, ..Self::default() }
    }

    fn begins(&mut self, now: Duration) {
        (self.began, self.bytes) = (now, 0);
    }

    /// What is to be used from now on, if that changes.
    fn arrived(&mut self, now: Duration, bytes: usize) -> Option<Control> {
        let since = now.saturating_sub(self.began);
        if self.is_over || since < SETTLE {
            return None;
        }
        self.bytes += bytes;
        if since < SETTLE + MEASURE {
            return None;
        }
        let rate = self.bytes as f64 / (since - SETTLE).as_secs_f64();
        match self.usual {
            None => {
                self.usual = Some(rate);
                self.begins(now);
                Some(Control::Bbr)
            }
            Some(usual) => {
                self.is_over = true;
                (rate < WORTH * usual).then_some(Control::Usual)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is used after a minute in which the two bring so many bytes per second, and how often that changed.
    fn ends_with(usual: usize, bbr: usize) -> (Control, u32) {
        let (mut trial, mut control, mut changes) = (Trial::default(), Control::Usual, 0);
        for tenth in 0..600 {
            let rate = if control == Control::Usual { usual } else { bbr };
            if let Some(next) = trial.arrived(Duration::from_millis(100) * tenth, rate / 10) {
                (control, changes) = (next, changes + 1);
            }
        }
        (control, changes)
    }

    #[test]
    fn the_one_stays_that_brings_more() {
        assert_eq!(ends_with(200_000, 5_000_000), (Control::Bbr, 1));
        assert_eq!(ends_with(5_000_000, 1_000_000), (Control::Usual, 2));
        assert_eq!(ends_with(5_000_000, 5_000_000), (Control::Usual, 2));
    }

    #[test]
    fn the_pause_between_two_streams_counts_against_neither() {
        let mut trial = Trial::default();
        let seconds = Duration::from_secs;
        assert_eq!(trial.arrived(seconds(1), 1000), None);
        trial.begins(seconds(100));
        assert_eq!(trial.arrived(seconds(103), 1000), None);
        assert_eq!(trial.arrived(seconds(104), 1000), Some(Control::Bbr));
        assert_eq!(trial.usual, Some(1000.0));
    }
}
