//! A stream on its way into `zfs receive`.
//!
//! The capability that the sender writes to hands the bytes to a supervisor, which owns the
//! process: calls are dropped when their caller goes, a process must not be. The stream's first
//! record is held back and judged before anything runs. Only `end()` lets the process see the
//! end of its input; whatever else stops the stream kills the process first.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use schema::byte_stream_capnp::byte_stream;
use schema::{Code, Failure};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zfs::DatasetName;
use zfs::process::{ReceiveError, ReceiveProcess};
use zfs::stream::Begin;

use crate::failure::zfs_failure;
use crate::guard::Expected;

/// How long a cancelled receive that has the whole stream may take to store it.
const LAST_COMMIT: Duration = Duration::from_secs(5);

enum Feed {
    Bytes(Vec<u8>),
    End,
}

/// The end that the sender is given.
struct Sink {
    feed: RefCell<Option<mpsc::Sender<Feed>>>,
    ended: Rc<Cell<bool>>,
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
        // Returns when there is room, so the sender keeps the receiving pool's pace.
        self.feed(Feed::Bytes(params.get()?.get_bytes()?.to_vec())).await
    }

    async fn end(
        self: Rc<Self>,
        _: byte_stream::EndParams,
        _: byte_stream::EndResults,
    ) -> capnp::Result<()> {
        self.feed(Feed::End).await?;
        self.ended.set(true);
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
    /// The stream was refused, or `zfs receive` failed.
    Failed(Failure),
}

/// A sink for a sender, and the queue from it to [`receive`].
pub(crate) fn channel() -> (byte_stream::Client, Incoming) {
    // One message waits while one is written: more would only be memory.
    let (sender, queue) = mpsc::channel(1);
    let ended = Rc::new(Cell::new(false));
    let sink = Sink { feed: RefCell::new(Some(sender)), ended: ended.clone() };
    (capnp_rpc::new_client(sink), Incoming { queue, ended })
}

/// The receiving end of a [`channel`].
pub(crate) struct Incoming {
    queue: mpsc::Receiver<Feed>,
    /// Set once the sender has ended the stream.
    pub(crate) ended: Rc<Cell<bool>>,
}

/// Feeds the stream to the `zfs receive` that `start` starts, if it is what was expected; `count` is
/// told each number of bytes taken. Returns when the process is gone.
pub(crate) async fn receive(
    mut incoming: Incoming,
    start: impl FnOnce() -> Result<ReceiveProcess, ReceiveError>,
    target: &DatasetName,
    expected: &Expected,
    cancel: &CancellationToken,
    mut count: impl FnMut(usize),
) -> Ended {
    let head = match read_head(&mut incoming, target, cancel).await {
        Ok(head) => head,
        Err(ended) => return ended,
    };
    if let Err(reason) = expected.check_head(&head) {
        return refused(target, reason);
    }
    let mut process = match start() {
        Ok(process) => process,
        Err(error) => return Ended::Failed(zfs_failure(&error)),
    };
    let mut bytes = head;
    let mut total = 0;
    loop {
        total += bytes.len() as u64;
        if let Err(reason) = expected.check_size(total) {
            stop(process).await;
            return refused(target, reason);
        }
        let written = tokio::select! {
            written = process.write_all(&bytes) => written,
            () = cancel.cancelled() => return stop(process).await,
        };
        if written.is_err() {
            // It closed its input: it has failed, or has all it wants. Its exit tells.
            return finish(process, cancel).await;
        }
        count(bytes.len());
        let feed = tokio::select! {
            feed = incoming.queue.recv() => feed,
            () = cancel.cancelled() => None,
        };
        bytes = match feed {
            Some(Feed::Bytes(bytes)) => bytes,
            Some(Feed::End) => return finish(process, cancel).await,
            None => return stop(process).await,
        };
    }
}

/// Gathers at least the stream's first record.
async fn read_head(
    incoming: &mut Incoming,
    target: &DatasetName,
    cancel: &CancellationToken,
) -> Result<Vec<u8>, Ended> {
    let mut head = Vec::new();
    while head.len() < Begin::LEN {
        let feed = tokio::select! {
            feed = incoming.queue.recv() => feed,
            () = cancel.cancelled() => None,
        };
        match feed {
            Some(Feed::Bytes(bytes)) => head.extend(bytes),
            Some(Feed::End) => {
                let reason =
                    format!("it ended after {} bytes, within its first record", head.len());
                return Err(refused(target, reason));
            }
            None => return Err(Ended::Aborted),
        }
    }
    Ok(head)
}

async fn stop(process: ReceiveProcess) -> Ended {
    if let Err(error) = process.stop().await {
        tracing::warn!(%error, "cannot wait for zfs receive");
    }
    Ended::Aborted
}

async fn finish(process: ReceiveProcess, cancel: &CancellationToken) -> Ended {
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
        Err(error) => Ended::Failed(zfs_failure(&error)),
    }
}

fn refused(target: &DatasetName, reason: String) -> Ended {
    Ended::Failed(Failure::new(
        Code::Refused,
        "receive",
        target,
        format!("the stream is not what was planned: {reason}"),
        "Do not trust this source before you know why it sent that. Another one can be chosen with --from.",
    ))
}
