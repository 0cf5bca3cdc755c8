//! A stream whose messages are answered when a test says so.

use std::time::Duration;

use capnp::any_pointer;
use capnp::message::{Builder, HeapAllocator};
use futures::TryFutureExt;
use tokio::task::{LocalSet, yield_now};
use tokio::time::{advance, timeout};

use super::*;
use crate::memory::Memory;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const MESSAGE: usize = 256 * KIB;

/// A message that goes nowhere.
struct Message {
    content: Builder<HeapAllocator>,
    written: Promise<(), Error>,
}

impl OutgoingMessage for Message {
    fn get_body(&mut self) -> capnp::Result<any_pointer::Builder<'_>> {
        self.content.get_root()
    }

    fn get_body_as_reader(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        self.content.get_root_as_reader()
    }

    fn send(self: Box<Self>) -> (Promise<(), Error>, Rc<Builder<HeapAllocator>>) {
        (self.written, Rc::new(self.content))
    }

    fn take(self: Box<Self>) -> Builder<HeapAllocator> {
        self.content
    }

    fn size_in_words(&self) -> usize {
        MESSAGE / 8
    }
}

/// A stream, and the messages of it that have no answer yet.
struct Sender {
    flow: Flow,
    unanswered: Vec<oneshot::Sender<Result<(), Error>>>,
    /// Messages that wait for the socket, if it takes none at once.
    unwritten: Option<Vec<oneshot::Sender<()>>>,
}

impl Sender {
    fn new(limits: &Limits) -> Self {
        Self { flow: Flow::new(limits, None), unanswered: Vec::new(), unwritten: None }
    }

    /// One whose messages are written when a test says so.
    fn into_full_socket(bulk: Option<Rc<Bulk>>) -> Self {
        let flow = Flow::new(&Limits::default(), bulk);
        Self { flow, unanswered: Vec::new(), unwritten: Some(Vec::new()) }
    }

    /// The socket has taken the first of those that wait for it, or has failed.
    async fn written(&mut self, result: Result<(), ()>) {
        let first = self.unwritten.as_mut().unwrap().remove(0);
        if result.is_ok() {
            first.send(()).unwrap();
        } else {
            drop(first);
        }
        yield_now().await;
    }

    /// One more message; resolves when the next may be sent.
    fn send(&mut self) -> Promise<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.unanswered.push(answer);
        let ack = answered.map(|answer| answer.unwrap_or_else(|_| Err(connection_lost())));
        let written = match &mut self.unwritten {
            None => Promise::ok(()),
            Some(unwritten) => {
                let (taken, written) = oneshot::channel();
                unwritten.push(taken);
                Promise::from_future(written.map_err(|_| connection_lost()))
            }
        };
        let message = Message { content: Builder::new_default(), written };
        self.flow.send(Box::new(message), Promise::from_future(ack))
    }

    /// Sends for as long as there is room; what the sender would wait for.
    async fn fill(&mut self) -> Promise<(), Error> {
        for _ in 0..1000 {
            let mut sent = self.send();
            // Lets it be written.
            yield_now().await;
            match (&mut sent).now_or_never() {
                Some(sent) => sent.unwrap(),
                None => return sent,
            }
        }
        panic!("there is always room");
    }

    async fn answer(&mut self, answers: impl IntoIterator<Item = Result<(), Error>>) {
        for (answer, message) in answers.into_iter().zip(self.unanswered.drain(..1)) {
            message.send(answer).unwrap();
        }
        yield_now().await;
    }

    /// Answers all, a tenth of a second after they were sent.
    async fn answer_all(&mut self) {
        advance(Duration::from_millis(100)).await;
        for message in self.unanswered.drain(..) {
            message.send(Ok(())).unwrap();
        }
        yield_now().await;
    }

    /// Bytes on their way once the window has had time to grow, beyond the message that doesn't fit.
    async fn window(&mut self) -> usize {
        for _ in 0..10 {
            drop(self.fill().await);
            self.answer_all().await;
        }
        drop(self.fill().await);
        let bytes = (self.unanswered.len() - 1) * MESSAGE;
        self.answer_all().await;
        bytes
    }
}

fn failure(reason: &str) -> Result<(), Error> {
    Err(Error::failed(reason.to_owned()))
}

/// Waits for what has to come; the clock stands still but for this.
async fn soon(promise: Promise<(), Error>) -> Result<(), Error> {
    timeout(Duration::from_secs(3600), promise).await.expect("nobody was woken")
}

#[tokio::test(start_paused = true)]
async fn a_window_grows_to_what_it_may_be_and_to_its_part_of_the_memory() {
    let test = async {
        let memory = Memory::of(usize::MAX);
        let limits = Limits { window: MIB, most_window: 4 * MIB, memory, ..Limits::default() };
        assert_eq!(Sender::new(&limits).window().await, 4 * MIB);
        let memory = Memory::of(6 * MIB);
        let limits = Limits { most_window: 64 * MIB, memory, ..limits };
        let mut one = Sender::new(&limits);
        assert_eq!(one.window().await, (1 + 6) * MIB, "beyond what it begins with");
        let mut other = Sender::new(&limits);
        assert_eq!([one.window().await, other.window().await], [(1 + 3) * MIB; 2]);
        drop(other);
        assert_eq!(one.window().await, (1 + 6) * MIB, "what the other had is free again");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_goes_on_with_the_answer_that_makes_some() {
    let test = async {
        let mut sender = Sender::new(&Limits::default());
        let mut room = sender.fill().await;
        yield_now().await;
        assert!((&mut room).now_or_never().is_none());
        sender.answer([Ok(())]).await;
        soon(room).await.unwrap();
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn while_the_socket_takes_nothing_one_message_is_written_and_one_waits() {
    let test = async {
        let mut sender = Sender::into_full_socket(None);
        let mut room = sender.fill().await;
        assert_eq!(sender.unanswered.len(), 2);
        // An answer makes no room in the socket.
        sender.answer([Ok(())]).await;
        assert!((&mut room).now_or_never().is_none());
        sender.written(Ok(())).await;
        soon(room).await.unwrap();
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn in_a_broken_stream_nobody_waits_for_the_socket() {
    let test = async {
        let mut sender = Sender::into_full_socket(None);
        let room = sender.fill().await;
        sender.answer([failure("the disk is full")]).await;
        assert_eq!(soon(room).await.unwrap_err().extra, "the disk is full");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_message_that_could_not_be_written_the_answer_is_waited_for_as_well() {
    let test = async {
        let mut sender = Sender::into_full_socket(None);
        let room = sender.fill().await;
        sender.written(Err(())).await;
        soon(room).await.unwrap();
        let mut end = sender.flow.wait_all_acked();
        assert!((&mut end).now_or_never().is_none());
        sender.answer_all().await;
        soon(end).await.unwrap();
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_knows_whether_its_path_holds_a_stream_back() {
    let test = async {
        let bulk = Bulk::over_nothing();
        let mut sender = Sender::into_full_socket(Some(bulk.clone()));
        drop(sender.send());
        assert!(!bulk.holds_back(), "another may be sent");
        drop(sender.send());
        assert!(bulk.holds_back());
        sender.written(Ok(())).await;
        assert!(!bulk.holds_back());
        sender.unwritten = None;
        drop(sender.fill().await);
        assert!(bulk.holds_back(), "the window is full");
        sender.answer([Ok(()), Ok(()), Ok(())]).await;
        assert!(!bulk.holds_back());
        drop(sender.fill().await);
        sender.answer([failure("the disk is full")]).await;
        assert!(!bulk.holds_back(), "it is broken, and waits for nothing");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_the_last_answer() {
    let test = async {
        let mut sender = Sender::new(&Limits::default());
        soon(sender.flow.wait_all_acked()).await.unwrap();
        sender.send().await.unwrap();
        sender.send().await.unwrap();
        let mut end = sender.flow.wait_all_acked();
        sender.answer([Ok(())]).await;
        assert!((&mut end).now_or_never().is_none());
        assert!(sender.flow.wait_all_acked().now_or_never().is_none());
        sender.answer([Ok(())]).await;
        soon(end).await.unwrap();
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_error_is_told_to_all_who_wait_and_all_who_come() {
    let test = async {
        let mut sender = Sender::new(&Limits::default());
        let (room, end) = (sender.fill().await, sender.flow.wait_all_acked());
        sender.answer([failure("the disk is full")]).await;
        assert_eq!(soon(room).await.unwrap_err().extra, "the disk is full");
        sender.answer([failure("stopped")]).await;
        assert_eq!(soon(sender.send()).await.unwrap_err().extra, "the disk is full");
        sender.answer_all().await;
        assert_eq!(soon(end).await.unwrap_err().extra, "the disk is full");
    };
    LocalSet::new().run_until(test).await;
}
