//! From both sides to steps: what is absent is received whole, what is interrupted goes on, what is
//! there gets an [increment](super::increment). Decides nothing about which source to use.

use std::collections::HashSet;

use zfs::{DatasetName, Kind, ResumeToken, Snapshot};

use super::destination::{Destination, Partial, Present};
use super::form::form;
use super::steps::{Base, Options, Refusal, Source, Step};

/// Plans to bring `goal` from one source to `target`; no steps: it is there already.
pub fn plan(
    target: &DatasetName,
    goal: &Snapshot,
    source: Source<'_>,
    destination: &Destination,
    options: Options,
) -> Result<Vec<Step>, Refusal> {
    if destination.has(goal.guid) {
        return Ok(Vec::new());
    }
    let Some(goal) = source.snapshot(goal.guid) else {
        let reason =
            format!("the source no longer has its snapshot {}", named(std::slice::from_ref(goal)));
        return Err(Refusal::source(target, reason, "Choose another source.".into()));
    };
    let raw = form(source.encrypted, destination, options, true).raw;
    let planner = Planner { target, goal, source, options, raw };
    match destination {
        Destination::Absent { missing_parents } => {
            let mut steps: Vec<_> =
                missing_parents.iter().cloned().map(Step::CreateParent).collect();
            steps.extend(planner.chain(None));
            Ok(steps)
        }
        Destination::Present(present) => match &present.partial {
            Some(partial) => planner.interrupted(present, partial),
            None => planner.increment(present),
        },
    }
}

pub(super) struct Planner<'a> {
    pub(super) target: &'a DatasetName,
    /// The source's own entry of it.
    pub(super) goal: &'a Snapshot,
    pub(super) source: Source<'a>,
    pub(super) options: Options,
    /// Whether the streams are to be raw.
    pub(super) raw: bool,
}

impl Planner<'_> {
    /// What an interrupted receive left goes on, or is thrown away where nothing can be lost by it
    /// or the user said so.
    fn interrupted(&self, present: &Present, partial: &Partial) -> Result<Vec<Step>, Refusal> {
        if !present.ours {
            let reason = if partial.first {
                "an unfinished receive that is not of zatlas is there"
            } else {
                "an interrupted receive is in it, and the dataset is not one of zatlas"
            };
            let remedy = "Finish it, or throw it away with: zfs receive -A";
            return Err(self.destination(reason, format!("{remedy} '{}'", self.target)));
        }
        if let (Some(Err(why)), false) = (&partial.token, self.options.restart) {
            let reason = format!("the interrupted receive there can't be resumed: {why}");
            return Err(self.destination(reason, RESTART));
        }
        if let Some(token) = partial.resumable(self.options.restart) {
            return self.resume(present, partial.first, token);
        }
        let received = partial.resumable(false).map(|token| token.bytes);
        let mut steps = vec![Step::Abort { received }];
        steps.extend(if partial.first { self.chain(None) } else { self.increment(present)? });
        Ok(steps)
    }

    fn resume(
        &self,
        present: &Present,
        first: bool,
        token: &ResumeToken,
    ) -> Result<Vec<Step>, Refusal> {
        self.check_kind(present, RESTART)?;
        if token.redacted || token.saved {
            let reason = "the interrupted receive is of redacted or saved data, which zatlas \
                          never sends";
            return Err(self.destination(reason, RESTART));
        }
        let Some(snapshot) = self.source.snapshot(token.to_guid) else {
            let reason = format!(
                "the interrupted receive is of '{}' (GUID {}), which the source lacks",
                token.to_name, token.to_guid
            );
            return Err(self.source(reason, RESTART));
        };
        if let Some(base) = token.from_guid.filter(|base| self.source.base(*base).is_none()) {
            let reason = format!(
                "the interrupted receive is of '{}' and starts from the snapshot of GUID {base}, \
                 which the source has neither as snapshot nor as bookmark",
                token.to_name
            );
            return Err(self.source(reason, RESTART));
        }
        self.check_form()?;
        if snapshot.guid != self.goal.guid && snapshot.createtxg >= self.goal.createtxg {
            let reason = format!(
                "an interrupted receive of {}, which is newer than {}, is in it",
                snapshot.label, self.goal.label
            );
            let remedy = format!("Ask for {} or a newer one. {RESTART}", snapshot.label);
            return Err(self.destination(reason, remedy));
        }
        if !first {
            self.check_can_complete(present, token)?;
        }
        let mut steps = vec![Step::Resume { token: token.clone(), snapshot: snapshot.clone() }];
        let base = Base { snapshot: snapshot.clone(), is_bookmark: false };
        steps.extend(self.chain(Some(base)));
        self.check_labels(&steps, &present.snapshots)?;
        Ok(steps)
    }

    /// ZFS would receive the rest of the increment, and refuse it at its very end.
    fn check_can_complete(&self, present: &Present, token: &ResumeToken) -> Result<(), Refusal> {
        let remedy = "Discard the interrupted receive and that with --restart --rollback.";
        let base = present.snapshots.iter().position(|it| Some(it.guid) == token.from_guid);
        let newer = base.map_or(&present.snapshots[..], |base| &present.snapshots[base + 1..]);
        if base.is_none() || !newer.is_empty() {
            let reason = format!(
                "the interrupted receive in it starts from a snapshot that is no longer its \
                 newest: there is {}",
                named(newer)
            );
            return Err(self.destination(reason, remedy));
        }
        if present.written > 0 {
            let reason = format!(
                "it was changed ({} bytes) since the interrupted receive in it began",
                present.written
            );
            return Err(self.destination(reason, remedy));
        }
        self.check_mount(present)
    }

    /// The streams from `base`, or from nothing, to the goal.
    pub(super) fn chain(&self, mut base: Option<Base>) -> Vec<Step> {
        let after = base.as_ref().map(|base| base.snapshot.createtxg);
        let wanted = |snapshot: &&Snapshot| {
            after.is_none_or(|after| snapshot.createtxg > after)
                && snapshot.createtxg <= self.goal.createtxg
                && (self.options.all_snapshots || snapshot.guid == self.goal.guid)
        };
        let send = |snapshot: &Snapshot| {
            let next = Base { snapshot: snapshot.clone(), is_bookmark: false };
            Step::Send { snapshot: snapshot.clone(), base: base.replace(next) }
        };
        self.source.snapshots.iter().filter(wanted).map(send).collect()
    }

    pub(super) fn check_kind(&self, present: &Present, remedy: &str) -> Result<(), Refusal> {
        if present.kind == self.source.kind {
            return Ok(());
        }
        let article = |kind| match kind {
            Kind::Filesystem => "a filesystem",
            Kind::Volume => "a volume",
        };
        let reason = format!(
            "the destination is {}, and the source {}",
            article(present.kind),
            article(self.source.kind)
        );
        Err(self.destination(reason, remedy))
    }

    /// Raw and plain streams can't follow each other.
    pub(super) fn check_form(&self) -> Result<(), Refusal> {
        match (self.raw, self.source.encrypted) {
            (true, false) => Err(self.source(
                "what is there was received raw, as encrypted data, and the source is plain",
                "Use a source that is encrypted by the same key, or choose another name.",
            )),
            (false, true) if !self.options.decrypt => Err(self.source(
                "what is there was received plain, and the source is encrypted",
                "Send it in the clear with --decrypt, or choose another name.",
            )),
            _ => Ok(()),
        }
    }

    /// What is written to while it is received into is changed, and then no increment fits.
    pub(super) fn check_mount(&self, present: &Present) -> Result<(), Refusal> {
        if !present.mounted_writable {
            return Ok(());
        }
        let target = self.target;
        Err(self.destination(
            "it is mounted, and can be written to",
            format!("Do one of: zfs unmount '{target}'; zfs set readonly=on '{target}'"),
        ))
    }

    /// No stream may bring a name that one of the snapshots there has.
    pub(super) fn check_labels(&self, steps: &[Step], kept: &[Snapshot]) -> Result<(), Refusal> {
        let taken: HashSet<_> = kept.iter().map(|kept| &kept.label).collect();
        let mut brought = steps.iter().filter_map(Step::brings);
        let Some(brought) = brought.find(|brought| taken.contains(&brought.label)) else {
            return Ok(());
        };
        let (target, label) = (self.target, &brought.label);
        Err(self.destination(
            format!("another snapshot of the name {label} is there"),
            format!("Give it another name: zfs rename '{target}@{label}' NEW"),
        ))
    }

    pub(super) fn source(&self, reason: impl Into<String>, remedy: impl Into<String>) -> Refusal {
        Refusal::source(self.target, reason.into(), remedy.into())
    }

    pub(super) fn destination(
        &self,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Refusal {
        Refusal::destination(self.target, reason.into(), remedy.into())
    }
}

pub(super) const RESTART: &str = "Throw away what was received, and begin anew: --restart";

/// Snapshots as people can find them: a label alone may mean another snapshot at the other side.
pub(super) fn named(snapshots: &[Snapshot]) -> String {
    // What a message and a reader can bear.
    const SHOWN: usize = 100;
    let named = |snapshot: &Snapshot| format!("{} (GUID {})", snapshot.label, snapshot.guid);
    let mut names: Vec<_> = snapshots.iter().take(SHOWN).map(named).collect();
    if snapshots.len() > SHOWN {
        names.push(format!("and {} more", snapshots.len() - SHOWN));
    }
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests;
