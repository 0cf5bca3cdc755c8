//! A `Source`: one dataset, served to the one receiver that its ticket is for.
//!
//! Each stream's `zfs send` belongs to a task of its own, which stops it when the receiver goes.

use std::cell::Cell;
use std::rc::Rc;

use schema::byte_stream_capnp::byte_stream;
use schema::dataset_capnp;
use schema::source_capnp::source;
use schema::{Code, Failure, batch, outcome, wire};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use zfs::process::{self, SendFlags, Zfs};
use zfs::{Dataset, DatasetName, Snapshot, SnapshotName};

use crate::failure::zfs_failure;

/// The bytes of stream in one message: half of the default window, so that one is on its way while
/// the next is read.
const CHUNK: usize = 64 << 10;

/// The tasks that outlive their callers: told when to end, and counted until they have.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    /// Cancelled to end them.
    pub shutdown: CancellationToken,
    /// Empty once they have.
    pub tracker: TaskTracker,
}

/// A source for `dataset`, and a token that is cancelled when nobody holds it any more.
///
/// `may_snapshot` allows it to take a first snapshot. Its streams are among `tasks`.
pub fn serve(
    zfs: Zfs,
    dataset: DatasetName,
    may_snapshot: bool,
    tasks: Tasks,
) -> (source::Client, CancellationToken) {
    let released = CancellationToken::new();
    let _held = released.clone().drop_guard();
    let sending = Rc::default();
    let source = Source { zfs, dataset, may_snapshot, tasks, sending, _held };
    (capnp_rpc::new_client(source), released)
}

struct Source {
    zfs: Zfs,
    dataset: DatasetName,
    may_snapshot: bool,
    tasks: Tasks,
    sending: Rc<Cell<bool>>,
    _held: DropGuard,
}

impl Source {
    async fn dataset(&self) -> Result<Dataset, Failure> {
        let dataset = self.zfs.dataset(&self.dataset).await.map_err(|error| zfs_failure(&error))?;
        dataset.ok_or_else(|| {
            Failure::new(
                Code::NoSuchDataset,
                "send",
                &self.dataset,
                "it is not there any more",
                "See where datasets are with: cli --connect user.cap show",
            )
        })
    }

    /// The snapshot asked for: it must have the GUID that was planned.
    async fn checked(&self, wanted: &Snapshot) -> Result<SnapshotName, Failure> {
        let refuse = |reason: String| {
            Failure::new(
                Code::NoSuchDataset,
                "send",
                &self.dataset,
                reason,
                "The snapshots have changed. Run the command again.",
            )
        };
        let name =
            self.dataset.at(wanted.label.clone()).map_err(|error| refuse(error.to_string()))?;
        match self.zfs.snapshot_guid(&name).await.map_err(|error| zfs_failure(&error))? {
            Some(guid) if guid == wanted.guid => Ok(name),
            Some(guid) => {
                Err(refuse(format!("'{}' has the GUID {guid}, not {}", wanted.label, wanted.guid)))
            }
            None => Err(refuse(format!("it has no snapshot '{}'", wanted.label))),
        }
    }

    async fn prepare(&self, wanted: &Snapshot, raw: bool) -> Result<process::Stream, Failure> {
        let snapshot = self.checked(wanted).await?;
        let encrypted = self.dataset().await?.properties.encrypted;
        if encrypted && !raw {
            return Err(Failure::new(
                Code::Refused,
                "send",
                &self.dataset,
                "it is encrypted, and would be sent in the clear",
                "Encrypted datasets are sent raw.",
            ));
        }
        let flags = SendFlags { raw, ..SendFlags::default() };
        Ok(process::Stream::Snapshot { snapshot, base: None, flags })
    }

    async fn estimate(&self, wanted: &Snapshot, raw: bool) -> Result<u64, Failure> {
        let stream = self.prepare(wanted, raw).await?;
        let estimate = self.zfs.estimate(&stream).await.map_err(|error| zfs_failure(&error))?;
        Ok(estimate.unwrap_or(0))
    }

    async fn take_snapshot(&self) -> Result<Snapshot, Failure> {
        let refuse = |reason: &str| {
            Failure::new(
                Code::Refused,
                "take a snapshot of",
                &self.dataset,
                reason,
                "Name the snapshot to send with --snapshot.",
            )
        };
        if !self.may_snapshot {
            return Err(refuse("the ticket does not allow it"));
        }
        if !self.dataset().await?.snapshots.is_empty() {
            return Err(refuse("it has one by now"));
        }
        let label = snapshot_label();
        let name = label
            .parse()
            .and_then(|label| self.dataset.at(label))
            .map_err(|error| refuse(&error.to_string()))?;
        self.zfs.take_snapshot(&name).await.map_err(|error| zfs_failure(&error))?;
        let taken = self.dataset().await?.snapshots.into_iter().find(|s| s.label == *name.label());
        taken.ok_or_else(|| refuse("it was gone as soon as it was taken"))
    }

    async fn send(
        &self,
        wanted: &Snapshot,
        raw: bool,
        sink: byte_stream::Client,
    ) -> Result<u64, Failure> {
        let made = self.prepare(wanted, raw).await?;
        let busy = Busy::begin(&self.sending).ok_or_else(|| {
            Failure::new(
                Code::Refused,
                "send",
                &self.dataset,
                "this ticket sends already",
                "Ask for another ticket.",
            )
        })?;
        // Gone with this call's future, and so with the caller.
        let caller = self.tasks.shutdown.child_token();
        let watch = caller.clone().drop_guard();
        let stream = Stream { zfs: self.zfs.clone(), made, sink, cancel: caller, _busy: busy };
        let sent = tokio::task::spawn_local(self.tasks.tracker.track_future(stream.run())).await;
        drop(watch);
        sent.unwrap_or_else(|error| {
            Err(Failure::new(Code::Failed, "send", &self.dataset, error, ""))
        })
    }
}

/// One `zfs send` on its way into a sink.
struct Stream {
    zfs: Zfs,
    made: process::Stream,
    sink: byte_stream::Client,
    cancel: CancellationToken,
    _busy: Busy,
}

/// Held by the one stream that a source sends at a time.
struct Busy(Rc<Cell<bool>>);

impl Busy {
    fn begin(sending: &Rc<Cell<bool>>) -> Option<Self> {
        (!sending.replace(true)).then(|| Self(sending.clone()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Stream {
    /// Returns the bytes sent, once the process is gone. Ends the sink only after `zfs send` has
    /// exited with 0.
    async fn run(self) -> Result<u64, Failure> {
        let name = self.made.snapshot();
        let mut process = self.zfs.send(&self.made).map_err(|error| zfs_failure(&error))?;
        tracing::info!(snapshot = %name, "sending");
        let pumped = tokio::select! {
            pumped = pump(&mut process, &self.sink) => pumped,
            () = self.cancel.cancelled() => Err(capnp::Error::disconnected("cancelled".into())),
        };
        let bytes = match pumped {
            Ok(bytes) => bytes,
            Err(error) => {
                if let Err(error) = process.stop().await {
                    tracing::warn!(%error, "cannot wait for zfs send");
                }
                tracing::info!(snapshot = %name, %error, "the receiver has gone");
                return Err(Failure::from_exception("send", name, &error));
            }
        };
        let warnings = process.finish().await.map_err(|error| zfs_failure(&error))?;
        if !warnings.is_empty() {
            tracing::warn!(%warnings, "zfs send");
        }
        let ended = self.sink.end_request().send().promise.await;
        ended.map_err(|error| Failure::from_exception("end the stream of", name, &error))?;
        Ok(bytes)
    }
}

/// Copies a process's output into a sink, at the sink's pace.
async fn pump(
    output: &mut (impl AsyncRead + Unpin),
    sink: &byte_stream::Client,
) -> capnp::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    loop {
        let count = output.read(&mut buffer).await?;
        if count == 0 {
            return Ok(total);
        }
        let mut request = sink.write_request();
        request.get().set_bytes(&buffer[..count]);
        request.send().await?;
        total += count as u64;
    }
}

impl source::Server for Source {
    async fn open(
        self: Rc<Self>,
        params: source::OpenParams,
        mut results: source::OpenResults,
    ) -> capnp::Result<()> {
        let answer = match outcome::check_hello(params.get()?.get_hello()?, "agent")? {
            Ok(()) => self.dataset().await,
            Err(failure) => Err(failure),
        };
        outcome::write(results.get().init_outcome(), answer, |builder, dataset| {
            let Some(path) = dataset.name.path() else {
                return Err(capnp::Error::failed("a pool's root is never sent".into()));
            };
            let none = batch::Part { continues: false, snapshots: &[], bookmarks: &[] };
            wire::write_dataset(builder, path, &dataset.properties, none);
            Ok(())
        })
    }

    async fn take_snapshot(
        self: Rc<Self>,
        _: source::TakeSnapshotParams,
        mut results: source::TakeSnapshotResults,
    ) -> capnp::Result<()> {
        let answer = Source::take_snapshot(&self).await;
        outcome::write(
            results.get().init_outcome(),
            answer,
            |builder: dataset_capnp::snapshot::Builder<'_>, snapshot| {
                wire::write_snapshot(builder, &snapshot);
                Ok(())
            },
        )
    }

    async fn estimate(
        self: Rc<Self>,
        params: source::EstimateParams,
        mut results: source::EstimateResults,
    ) -> capnp::Result<()> {
        let request = params.get()?.get_request()?;
        let wanted = wire::read_snapshot(request.get_snapshot()?)?;
        let answer = Source::estimate(&self, &wanted, request.get_raw()).await;
        outcome::write(results.get().init_outcome(), answer, |mut builder, bytes| {
            builder.set_bytes(bytes);
            Ok(())
        })
    }

    async fn send(
        self: Rc<Self>,
        params: source::SendParams,
        mut results: source::SendResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let request = params.get_request()?;
        let wanted = wire::read_snapshot(request.get_snapshot()?)?;
        let sink = params.get_sink()?;
        let answer = Source::send(&self, &wanted, request.get_raw(), sink).await;
        outcome::write(results.get().init_outcome(), answer, |mut builder, bytes| {
            builder.set_bytes(bytes);
            Ok(())
        })
    }
}

/// The name of a snapshot taken now: `zatlas-2026-01-31T12:00:00Z`.
pub(crate) fn snapshot_label() -> String {
    let format = format_description!("zatlas-[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let now = OffsetDateTime::now_utc();
    now.format(&format).unwrap_or_else(|_| format!("zatlas-{}", now.unix_timestamp()))
}
