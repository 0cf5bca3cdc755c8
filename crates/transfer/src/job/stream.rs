//! One stream, from its source into `zfs receive`.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use schema::text::Span;
use schema::{Code, Failure};
use tokio::time::{Instant, sleep, timeout};
use zfs::process::{ReceiveOptions, SendFlags};
use zfs::stream::Begin;
use zfs::{DatasetName, Guid, PropertyName, Reason, Snapshot, SnapshotName};

use super::converge::Transfer;
use super::round::Ready;
use crate::failure::Trouble;
use crate::guard::{Expected, Resumed};
use crate::incoming::{self, Ended, Reception};
use crate::plan::Step;
use crate::remote::Remote;
use crate::stream_request::{Start, StreamRequest};
use crate::target::{Look, Sender};

/// A receive that takes nothing for so long is worth a word.
const STILL: Duration = Duration::from_secs(10 * 60);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a sender that has dropped the sink may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// A source that stalled is given up to so many times as long the next time: it may be slow, not
/// stuck.
const MOST_PATIENCE: u32 = 32;

/// What the receive of one stream needs to know beside the request.
struct Receive<'a> {
    request: &'a StreamRequest,
    snapshot: SnapshotName,
    expected: Expected,
    options: ReceiveOptions,
    /// Written down before a stream with large blocks is fed.
    sender: Sender,
    /// What the source is to keep meanwhile.
    needed: Vec<Snapshot>,
}

impl Transfer {
    /// What a stream is to be asked for with: the request of a plan's step.
    pub(super) fn request(&self, step: &Step, flags: SendFlags) -> Option<StreamRequest> {
        let (snapshot, start) = match step {
            Step::Resume { token, snapshot } => (snapshot, Start::Resumed(Box::new(token.clone()))),
            Step::Send { snapshot, base } => (snapshot, Start::Fresh { base: base.clone(), flags }),
            _ => return None,
        };
        Some(StreamRequest {
            snapshot: snapshot.clone(),
            start,
            decrypt: self.job.options.decrypt,
            limit_rate: self.throttle.rate(),
        })
    }

    /// Receives the stream of a step, and reads back that the snapshot is there. `first`: it makes
    /// the dataset.
    pub(super) async fn stream(
        &mut self,
        ready: &Ready,
        request: &StreamRequest,
        announced: Option<u64>,
        first: bool,
    ) -> Result<(), Trouble> {
        let snapshot = self.name_here(&request.snapshot)?;
        let sender = Sender { dataset: ready.source.guid, snapshot: request.snapshot.guid };
        let room = self.room(&ready.look.destination).await;
        let expected = Expected {
            guid: request.snapshot.guid,
            base: base(request),
            kind: ready.plan.kind,
            raw: match &request.start {
                Start::Fresh { flags, .. } => flags.raw,
                Start::Resumed(token) => token.raw,
            },
            resumed: self.resumed(request, sender, &ready.look)?,
            announced: announced.unwrap_or(ready.source.referenced.min(room)),
            room,
        };
        let options = if first {
            self.first_options(ready, sender).await?
        } else {
            ReceiveOptions::increment()
        };
        self.ledger.use_source(&ready.plan.source);
        let needed = self.needed(request);
        let receive = Receive { request, snapshot, expected, options, sender, needed };
        let before = self.received();
        let received = self.receive(&receive, ready.look.sender).await;
        let (guid, label) = (request.snapshot.guid, receive.snapshot.label());
        if let Ok(line) = self.line() {
            line.carried.set(line.carried.get() + self.received() - before);
        }
        match received {
            Ok(()) => self.verify(&receive.snapshot, guid).await,
            // Either side may fail in what comes after the data. What counts is whether the snapshot
            // is there: it can't have been there before, and ZFS has checked its stream to the end.
            Err(trouble) => match self.verify(&receive.snapshot, guid).await {
                Ok(()) => {
                    let why = &trouble.failure.reason;
                    self.note(format!("{label} has arrived whole, and then: {why}"));
                    Ok(())
                }
                Err(_) => Err(self.learn(trouble, &receive.request.start)),
            },
        }
    }

    /// The snapshot's name at the destination: the source's, which the planner has checked.
    fn name_here(&self, snapshot: &Snapshot) -> Result<SnapshotName, Trouble> {
        self.job.target.at(snapshot.label.clone()).map_err(|error| {
            let remedy = "Give the destination a shorter name.";
            Trouble::permanent(Failure::new(Code::Usage, "receive", "", error, remedy))
        })
    }

    /// Where a resumed stream must go on, and in which blocks.
    fn resumed(
        &self,
        request: &StreamRequest,
        sender: Sender,
        look: &Look,
    ) -> Result<Option<Resumed>, Trouble> {
        let Start::Resumed(token) = &request.start else { return Ok(None) };
        let block_size = self.tail.block_size(token).filter(|_| token.large_blocks);
        if token.large_blocks && block_size.is_none() && look.sender != Some(sender) {
            let reason = "it is not known in which blocks the part that has arrived was received";
            return Err(Trouble::not_this_source(Failure::new(
                Code::Refused,
                "resume",
                &self.job.target,
                reason,
                "Use the source that sent it, or begin anew with --restart.",
            )));
        }
        Ok(Some(Resumed {
            object: token.object,
            offset: token.offset,
            large_blocks: token.large_blocks,
            block_size,
        }))
    }

    /// What the receive that makes the dataset sets on it.
    async fn first_options(
        &self,
        ready: &Ready,
        sender: Sender,
    ) -> Result<ReceiveOptions, Trouble> {
        let mut options = ReceiveOptions::first(ready.plan.kind, &self.id);
        options.set(PropertyName::STREAM, ready.form.to_string());
        options.set(PropertyName::SENDER, sender.to_string());
        if self.job.options.readonly {
            options.set(PropertyName::READONLY, "on");
        }
        if self.job.options.settings {
            let line = self.line()?;
            let remote = Remote { client: &line.source, place: &ready.plan.source.place };
            let settings = tokio::select! {
                settings = remote.settings() => settings.map_err(Trouble::at_source)?,
                () = self.tools.cancel.cancelled() => {
                    return Err(Trouble::permanent(self.interrupted()));
                }
            };
            for (name, value) in settings {
                options.set(name, value);
            }
        }
        Ok(options)
    }

    /// Moves the bytes. When this returns the process is gone.
    async fn receive(
        &mut self,
        receive: &Receive<'_>,
        written_down: Option<Sender>,
    ) -> Result<(), Trouble> {
        let target = self.job.target.clone();
        let cancel = self.tools.cancel.clone();
        let stop = cancel.child_token();
        let stall = self.patience();
        let mut follower = self.tail.begin(receive.expected.guid);
        let (sink, incoming) = incoming::channel();
        let heard = incoming.heard.clone();
        let counted = Rc::new(Cell::new(0_u64));
        let (fed, busy) = (Cell::new(false), Cell::new(None));
        let status = self.tools.status.clone();
        let count = {
            let counted = counted.clone();
            move |bytes: usize| {
                counted.set(counted.get() + bytes as u64);
                status.send_modify(|status| status.progress.bytes += bytes as u64);
            }
        };
        let (ended, sent) = {
            let line = self.line()?;
            let (place, _) = self.source.as_ref().ok_or_else(|| self.lost(&target))?;
            let remote = Remote { client: &line.source, place };
            tokio::select! {
                () = self.hold(&remote, &receive.needed) => {}
                () = cancel.cancelled() => return Err(Trouble::permanent(self.interrupted())),
            }
            let zfs = &self.tools.zfs;
            let start = async |begin: &Begin| {
                // Before a byte is fed: whoever goes on with it must know who sent it.
                if begin.features.large_blocks() && written_down != Some(receive.sender) {
                    self.write_down(&target, receive).await?;
                }
                let process = zfs.receive(&receive.snapshot, &receive.options);
                let process = process.map_err(|error| Trouble::at_destination(&error))?;
                fed.set(true);
                Ok(process)
            };
            let reception = Reception {
                target: &target,
                expected: &receive.expected,
                stall,
                busy: &busy,
                throttle: &self.throttle,
                cancel: &stop,
            };
            let mut receiving =
                pin!(incoming::receive(incoming, &mut follower, start, reception, count));
            let mut sending = pin!(remote.send(receive.request, sink));
            // Whichever side ends first decides; the process is waited for in any case.
            tokio::select! {
                never = self.hold_on(&remote, &receive.needed) => match never {},
                never = self.tell_when_still(&busy) => match never {},
                ended = &mut receiving => match ended {
                    // The sink is gone: the sender's answer, or the loss of the connection, tells why.
                    Ended::Aborted if !cancel.is_cancelled() => {
                        (ended, timeout(LAST_WORDS, sending).await.ok())
                    }
                    _ => (ended, None),
                },
                sent = &mut sending => {
                    // A sender that is done without having ended the stream won't end it any more.
                    if !heard.ended.get() {
                        stop.cancel();
                    }
                    (receiving.await, Some(sent))
                }
            }
        };
        // Of a stream that was refused nothing has been received.
        if fed.get() {
            self.tail.fed(follower);
            self.made |= receive.options != ReceiveOptions::increment();
        }
        self.ledger.count(counted.get());
        // Whoever has answered did so by this very way.
        let answered = matches!(&sent, Some(Err(failure)) if failure.code != Code::Unreachable);
        let broke_off = matches!(ended, Ended::Aborted | Ended::Stalled);
        if broke_off && !answered && !cancel.is_cancelled() {
            self.judge_way(&heard).await;
        }
        match (ended, sent) {
            (Ended::Complete(warnings), _) => {
                if !warnings.is_empty() {
                    self.note(format!("zfs receive warned: {warnings}"));
                }
                Ok(())
            }
            (Ended::Failed(trouble), _) => Err(trouble),
            (Ended::Aborted | Ended::Stalled, _) if cancel.is_cancelled() => {
                Err(Trouble::permanent(self.interrupted()))
            }
            (Ended::Stalled, _) => {
                if let Some(source) = &self.source {
                    self.ledger.stalled(source, counted.get() > 0);
                }
                Err(Trouble::transient(Failure::new(
                    Code::Unreachable,
                    "receive",
                    &target,
                    format!("the source has sent nothing for {} s", stall.as_secs()),
                    "Look at the source's pool and at the network; --stall gives it more time.",
                )))
            }
            (Ended::Aborted, Some(Err(failure))) => Err(Trouble::at_source(failure)),
            (Ended::Aborted, _) => Err(Trouble::transient(Failure::new(
                Code::Failed,
                "receive",
                &target,
                "the source stopped sending without having ended the stream",
                "Run the command again.",
            ))),
        }
    }

    /// Notes who sends, on what is there already; a first receive sets it by itself.
    async fn write_down(&self, target: &DatasetName, receive: &Receive<'_>) -> Result<(), Trouble> {
        let is_first = receive.options != ReceiveOptions::increment();
        let resumed = receive.expected.resumed.is_some();
        if is_first && !resumed {
            return Ok(());
        }
        let value = receive.sender.to_string();
        let written = self.tools.zfs.set_property(target, PropertyName::SENDER, &value).await;
        written.map_err(|error| Trouble::at_destination(&error))
    }

    /// A receive that takes nothing is never killed, since it may be committing; but it is told.
    /// `busy`: since when it has been at what it was given last.
    async fn tell_when_still(&self, busy: &Cell<Option<Instant>>) -> Infallible {
        while busy.get().is_none_or(|since| since.elapsed() < STILL) {
            sleep(LOOK_EVERY).await;
        }
        self.note(format!(
            "zfs receive has taken nothing for {}; if that goes on, look at: zpool status",
            Span(STILL)
        ));
        pending().await
    }

    /// Longer with each time that the source has stalled.
    pub(super) fn patience(&self) -> Duration {
        let stalls = self.source.as_ref().map_or(0, |source| self.ledger.stalls(source));
        let times = 1 << stalls.min(MOST_PATIENCE.ilog2());
        self.job.options.stall.saturating_mul(times)
    }

    fn lost(&self, target: &DatasetName) -> Trouble {
        let reason = "the source is not known any more";
        Trouble::transient(Failure::new(Code::Failed, "receive", target, reason, ""))
    }

    /// The lineage has large blocks, says ZFS: the next stream will have them.
    fn learn(&mut self, trouble: Trouble, start: &Start) -> Trouble {
        let Start::Fresh { flags, .. } = start else { return trouble };
        match Reason::of(&trouble.failure.reason, &trouble.failure.subject) {
            Some(Reason::NeedsLargeBlocks) if !flags.large_blocks => {
                self.large_blocks = true;
                Trouble::transient(trouble.failure)
            }
            _ => trouble,
        }
    }

    /// Done is only what can be read back: ZFS ignores a snapshot that exists, with exit status 0.
    pub(super) async fn verify(&self, name: &SnapshotName, guid: Guid) -> Result<(), Trouble> {
        let wrong = |reason: String| {
            Trouble::transient(Failure::new(
                Code::Failed,
                "verify",
                &self.job.target,
                reason,
                "Look at what is there with: zfs list -t all -o name,guid",
            ))
        };
        let found = self.tools.zfs.snapshot_guid(name).await;
        match found.map_err(|error| Trouble::at_destination(&error))? {
            Some(found) if found == guid => Ok(()),
            Some(found) => Err(Trouble::permanent(
                wrong(format!("its snapshot '{}' has the GUID {found}, not {guid}", name.label()))
                    .failure,
            )),
            None => Err(wrong(format!("its snapshot '{}' is not there", name.label()))),
        }
    }
}

/// What a stream starts from.
fn base(request: &StreamRequest) -> Option<Guid> {
    match &request.start {
        Start::Fresh { base, .. } => base.as_ref().map(|base| base.snapshot.guid),
        Start::Resumed(token) => token.from_guid,
    }
}
