//! Is it the way that brings nothing, or the source?
//!
//! A way may let a connection through and then hardly anything: large packets may be lost on it, all of them. It is
//! not gone again. A `zfs send` that says nothing for long, since it looks for the few blocks that have changed, is
//! no reason to leave a way.

use std::time::Duration;

use super::converge::Transfer;
use crate::incoming::Heard;
use crate::remote::Remote;

/// A way over which fewer bytes have come may be one that is of no use.
const BULK: u64 = 64 << 10;
/// It may be, if nothing came for so long before the stream was given up.
const QUIET: Duration = Duration::from_secs(10);

impl Transfer {
    /// After a stream that was given up, or broke off.
    pub(super) async fn judge_way(&mut self, heard: &Heard) {
        let (Ok(line), Some(source)) = (self.line(), self.source.clone()) else { return };
        let bytes = heard.bytes.get();
        if line.carried.get() + bytes >= BULK || heard.last.get().elapsed() < QUIET {
            return;
        }
        let remote = Remote { client: &line.source, place: &source.0 };
        let sent = tokio::select! {
            sent = remote.sent() => sent,
            () = self.tools.cancel.cancelled() => return,
        };
        // No answer comes where what was sent before is lost; an older source has none.
        if sent.is_ok_and(|sent| sent <= bytes) {
            return;
        }
        let route = line.route;
        self.ledger.avoid(&source, route);
        self.note(format!(
            "{}: hardly anything comes this way; if there is another, that is tried",
            source.0
        ));
    }
}
