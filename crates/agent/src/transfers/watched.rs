//! Whether anyone still wants a transfer.
//!
//! It outlives the connection to the tracker, and with that everyone who watches it: they attach
//! again as soon as the tracker is back. If nobody does, nobody wants it any more, and it would keep
//! others from its destination for as long as it may wait for a source.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long after the tracker is back, and knows of this machine again, someone must have attached:
/// that is all it takes for the tracker to pass an attachment on, and the cli tries every 10 s.
const ATTACH_AGAIN: Duration = Duration::from_secs(65);

/// How many hold a transfer.
#[derive(Clone)]
pub(super) struct Holders(Rc<watch::Sender<usize>>);

/// One who holds it. Gone when dropped.
pub(super) struct Holder(Holders);

impl Holders {
    pub(super) fn none() -> Self {
        Self(Rc::new(watch::Sender::new(0)))
    }

    pub(super) fn one_more(&self) -> Holder {
        self.0.send_modify(|count| *count += 1);
        Holder(self.clone())
    }

    /// Cancels the transfer when nobody has held it for a while in which they could have. Ends
    /// with the transfer, whose status then is `over`.
    pub(super) async fn cancel_unwanted(
        &self,
        mut registered: watch::Receiver<bool>,
        over: impl Future<Output = ()>,
        cancel: &CancellationToken,
    ) {
        let mut count = self.0.subscribe();
        let unwanted = async {
            loop {
                // The senders are held as long as this runs.
                let _ = count.wait_for(|count| *count == 0).await;
                let _ = registered.wait_for(|registered| *registered).await;
                tokio::select! {
                    () = tokio::time::sleep(ATTACH_AGAIN) => return,
                    _ = count.wait_for(|count| *count > 0) => {}
                    _ = registered.wait_for(|registered| !registered) => {}
                }
            }
        };
        tokio::select! {
            () = unwanted => cancel.cancel(),
            () = over => {}
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::{Instant, sleep};

    /// When the transfer is cancelled, in seconds of a clock that stands still while nobody waits.
    async fn cancelled_after(
        holders: &Holders,
        registered: &watch::Sender<bool>,
        story: impl Future<Output = ()>,
    ) -> u64 {
        let cancel = CancellationToken::new();
        let start = Instant::now();
        let watching = holders.cancel_unwanted(registered.subscribe(), pending(), &cancel);
        tokio::join!(watching, story);
        assert!(cancel.is_cancelled());
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_holds_is_cancelled_once_the_tracker_has_been_back_for_a_while() {
        let (holders, registered) = (Holders::none(), watch::Sender::new(true));
        let holder = holders.one_more();
        let story = async {
            sleep(Duration::from_secs(1000)).await;
            registered.send_replace(false);
            drop(holder);
            sleep(Duration::from_secs(1000)).await;
            registered.send_replace(true);
        };
        assert_eq!(cancelled_after(&holders, &registered, story).await, 2065);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tracker_that_goes_again_gives_the_whole_time_anew() {
        let (holders, registered) = (Holders::none(), watch::Sender::new(false));
        let story = async {
            for (after, there) in [(100, true), (60, false), (340, true)] {
                sleep(Duration::from_secs(after)).await;
                registered.send_replace(there);
            }
        };
        assert_eq!(cancelled_after(&holders, &registered, story).await, 565);
    }

    #[tokio::test(start_paused = true)]
    async fn who_attaches_in_time_keeps_it() {
        let (holders, registered) = (Holders::none(), watch::Sender::new(true));
        let story = async {
            sleep(Duration::from_secs(60)).await;
            let holder = holders.one_more();
            sleep(Duration::from_secs(1000)).await;
            drop(holder);
        };
        assert_eq!(cancelled_after(&holders, &registered, story).await, 1125);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_over_is_watched_no_longer() {
        let (holders, registered) = (Holders::none(), watch::Sender::new(true));
        let cancel = CancellationToken::new();
        let over = sleep(Duration::from_secs(5));
        holders.cancel_unwanted(registered.subscribe(), over, &cancel).await;
        assert!(!cancel.is_cancelled());
    }
}
