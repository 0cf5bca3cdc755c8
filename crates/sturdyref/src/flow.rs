//! Holds a stream's messages back while its [window](crate::window) is full, or the socket takes no more.
//!
//! What the socket doesn't take yet stays with the source: a message that waits long in a queue of ours is out of
//! the processor's cache by the time it is written, which cost four streams at once a tenth of their speed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use capnp::Error;
use capnp::capability::Promise;
use capnp_rpc::{FlowController, OutgoingMessage};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::join;
use tokio::time::Instant;

use crate::congestion::{Bulk, HeldBack};
use crate::limits::Limits;
use crate::memory::Share;
use crate::network::connection_lost;
use crate::window::{Sent, Window};

/// So many messages may wait for the socket to have taken the one before: one is read while another is written.
const AHEAD: usize = 1;

/// One stream's.
pub(crate) struct Flow(Rc<Stream>);

struct Stream {
    window: RefCell<Window>,
    began: Instant,
    /// The stream's part of what the process has for windows beyond what each begins with.
    share: Share,
    /// By how much the window may grow, however large that part is.
    most_growth: usize,
    bulk: Option<Rc<Bulk>>,
    /// While the path takes no more.
    held_back: RefCell<Option<HeldBack>>,
    /// The first error that a message was answered with: the stream is broken.
    failed: RefCell<Option<Error>>,
    /// Those who wait until more may be sent.
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
    /// Messages that the socket hasn't taken whole.
    unwritten: Cell<usize>,
    /// Messages without an answer.
    open: Cell<usize>,
    /// Those who wait until there are none.
    until_answered: RefCell<Vec<oneshot::Sender<()>>>,
}

impl Flow {
    /// For one more stream, of this side's.
    pub(crate) fn new(limits: &Limits, bulk: Option<Rc<Bulk>>) -> Self {
        Self(Rc::new(Stream {
            window: RefCell::new(Window::new(limits.window)),
            began: Instant::now(),
            share: limits.memory.share(),
            most_growth: limits.most_window.saturating_sub(limits.window),
            bulk,
            held_back: RefCell::default(),
            failed: RefCell::default(),
            waiting: RefCell::default(),
            unwritten: Cell::new(0),
            open: Cell::new(0),
            until_answered: RefCell::default(),
        }))
    }
}

impl Stream {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn written(&self) {
        self.unwritten.set(self.unwritten.get() - 1);
        self.go_on();
    }

    fn answered(&self, answer: Result<Sent, Error>) {
        self.open.set(self.open.get() - 1);
        match answer {
            Ok(sent) => {
                let growth = self.most_growth.min(self.share.bytes());
                if let Some(bulk) = &self.bulk {
                    bulk.arrived(sent.bytes());
                }
                self.window.borrow_mut().answered(self.now(), sent, growth);
            }
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error);
            }
        }
        self.go_on();
        if self.open.get() == 0 {
            wake(&self.until_answered);
        }
    }

    /// Wakes those who wait, if more may be sent.
    fn go_on(&self) {
        self.tell_if_held_back();
        if !self.is_held_back() {
            wake(&self.waiting);
        }
    }

    /// Tells the connection, if that has changed.
    fn tell_if_held_back(&self) {
        let Some(bulk) = &self.bulk else { return };
        let mut held_back = self.held_back.borrow_mut();
        if !self.is_held_back() {
            *held_back = None;
        } else if held_back.is_none() {
            *held_back = Some(bulk.clone().held_back());
        }
    }

    /// A broken stream waits for nothing.
    fn is_held_back(&self) -> bool {
        let takes_more = self.window.borrow().is_open() && self.unwritten.get() <= AHEAD;
        !takes_more && self.failed.borrow().is_none()
    }

    fn state(&self) -> Result<(), Error> {
        self.failed.borrow().clone().map_or(Ok(()), Err)
    }
}

/// Whoever has lost interest meanwhile misses nothing.
fn wake(waiting: &RefCell<Vec<oneshot::Sender<()>>>) {
    for waits in waiting.take() {
        let _ = waits.send(());
    }
}

/// Waits to be woken, and tells what the stream is like then.
fn wait(stream: &Rc<Stream>, waiting: &RefCell<Vec<oneshot::Sender<()>>>) -> Promise<(), Error> {
    let (waits, woken) = oneshot::channel();
    waiting.borrow_mut().push(waits);
    let stream = stream.clone();
    Promise::from_future(woken.map(move |woken| match woken {
        Ok(()) => stream.state(),
        Err(_) => Err(connection_lost()),
    }))
}

impl FlowController for Flow {
    fn send(
        &mut self,
        message: Box<dyn OutgoingMessage>,
        ack: Promise<(), Error>,
    ) -> Promise<(), Error> {
        let Self(stream) = self;
        let bytes = message.size_in_words() * 8;
        let sent = stream.window.borrow_mut().sent(stream.now(), bytes);
        stream.open.set(stream.open.get() + 1);
        stream.unwritten.set(stream.unwritten.get() + 1);
        stream.tell_if_held_back();
        // At once, whatever the window says: messages must leave in their order. What waits is the next.
        let (written, _) = message.send();
        let (writing, waiting) = (stream.clone(), stream.clone());
        // If it can't be written, the answer says so.
        let written = written.map(move |_| writing.written());
        let answered = ack.map(move |ack| waiting.answered(ack.map(|()| sent)));
        // With the connection both come to an end.
        tokio::task::spawn_local(join(written, answered));
        if let Err(error) = stream.state() {
            return Promise::err(error);
        }
        if !stream.is_held_back() {
            return Promise::ok(());
        }
        wait(stream, &stream.waiting)
    }

    fn wait_all_acked(&mut self) -> Promise<(), Error> {
        let Self(stream) = self;
        if stream.open.get() == 0 {
            return Promise::ok(());
        }
        wait(stream, &stream.until_answered)
    }
}

#[cfg(test)]
mod tests;
