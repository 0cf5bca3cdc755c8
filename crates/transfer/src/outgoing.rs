//! A `Source`: one dataset, served to the one receiver that its ticket is for.
//!
//! Each stream's `zfs send` belongs to a task of its own, which stops it when the receiver goes.

mod message_size;
pub(crate) mod pump;
mod seat;
mod subject;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use schema::byte_stream_capnp::byte_stream;
use schema::dataset_capnp;
use schema::source_capnp::source;
use schema::{Code, Failure, batch, outcome, wire};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use zfs::process::Zfs;
use zfs::{DatasetName, Snapshot};

use self::pump::{Busy, Outgoing};
use self::seat::Seat;
use self::subject::Subject;
use crate::failure::zfs_failure;
use crate::holds::Holds;
use crate::settings::CARRIED;
use crate::stream_request::{self, StreamRequest};
use crate::traffic::Traffic;
use crate::traffic::throttle::Throttle;

/// Who waits for its turn hears at least so often that it still does.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The tasks that outlive their callers: told when to end, and counted until they have.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    /// Cancelled to end them.
    pub shutdown: CancellationToken,
    /// Empty once they have.
    pub tracker: TaskTracker,
    /// How many streams are being sent.
    pub sending: Arc<AtomicU32>,
}

/// A source for `dataset`, and a token that is cancelled when nobody holds it any more.
///
/// `may_snapshot` allows it to take a first snapshot. Its streams are among `tasks`; what it keeps
/// from being destroyed is among `holds`; `traffic` tells when it may send, and how fast.
pub fn serve(
    zfs: Zfs,
    dataset: DatasetName,
    may_snapshot: bool,
    tasks: Tasks,
    holds: Holds,
    traffic: Traffic,
) -> (source::Client, CancellationToken) {
    let released = CancellationToken::new();
    let _held = released.clone().drop_guard();
    let subject = Subject { zfs, name: dataset, listed: RefCell::default() };
    let source = Source {
        subject,
        may_snapshot,
        tasks,
        holds,
        seat: Seat::new(traffic.to_send.clone()),
        traffic,
        sending: Rc::default(),
        sent: Rc::default(),
        throttle: OnceCell::new(),
        _held,
    };
    (capnp_rpc::new_client(source), released)
}

struct Source {
    subject: Subject,
    may_snapshot: bool,
    tasks: Tasks,
    holds: Holds,
    traffic: Traffic,
    sending: Rc<Cell<bool>>,
    seat: Rc<Seat>,
    /// Bytes of the last stream that were given to the connection.
    sent: Rc<Cell<u64>>,
    /// From the first stream on: all are of one transfer.
    throttle: OnceCell<Throttle>,
    _held: DropGuard,
}

impl Source {
    async fn estimate(&self, request: &StreamRequest) -> Result<u64, Failure> {
        let stream = self.subject.stream_to_price(request).await?;
        let mut estimate = self.subject.zfs.estimate(&stream).await;
        if estimate.is_err() {
            // Something may go by another name since it was listed.
            let now = self.subject.stream(request).await?;
            if now != stream {
                estimate = self.subject.zfs.estimate(&now).await;
            }
        }
        Ok(estimate.map_err(|error| zfs_failure(&error))?.unwrap_or(0))
    }

    async fn take_snapshot(&self) -> Result<Snapshot, Failure> {
        let Subject { zfs, name: dataset, .. } = &self.subject;
        let refuse = |reason: &str| {
            Failure::new(
                Code::Refused,
                "take a snapshot of",
                dataset,
                reason,
                "Name the snapshot to send with --snapshot.",
            )
        };
        if !self.may_snapshot {
            return Err(refuse("the ticket does not allow it"));
        }
        if !self.subject.dataset().await?.snapshots.is_empty() {
            return Err(refuse("it has one by now"));
        }
        let label = snapshot_label();
        let name = label
            .parse()
            .and_then(|label| dataset.at(label))
            .map_err(|error| refuse(&error.to_string()))?;
        zfs.take_snapshot(&name).await.map_err(|error| zfs_failure(&error))?;
        let now = self.subject.dataset().await?;
        let taken = now.snapshots.iter().find(|snapshot| snapshot.label == *name.label());
        taken.cloned().ok_or_else(|| refuse("it was gone as soon as it was taken"))
    }

    async fn send(
        &self,
        request: &StreamRequest,
        sink: byte_stream::Client,
    ) -> Result<u64, Failure> {
        if !self.sending.get() {
            // Of this stream nothing has been sent yet, however long it takes to begin.
            self.sent.set(0);
        }
        self.seat.place().turn().await;
        let stream = self.subject.stream(request).await?;
        let busy = Busy::begin(&self.sending, &self.tasks.sending).ok_or_else(|| {
            self.subject.refuses("this ticket sends already", "Ask for another ticket.")
        })?;
        // The stream before may have come to its end meanwhile.
        self.sent.set(0);
        // Gone with this call's future, and so with the caller.
        let cancel = self.tasks.shutdown.child_token();
        let watch = cancel.clone().drop_guard();
        let zfs = self.subject.zfs.clone();
        let throttle =
            self.throttle.get_or_init(|| self.traffic.limits.throttle(request.limit_rate));
        let throttle = throttle.clone();
        let sent = self.sent.clone();
        let outgoing = Outgoing { zfs, stream, sink, sent, throttle, cancel, _busy: busy };
        let sent = tokio::task::spawn_local(self.tasks.tracker.track_future(outgoing.run())).await;
        drop(watch);
        sent.unwrap_or_else(|error| {
            Err(Failure::new(Code::Failed, "send", &self.subject.name, error, ""))
        })
    }

    async fn hold(&self, snapshot: &Snapshot, by: &str, what_for: &str) -> Result<(), Failure> {
        let name = self.subject.snapshot(snapshot).await?;
        self.holds.hold(&name, snapshot.guid, by, what_for).await
    }

    /// The bookmark comes first: what it stands for must not be lost in between.
    async fn finish(&self, snapshot: &Snapshot, transfer: &str) -> Result<(), Failure> {
        let Subject { zfs, name: dataset, .. } = &self.subject;
        let bookmarked = async {
            let name = self.subject.snapshot(snapshot).await?;
            let label = format!("zatlas-{}", snapshot.guid).parse();
            let bookmark = label.and_then(|label| dataset.bookmark(label)).map_err(|error| {
                Failure::new(Code::Refused, "bookmark", &name, error, "Shorten its dataset's name.")
            })?;
            zfs.bookmark(&name, &bookmark).await.map_err(|error| zfs_failure(&error))
        };
        let bookmarked = bookmarked.await;
        self.holds.release_transfer(dataset, transfer).await?;
        bookmarked.map(drop)
    }

    async fn settings(&self) -> Result<Vec<(zfs::PropertyName, String)>, Failure> {
        let Subject { zfs, name, .. } = &self.subject;
        let local = zfs.local_properties(name, &CARRIED).await;
        Ok(local.map_err(|error| zfs_failure(&error))?.into_iter().collect())
    }
}

impl source::Server for Source {
    async fn open(
        self: Rc<Self>,
        params: source::OpenParams,
        mut results: source::OpenResults,
    ) -> capnp::Result<()> {
        let _in_use = self.seat.in_use();
        let answer = match outcome::check_hello(params.get()?.get_hello()?, "agent")? {
            Ok(()) => self.subject.dataset().await,
            Err(failure) => Err(failure),
        };
        results.get().set_takes_turns(self.traffic.to_send.is_limited());
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
        let _in_use = self.seat.in_use();
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
        let _in_use = self.seat.in_use();
        let request = stream_request::read(params.get()?.get_request()?)?;
        let answer = Source::estimate(&self, &request).await;
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
        let _in_use = self.seat.in_use();
        let params = params.get()?;
        let request = stream_request::read(params.get_request()?)?;
        let answer = Source::send(&self, &request, params.get_sink()?).await;
        outcome::write(results.get().init_outcome(), answer, |mut builder, bytes| {
            builder.set_bytes(bytes);
            Ok(())
        })
    }

    async fn hold(
        self: Rc<Self>,
        params: source::HoldParams,
        mut results: source::HoldResults,
    ) -> capnp::Result<()> {
        let _in_use = self.seat.in_use();
        let params = params.get()?;
        let snapshot = wire::read_snapshot(params.get_snapshot()?)?;
        let (by, what_for) =
            (params.get_transfer()?.to_str()?, params.get_destination()?.to_str()?);
        let held = Source::hold(&self, &snapshot, by, what_for).await;
        outcome::write_nothing(results.get().init_outcome(), held)
    }

    async fn finish(
        self: Rc<Self>,
        params: source::FinishParams,
        mut results: source::FinishResults,
    ) -> capnp::Result<()> {
        let _in_use = self.seat.in_use();
        let params = params.get()?;
        let snapshot = wire::read_snapshot(params.get_snapshot()?)?;
        let finished = Source::finish(&self, &snapshot, params.get_transfer()?.to_str()?).await;
        outcome::write_nothing(results.get().init_outcome(), finished)
    }

    async fn settings(
        self: Rc<Self>,
        _: source::SettingsParams,
        mut results: source::SettingsResults,
    ) -> capnp::Result<()> {
        let _in_use = self.seat.in_use();
        let settings = Source::settings(&self).await;
        outcome::write(results.get().init_outcome(), settings, |builder, settings| {
            let mut list = builder.init_list(wire::length(&settings));
            for (index, (name, value)) in (0..).zip(&settings) {
                let mut setting = list.reborrow().get(index);
                setting.set_name(name.as_str());
                setting.set_value(value);
            }
            Ok(())
        })
    }

    async fn turn(
        self: Rc<Self>,
        params: source::TurnParams,
        mut results: source::TurnResults,
    ) -> capnp::Result<()> {
        let _in_use = self.seat.in_use();
        let told = usize::try_from(params.get()?.get_told()).unwrap_or(usize::MAX);
        let place = self.seat.place();
        let news = timeout(TELL_EVERY, place.ahead_but(told)).await;
        let ahead = news.unwrap_or_else(|_| place.ahead());
        outcome::write(results.get().init_outcome(), Ok(ahead), |mut builder, ahead| {
            builder.set_ahead(u32::try_from(ahead).unwrap_or(u32::MAX));
            Ok(())
        })
    }

    async fn sent(
        self: Rc<Self>,
        _: source::SentParams,
        mut results: source::SentResults,
    ) -> capnp::Result<()> {
        outcome::write(results.get().init_outcome(), Ok(self.sent.get()), |mut builder, bytes| {
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

#[cfg(test)]
mod tests;
