//! What a peer makes this vat hold: bytes of calls that wait for their answer, answers that wait to be
//! written, and questions that were never finished. The network stops reading while there is too much.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tokio::sync::Notify;

/// What a question costs besides its bytes: entries in tables, a task, a small answer.
const OVERHEAD: usize = 256;

/// The account of one connection.
pub(crate) struct Meter {
    budget: usize,
    most_open: usize,
    /// Bytes of questions without an answer, and of answers that are not written yet.
    held: Cell<usize>,
    /// Questions that were not finished, with the bytes held for those that were not answered either.
    open: RefCell<HashMap<u32, usize>>,
    eased: Notify,
}

impl Meter {
    /// Allows `budget` bytes to be held and `most_open` questions to be open.
    pub(crate) fn new(budget: usize, most_open: usize) -> Self {
        Self {
            budget,
            most_open,
            held: Cell::new(0),
            open: RefCell::default(),
            eased: Notify::new(),
        }
    }

    /// Waits until there is room for another message.
    pub(crate) async fn room(&self) {
        while self.held.get() > self.budget {
            self.eased.notified().await;
        }
    }

    /// The peer asks: a Call or a Bootstrap of so many bytes.
    ///
    /// # Errors
    /// Too many questions are open, or this number is in use.
    pub(crate) fn asked(&self, question: u32, bytes: usize) -> capnp::Result<()> {
        let mut open = self.open.borrow_mut();
        if open.len() >= self.most_open {
            return Err(capnp::Error::failed("too many questions without a Finish".to_owned()));
        }
        let Entry::Vacant(entry) = open.entry(question) else {
            return Err(capnp::Error::failed("question number in use".to_owned()));
        };
        let cost = bytes + OVERHEAD;
        entry.insert(cost);
        self.held.set(self.held.get() + cost);
        Ok(())
    }

    /// The answer, of so many bytes, is on its way. Returns what to [`release`](Self::release) once it is
    /// written.
    pub(crate) fn answered(&self, question: u32, bytes: usize, no_finish_needed: bool) -> usize {
        let mut open = self.open.borrow_mut();
        let cost = if no_finish_needed {
            open.remove(&question).unwrap_or(0)
        } else {
            open.get_mut(&question).map_or(0, std::mem::take)
        };
        self.held.set(self.held.get() + bytes);
        cost + bytes
    }

    /// The peer wants no answer any more, or has had it.
    pub(crate) fn finished(&self, question: u32) {
        let cost = self.open.borrow_mut().remove(&question).unwrap_or(0);
        self.release(cost);
    }

    /// So many bytes are held no longer.
    pub(crate) fn release(&self, bytes: usize) {
        self.held.set(self.held.get() - bytes);
        self.eased.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn has_room(meter: &Meter) -> bool {
        meter.room().now_or_never().is_some()
    }

    #[test]
    fn a_call_is_held_until_its_answer_is_written() {
        let meter = Meter::new(1000, 10);
        meter.asked(1, 2000).unwrap();
        assert!(!has_room(&meter));
        let cost = meter.answered(1, 100, true);
        assert!(!has_room(&meter), "an answer that nobody reads is still held");
        meter.release(cost);
        assert!(has_room(&meter));
        assert_eq!(meter.held.get(), 0);
    }

    #[test]
    fn a_cancelled_call_is_held_no_longer() {
        let meter = Meter::new(1000, 10);
        meter.asked(1, 2000).unwrap();
        meter.finished(1);
        assert_eq!(meter.held.get(), 0);
    }

    #[test]
    fn a_finish_after_the_answer_frees_nothing_twice() {
        let meter = Meter::new(1000, 10);
        meter.asked(1, 10).unwrap();
        let cost = meter.answered(1, 10, false);
        meter.finished(1);
        meter.release(cost);
        meter.finished(1);
        assert_eq!(meter.held.get(), 0);
        assert!(meter.open.borrow().is_empty());
    }

    #[test]
    fn a_number_may_be_used_again_before_its_old_answer_is_known_to_be_written() {
        let meter = Meter::new(1000, 10);
        meter.asked(1, 10).unwrap();
        let first = meter.answered(1, 10, true);
        meter.asked(1, 500).unwrap();
        meter.release(first);
        assert_eq!(meter.held.get(), 500 + OVERHEAD);
    }

    #[test]
    fn questions_that_are_never_finished_end_the_connection() {
        let meter = Meter::new(usize::MAX, 3);
        for question in 0..3 {
            meter.asked(question, 1).unwrap();
            meter.answered(question, 1, false);
        }
        assert!(meter.asked(3, 1).is_err());
    }
}
