//! A stream on its way into `zfs receive`.
//!
//! The capability that the sender writes to hands the bytes to a supervisor, which owns the
//! process: calls are dropped when their caller goes, a process must not be. The stream's head is
//! held back and judged before anything runs, and its records are followed to the end. Only `end()`
//! lets the process see the end of its input; whatever else stops the stream kills the process
//! first. A sender that sends nothing is left after a while; a process that takes nothing is busy,
//! and is waited for.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use schema::byte_stream_capnp::byte_stream;
use schema::{Code, Failure};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use zfs::DatasetName;
use zfs::stream::{Begin, Follower};

use crate::ends::Taker;
use crate::failure::Trouble;
use crate::guard::{Expected, Verdict};
use crate::traffic::throttle::Throttle;

/// How long a cancelled receive that has the whole stream may take to store it.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// The most of a stream that is held back before it is judged: far more than comes before the
/// first object of any.
const MOST_HELD: usize = 4 << 20;

enum Feed {
    Bytes(Chunk),
    End,
}

/// A part of the stream.
enum Chunk {
    /// In the message that it came in: nothing copies it before the process reads it.
    Message(byte_stream::WriteParams),
    /// What was held back.
    Head(Vec<u8>),
}

impl Chunk {
    fn bytes(&self) -> Result<&[u8], String> {
        match self {
            Self::Message(params) => {
                let bytes = params.get().and_then(|params| params.get_bytes());
                bytes.map_err(|error| format!("a part of it can't be read: {error}"))
            }
            Self::Head(bytes) => Ok(bytes),
        }
    }

    /// Has them followed, and gives them.
    fn follow(&self, follower: &mut Follower) -> Result<&[u8], String> {
        let bytes = self.bytes()?;
        follower.follow(bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }
}

/// The end that the sender is given.
struct Sink {
    feed: RefCell<Option<mpsc::Sender<Feed>>>,
    heard: Rc<Heard>,
}

/// What has come of a stream, whether it was fed or not.
pub(crate) struct Heard {
    /// Set once the sender has ended the stream.
    pub(crate) ended: Cell<bool>,
    /// Bytes.
    pub(crate) bytes: Cell<u64>,
    /// When the last of them came; at first, when the stream was asked for.
    pub(crate) last: Cell<Instant>,
}

impl Sink {
    async fn feed(&self, feed: Feed) -> capnp::Result<()> {
        let sender = self.feed.borrow().clone();
        let stopped = || capnp::Error::failed("the receiver has stopped".into());
        sender.ok_or_else(stopped)?.send(feed).await.map_err(|_| stopped())
    }
}

impl byte_stream::Server for Sink {
    async fn write(self: Rc<Self>, params: byte_stream::WriteParams) -> capnp::Result<()> {
        let bytes = params.get()?.get_bytes()?.len() as u64;
        // A sender that sends nothing is to be left, in how many words it may do so.
        if bytes == 0 {
            return Err(capnp::Error::failed("a part of a stream has no bytes".into()));
        }
        self.heard.bytes.set(self.heard.bytes.get() + bytes);
        self.heard.last.set(Instant::now());
        // Returns when there is room, so the sender keeps the receiving pool's pace.
        self.feed(Feed::Bytes(Chunk::Message(params))).await
    }

    async fn end(
        self: Rc<Self>,
        _: byte_stream::EndParams,
        _: byte_stream::EndResults,
    ) -> capnp::Result<()> {
        self.feed(Feed::End).await?;
        self.heard.ended.set(true);
        self.feed.take();
        Ok(())
    }
}

/// How an incoming stream ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// `zfs receive` took all of it and exited with 0; what it warned of, if anything.
    Complete(String),
    /// The sender went away without an `end()`, or the transfer was cancelled.
    Aborted,
    /// The sender sent nothing for too long.
    Stalled,
    /// The stream was refused, or `zfs receive` failed.
    Failed(Trouble),
}

/// A sink for a sender, and the queue from it to [`receive`].
pub(crate) fn channel() -> (byte_stream::Client, Incoming) {
    // One message waits while one is written: more would only be memory.
    let (sender, queue) = mpsc::channel(1);
    let (ended, bytes, last) = (Cell::new(false), Cell::new(0), Cell::new(Instant::now()));
    let heard = Rc::new(Heard { ended, bytes, last });
    let sink = Sink { feed: RefCell::new(Some(sender)), heard: heard.clone() };
    (capnp_rpc::new_client(sink), Incoming { queue, heard })
}

/// The receiving end of a [`channel`].
pub(crate) struct Incoming {
    queue: mpsc::Receiver<Feed>,
    pub(crate) heard: Rc<Heard>,
}

/// What a stream is received with.
pub(crate) struct Reception<'a> {
    pub(crate) target: &'a DatasetName,
    pub(crate) expected: &'a Expected,
    /// How long the sender may send nothing.
    pub(crate) stall: Duration,
    /// Since when `zfs receive` has been taking what it was given last.
    pub(crate) busy: &'a Cell<Option<Instant>>,
    /// How fast it may be received.
    pub(crate) throttle: &'a Throttle,
    pub(crate) cancel: &'a CancellationToken,
}

/// Feeds the stream to the `zfs receive` that `start` starts, if it is what was expected; `count` is
/// told each number of bytes taken. Returns when the process is gone. `follower` has then seen all
/// that was fed.
pub(crate) async fn receive<Process: Taker>(
    mut incoming: Incoming,
    follower: &mut Follower,
    start: impl AsyncFnOnce(&Begin) -> Result<Process, Trouble>,
    reception: Reception<'_>,
    mut count: impl FnMut(usize),
) -> Ended {
    let (begin, head) = match reception.head(&mut incoming, follower).await {
        Ok(head) => head,
        Err(ended) => return ended,
    };
    let mut process = match start(&begin).await {
        Ok(process) => process,
        Err(trouble) => return Ended::Failed(trouble),
    };
    let mut chunk = Chunk::Head(head);
    let mut total = 0;
    loop {
        let sized = chunk.bytes().and_then(|bytes| {
            total += bytes.len() as u64;
            reception.expected.check_size(total).map(|()| bytes)
        });
        let bytes = match sized {
            Ok(bytes) => bytes,
            Err(reason) => {
                stop(process).await;
                return reception.refused_late(reason);
            }
        };
        let written = tokio::select! {
            written = reception.feed(&mut process, bytes, &mut count) => written,
            () = reception.cancel.cancelled() => {
                stop(process).await;
                return Ended::Aborted;
            }
        };
        if written.is_err() {
            // It closed its input: it has failed, or has all it wants. Its exit tells.
            return finish(process, reception.cancel).await;
        }
        chunk = match reception.next(&mut incoming).await {
            Ok(Feed::Bytes(chunk)) => chunk,
            Ok(Feed::End) => {
                reception.busy.set(Some(Instant::now()));
                return finish(process, reception.cancel).await;
            }
            Err(ended) => {
                stop(process).await;
                return ended;
            }
        };
        if let Err(reason) = chunk.follow(follower) {
            stop(process).await;
            return reception.refused_late(reason);
        }
    }
}

impl Reception<'_> {
    /// Writes as fast as may be. Meanwhile the sender isn't listened to, and so not found silent.
    async fn feed(
        &self,
        process: &mut impl Taker,
        mut bytes: &[u8],
        count: &mut impl FnMut(usize),
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(self.throttle.take(bytes.len()).await);
            self.busy.set(Some(Instant::now()));
            process.write_all(now).await?;
            self.busy.set(None);
            count(now.len());
            bytes = later;
        }
        Ok(())
    }

    async fn next(&self, incoming: &mut Incoming) -> Result<Feed, Ended> {
        tokio::select! {
            feed = timeout(self.stall, incoming.queue.recv()) => match feed {
                Ok(feed) => feed.ok_or(Ended::Aborted),
                Err(_) => Err(Ended::Stalled),
            },
            () = self.cancel.cancelled() => Err(Ended::Aborted),
        }
    }

    /// Gathers as much of the stream as it takes to judge it.
    async fn head(
        &self,
        incoming: &mut Incoming,
        follower: &mut Follower,
    ) -> Result<(Begin, Vec<u8>), Ended> {
        let mut head = Vec::new();
        loop {
            match self.next(incoming).await? {
                Feed::Bytes(chunk) => {
                    let followed = chunk.follow(follower);
                    head.extend(followed.map_err(|reason| self.refused(reason))?);
                }
                Feed::End => {
                    let reason =
                        format!("it ended after {} bytes, before it had begun", head.len());
                    return Err(self.refused(reason));
                }
            }
            let verdict = self.expected.check_head(follower);
            match (verdict.map_err(|reason| self.refused(reason))?, follower.begin()) {
                (Verdict::Pass, Some(begin)) => return Ok((begin.clone(), head)),
                _ if head.len() > MOST_HELD => {
                    let reason = "its first object doesn't come".to_owned();
                    return Err(self.refused(reason));
                }
                _ => {}
            }
        }
    }

    /// Nothing of the stream has been fed.
    fn refused(&self, reason: String) -> Ended {
        let remedy = "Do not trust this source before you know why it sent that. Another one can be chosen with --from.";
        Ended::Failed(Trouble::distrusted(self.not_planned(reason, remedy)))
    }

    /// Some of it has been. That may be anything, and another source would complete it under the
    /// right GUID: so nothing goes on with it by itself.
    fn refused_late(&self, reason: String) -> Ended {
        let remedy = "Do not trust this source, nor what it has sent: begin anew with --restart, from another one with --from.";
        Ended::Failed(Trouble::permanent(self.not_planned(reason, remedy)))
    }

    fn not_planned(&self, reason: String, remedy: &str) -> Failure {
        let reason = format!("the stream is not what was planned: {reason}");
        Failure::new(Code::Refused, "receive", self.target, reason, remedy)
    }
}

async fn stop(process: impl Taker) {
    if let Err(error) = process.stop().await {
        tracing::warn!(%error, "cannot wait for zfs receive");
    }
}

async fn finish(process: impl Taker, cancel: &CancellationToken) -> Ended {
    let mut finishing = pin!(process.finish());
    let finished = tokio::select! {
        finished = &mut finishing => finished,
        // It has the whole stream and only needs to store it. Dropped, it is killed.
        () = cancel.cancelled() => match timeout(LAST_COMMIT, finishing).await {
            Ok(finished) => finished,
            Err(_) => return Ended::Aborted,
        },
    };
    match finished {
        Ok(warnings) => Ended::Complete(warnings),
        Err(error) => Ended::Failed(Trouble::at_destination(&error)),
    }
}
