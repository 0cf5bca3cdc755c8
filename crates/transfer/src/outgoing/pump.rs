//! One `zfs send` on its way into a sink.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use schema::Failure;
use schema::byte_stream_capnp::byte_stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zfs::process::{Stream, Zfs};

use crate::ends::Giver;
use crate::failure::zfs_failure;
use crate::outgoing::message_size::MessageSize;
use crate::traffic::throttle::Throttle;

/// A stream to be sent.
pub(super) struct Outgoing {
    pub(super) zfs: Zfs,
    pub(super) stream: Stream,
    pub(super) sink: byte_stream::Client,
    /// Counts the bytes given to the connection, from 0.
    pub(super) sent: Rc<Cell<u64>>,
    pub(super) throttle: Throttle,
    pub(super) cancel: CancellationToken,
    pub(super) _busy: Busy,
}

/// Held by the one stream that a source sends at a time; counted among the machine's.
pub(super) struct Busy {
    source: Rc<Cell<bool>>,
    machine: Arc<AtomicU32>,
}

impl Busy {
    /// `None` if the source sends already.
    pub(super) fn begin(source: &Rc<Cell<bool>>, machine: &Arc<AtomicU32>) -> Option<Self> {
        if source.replace(true) {
            return None;
        }
        machine.fetch_add(1, Ordering::Relaxed);
        Some(Self { source: source.clone(), machine: machine.clone() })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.source.set(false);
        self.machine.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Outgoing {
    /// Returns the bytes sent, once the process is gone. Ends the sink only after `zfs send` has
    /// exited with 0.
    pub(super) async fn run(self) -> Result<u64, Failure> {
        let snapshot = self.stream.snapshot();
        let process = self.zfs.send(&self.stream).map_err(|error| zfs_failure(&error))?;
        tracing::info!(%snapshot, "sending");
        let pumped = tokio::select! {
            pumped = pump(&process, &self.sink, &self.sent, &self.throttle) => pumped,
            () = self.cancel.cancelled() => Err(capnp::Error::disconnected("cancelled".into())),
        };
        if let Err(error) = pumped {
            if let Err(error) = process.stop().await {
                tracing::warn!(%error, "cannot wait for zfs send");
            }
            tracing::info!(%snapshot, %error, "the receiver has gone");
            return Err(Failure::from_exception("send", snapshot, &error));
        }
        let warnings = process.finish().await.map_err(|error| zfs_failure(&error))?;
        if !warnings.is_empty() {
            tracing::warn!(%warnings, "zfs send");
        }
        let ended = self.sink.end_request().send().promise.await;
        ended.map_err(|error| Failure::from_exception("end the stream of", snapshot, &error))?;
        Ok(self.sent.get())
    }
}

/// Moves a stream into a sink, at the sink's pace and no faster than it may. `sent` counts the bytes.
pub(crate) async fn pump(
    output: &impl Giver,
    sink: &byte_stream::Client,
    sent: &Cell<u64>,
    throttle: &Throttle,
) -> capnp::Result<()> {
    let (mut size, began) = (MessageSize::new(), Instant::now());
    loop {
        let count = output.ready().await?.min(size.most());
        if count == 0 {
            return Ok(());
        }
        let count = throttle.take(count).await;
        let mut request = sink.write_request();
        // Straight into the message, from which it goes to the socket.
        let bytes = u32::try_from(count).unwrap_or(u32::MAX);
        output.take(request.get().init_bytes(bytes))?;
        // Counted at once: while the stream is held back, it is on its way as well.
        sent.set(sent.get() + count as u64);
        request.send().await?;
        size.sent(began.elapsed(), count);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::time::Duration;

    use tokio::task::LocalSet;
    use tokio::time::sleep;

    use super::*;
    use crate::traffic::throttle::Limits;

    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;

    /// So many bytes, all there at once.
    struct Zeros(Cell<usize>);

    impl Giver for Zeros {
        async fn ready(&self) -> io::Result<usize> {
            Ok(self.0.get())
        }

        fn take(&self, buffer: &mut [u8]) -> io::Result<()> {
            self.0.set(self.0.get() - buffer.len());
            Ok(())
        }
    }

    /// Takes so many bytes per second, and notes how many came in each message.
    struct Path {
        rate: f64,
        sizes: Rc<RefCell<Vec<usize>>>,
    }

    impl byte_stream::Server for Path {
        async fn write(self: Rc<Self>, params: byte_stream::WriteParams) -> capnp::Result<()> {
            let bytes = params.get()?.get_bytes()?.len();
            self.sizes.borrow_mut().push(bytes);
            sleep(Duration::from_secs_f64(bytes as f64 / self.rate)).await;
            Ok(())
        }
    }

    async fn sizes(rate: f64, bytes: usize) -> Vec<usize> {
        let sizes = Rc::new(RefCell::default());
        let sink = capnp_rpc::new_client(Path { rate, sizes: sizes.clone() });
        let (sent, throttle) = (Cell::new(0), Limits::default().throttle(None));
        pump(&Zeros(Cell::new(bytes)), &sink, &sent, &throttle).await.unwrap();
        assert_eq!(sent.get(), bytes as u64);
        sizes.take()
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_as_large_as_the_path_lets_them_be() {
        let test = async {
            let fast = sizes(1e9, 32 * MIB).await;
            assert_eq!((fast[0], fast.iter().max()), (64 * KIB, Some(&MIB)));
            let slow = sizes(1e6, 8 * MIB).await;
            assert!(slow.iter().all(|size| *size <= 64 * KIB), "{slow:?}");
        };
        LocalSet::new().run_until(test).await;
    }
}
