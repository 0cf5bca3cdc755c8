//! Which congestion control carries bulk to another machine: the usual one, or BBR where it turns out faster.
//!
//! On a long path that loses packets BBR is many times as fast as what takes each loss for a full path. On a clean
//! one it is no faster, and slower where timers are coarse, as in some virtual machines: it sends by the clock. So
//! each is [tried](trial) for a few seconds, and the better one stays until the next time.

mod trial;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use self::trial::{Control, Trial};
use crate::transport::Handle;
use crate::unpaced::BBR;

/// A connection that carries bulk.
pub(crate) struct Bulk {
    socket: Handle,
    /// The system's own choice.
    usual: Vec<u8>,
    began: Instant,
    /// `None` once the system has refused a choice.
    trial: RefCell<Option<Trial>>,
}

impl Bulk {
    /// Over this connection; `None` where there is nothing to choose: within a machine nothing is lost.
    pub(crate) fn over(socket: Handle) -> Option<Rc<Self>> {
        let usual = socket.congestion_control()?;
        let trial = RefCell::new(Some(Trial::default()));
        Some(Rc::new(Self { socket, usual, began: Instant::now(), trial }))
    }

    /// A stream waits for the path, until what this returns is dropped.
    pub(crate) fn held_back(self: Rc<Self>) -> HeldBack {
        if let Some(trial) = self.trial.borrow_mut().as_mut() {
            trial.held_back(self.now());
        }
        HeldBack(self)
    }

    /// So many bytes more have arrived.
    pub(crate) fn arrived(&self, bytes: usize) {
        let mut trial = self.trial.borrow_mut();
        let name = match trial.as_mut().and_then(|trial| trial.arrived(self.now(), bytes)) {
            None => return,
            Some(Control::Bbr) => BBR,
            Some(Control::Usual) => &self.usual,
        };
        match self.socket.set_congestion_control(name) {
            Ok(()) => tracing::debug!(control = %name.escape_ascii(), "another congestion control"),
            Err(error) => {
                tracing::debug!(%error, "keeping the congestion control");
                *trial = None;
            }
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

#[cfg(test)]
impl Bulk {
    /// Over a connection that is gone.
    pub(crate) fn over_nothing() -> Rc<Self> {
        let (socket, trial) = (Handle::default(), RefCell::new(Some(Trial::default())));
        Rc::new(Self { socket, usual: Vec::new(), began: Instant::now(), trial })
    }

    /// Whether any stream waits for the path.
    pub(crate) fn holds_back(&self) -> bool {
        self.trial.borrow().as_ref().is_some_and(Trial::holds_back)
    }
}

/// A stream that waits: its window is full, or the socket takes no more.
pub(crate) struct HeldBack(Rc<Bulk>);

impl Drop for HeldBack {
    fn drop(&mut self) {
        if let Some(trial) = self.0.trial.borrow_mut().as_mut() {
            trial.let_go(self.0.now());
        }
    }
}
