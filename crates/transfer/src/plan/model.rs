//! ZFS as far as a plan touches it: a pool with one dataset, or none, that refuses whatever real
//! ZFS refuses to those who don't say `-F`; and what a plan may not do unasked.

use zfs::{Guid, Kind, ResumeToken, Snapshot, SnapshotLabel};

use super::destination::{Destination, Partial, Present};
use super::examples::token;
use super::form::Form;
use super::steps::{Base, Options, Source, Step};

#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) dataset: Option<Dataset>,
    pub(super) missing_parents: Vec<zfs::DatasetName>,
    /// What is received plain is encrypted by the key of a parent.
    pub(super) encrypts: bool,
    pub(super) txg: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Dataset {
    pub(super) kind: Kind,
    pub(super) encrypted: bool,
    /// Whether its streams were raw; `None`: it was made here.
    pub(super) received_raw: Option<bool>,
    pub(super) ours: bool,
    pub(super) form: Option<Form>,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) bookmarks: Vec<Snapshot>,
    pub(super) written: u64,
    pub(super) mounted_writable: bool,
    pub(super) partial: Option<Partial>,
}

/// What a sender would send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream<'a> {
    pub(super) kind: Kind,
    pub(super) raw: bool,
    pub(super) to: &'a Snapshot,
    pub(super) from: Option<Guid>,
}

/// How a receive ends that doesn't come to its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    /// There is a token.
    Resumable,
    /// There is none.
    Lost,
    /// There is one that can't be read.
    Corrupt,
}

impl Dataset {
    pub(super) fn new(kind: Kind, encrypted: bool) -> Self {
        Self {
            kind,
            encrypted,
            received_raw: None,
            ours: false,
            form: None,
            snapshots: Vec::new(),
            bookmarks: Vec::new(),
            written: 0,
            mounted_writable: false,
            partial: None,
        }
    }

    pub(super) fn source(&self) -> Source<'_> {
        Source {
            kind: self.kind,
            encrypted: self.encrypted,
            snapshots: &self.snapshots,
            bookmarks: &self.bookmarks,
        }
    }

    pub(super) fn has_label(&self, label: &SnapshotLabel) -> bool {
        self.snapshots.iter().any(|snapshot| snapshot.label == *label)
    }

    fn is_finished(&self) -> bool {
        !self.partial.as_ref().is_some_and(|partial| partial.first)
    }

    pub(super) fn bookmark(&mut self, index: usize) {
        let snapshot = &self.snapshots[index];
        if self.bookmarks.iter().all(|bookmark| bookmark.guid != snapshot.guid) {
            self.bookmarks.push(snapshot.clone());
            self.bookmarks.sort_by_key(|bookmark| bookmark.createtxg);
        }
    }

    /// Destroys what came after a snapshot.
    pub(super) fn roll_back(&mut self, to: &Snapshot) -> Result<(), &'static str> {
        if self.partial.is_some() {
            return Err("dataset is busy");
        }
        let index = self.snapshots.iter().position(|it| it == to).ok_or("no such snapshot")?;
        self.snapshots.truncate(index + 1);
        self.bookmarks.retain(|bookmark| bookmark.createtxg <= to.createtxg);
        self.written = 0;
        Ok(())
    }
}

impl Pool {
    pub(super) fn destination(&self) -> Destination {
        match self.dataset.clone() {
            None => Destination::Absent { missing_parents: self.missing_parents.clone() },
            Some(it) => Destination::Present(Box::new(Present {
                kind: it.kind,
                encrypted: it.encrypted,
                ours: it.ours,
                form: it.form,
                snapshots: it.snapshots,
                written: it.written,
                mounted_writable: it.mounted_writable,
                partial: it.partial,
            })),
        }
    }

    /// A finished dataset.
    pub(super) fn whole(&self) -> Option<&Dataset> {
        self.dataset.as_ref().filter(|dataset| dataset.is_finished())
    }

    /// A finished dataset, to be changed.
    pub(super) fn whole_mut(&mut self) -> Option<&mut Dataset> {
        self.dataset.as_mut().filter(|dataset| dataset.is_finished())
    }

    /// Receives a stream to its end, or to where it is cut.
    pub(super) fn receive(
        &mut self,
        stream: Stream<'_>,
        resumed: Option<&ResumeToken>,
        cut: Option<Cut>,
    ) -> Result<(), &'static str> {
        match (&self.dataset, stream.from, resumed) {
            (Some(dataset), _, Some(token)) => may_resume(dataset, stream, token)?,
            (None, _, Some(_)) => return Err("nothing to resume"),
            (None, None, None) if !self.missing_parents.is_empty() => {
                return Err("parent does not exist");
            }
            (None, None, None) => {}
            (Some(_), None, None) => return Err("destination exists, must specify -F"),
            (None, Some(_), None) => return Err("destination does not exist"),
            (Some(dataset), Some(from), None) => {
                if dataset.partial.is_some() {
                    return Err("contains partially-complete state");
                }
                may_increment(dataset, stream, from)?;
            }
        }
        let new = || Dataset {
            received_raw: Some(stream.raw),
            ours: true,
            form: Some(Form { raw: stream.raw, large_blocks: true }),
            ..Dataset::new(stream.kind, stream.raw || self.encrypts)
        };
        let mut dataset = self.dataset.clone().unwrap_or_else(new);
        self.txg += 1;
        dataset.partial = cut.map(|cut| {
            let mut token = token(stream.to.guid.0, stream.from.map(|from| from.0));
            token.raw = stream.raw;
            let token = match cut {
                Cut::Resumable => Some(Ok(token)),
                Cut::Lost => None,
                Cut::Corrupt => Some(Err("its checksum does not fit its data".into())),
            };
            Partial { first: dataset.snapshots.is_empty(), token }
        });
        if cut.is_none() {
            dataset.snapshots.push(Snapshot { createtxg: self.txg, ..stream.to.clone() });
        }
        self.dataset = Some(dataset);
        Ok(())
    }

    /// Does a step of a plan; `raw` is how its streams are to be made.
    pub(super) fn apply(
        &mut self,
        step: &Step,
        source: Source<'_>,
        options: Options,
        raw: bool,
    ) -> Result<(), &'static str> {
        let send = |to: &Snapshot| {
            if source.snapshot(to.guid) != Some(to) {
                return Err("the source lacks the snapshot");
            }
            match (raw, source.encrypted) {
                (true, false) => Err("raw was asked of a plain source"),
                (false, true) if !options.decrypt => Err("sent in the clear unasked"),
                _ => Ok(()),
            }
        };
        match step {
            Step::CreateParent(parent) => {
                if self.missing_parents.first() != Some(parent) {
                    return Err("parent exists, or its own parent does not");
                }
                self.missing_parents.remove(0);
                Ok(())
            }
            Step::Abort { .. } => {
                let dataset = self.dataset.as_mut().ok_or("does not exist")?;
                let partial = dataset.partial.take().ok_or("nothing to abort")?;
                if !dataset.ours {
                    return Err("what was aborted is another's");
                }
                if partial.token.is_some() && !options.restart {
                    return Err("what could be gone on with was thrown away unasked");
                }
                if partial.first {
                    self.dataset = None;
                }
                Ok(())
            }
            Step::Adopt => match self.dataset.as_mut() {
                Some(dataset) if !dataset.ours && options.adopt && dataset.is_finished() => {
                    dataset.ours = true;
                    Ok(())
                }
                _ => Err("nothing to adopt, or not asked for"),
            },
            Step::Rollback { to, discards, changes } => {
                let dataset = self.dataset.as_mut().ok_or("does not exist")?;
                if !(options.rollback && options.may_rollback) {
                    return Err("rolled back unasked");
                }
                if !dataset.snapshots.ends_with(discards) || dataset.written != *changes {
                    return Err("it was not told what is discarded");
                }
                if discards.iter().any(|discarded| source.base(discarded.guid).is_some()) {
                    return Err("something was discarded that the source has");
                }
                let kept = dataset.snapshots.len() - discards.len();
                if dataset.snapshots[..kept].last() != Some(to) {
                    return Err("more is discarded than was told");
                }
                dataset.roll_back(to)
            }
            Step::Resume { token, snapshot } => {
                send(snapshot)?;
                if token.from_guid.is_some_and(|from| source.base(from).is_none()) {
                    return Err("the source lacks the base");
                }
                let from = token.from_guid;
                let stream = Stream { kind: source.kind, raw, to: snapshot, from };
                self.receive(stream, Some(token), None)
            }
            Step::Send { snapshot, base } => {
                send(snapshot)?;
                may_send_from(source, snapshot, base.as_ref())?;
                let from = base.as_ref().map(|base| base.snapshot.guid);
                let stream = Stream { kind: source.kind, raw, to: snapshot, from };
                self.receive(stream, None, None)
            }
        }
    }
}

fn may_send_from(
    source: Source<'_>,
    to: &Snapshot,
    base: Option<&Base>,
) -> Result<(), &'static str> {
    let Some(base) = base else { return Ok(()) };
    let there = if base.is_bookmark { source.bookmarks } else { source.snapshots };
    if !there.contains(&base.snapshot) {
        return Err("the source lacks the base");
    }
    if base.snapshot.createtxg >= to.createtxg {
        return Err("not an earlier snapshot from the same fs");
    }
    Ok(())
}

fn may_resume(
    dataset: &Dataset,
    stream: Stream<'_>,
    token: &ResumeToken,
) -> Result<(), &'static str> {
    let partial = dataset.partial.as_ref().ok_or("nothing to resume")?;
    if partial.token.as_ref() != Some(&Ok(token.clone())) || token.to_guid != stream.to.guid {
        return Err("kernel modules must be upgraded to receive this stream");
    }
    if token.raw != stream.raw {
        return Err("kernel panic");
    }
    match stream.from {
        Some(from) => may_increment(dataset, stream, from),
        None => Ok(()),
    }
}

fn may_increment(dataset: &Dataset, stream: Stream<'_>, from: Guid) -> Result<(), &'static str> {
    if dataset.snapshots.last().is_none_or(|newest| newest.guid != from) {
        return Err("most recent snapshot does not match incremental source");
    }
    if dataset.written > 0 {
        return Err("destination has been modified since most recent snapshot");
    }
    if dataset.mounted_writable {
        return Err("it may be modified while it receives");
    }
    if dataset.has_label(&stream.to.label) {
        return Err("destination already exists");
    }
    if dataset.received_raw.is_some_and(|raw| raw != stream.raw) {
        return Err("IV set guid mismatch");
    }
    if dataset.kind != stream.kind {
        return Err("another kind of data");
    }
    Ok(())
}
