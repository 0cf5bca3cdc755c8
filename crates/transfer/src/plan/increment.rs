//! What goes into a dataset that is there: streams from the newest snapshot that both sides have,
//! and before them only what the user asked for, and the destination allows.

use std::collections::HashSet;

use zfs::{Guid, Snapshot};

use super::destination::Present;
use super::planner::{Planner, named};
use super::steps::{Base, Refusal, Source, Step};

/// The newest snapshot of the destination that the source knows too, by GUID.
struct Common<'a> {
    at_destination: &'a Snapshot,
    at_source: Base,
    /// The destination's newer ones, oldest first: the source lacks them.
    in_the_way: &'a [Snapshot],
}

impl<'a> Common<'a> {
    fn newest(snapshots: &'a [Snapshot], source: Source<'_>) -> Option<Self> {
        let entries = source.snapshots.iter().chain(source.bookmarks);
        let known: HashSet<Guid> = entries.map(|entry| entry.guid).collect();
        let index = snapshots.iter().rposition(|snapshot| known.contains(&snapshot.guid))?;
        let at_destination = &snapshots[index];
        let at_source = source.base(at_destination.guid)?;
        Some(Self { at_destination, at_source, in_the_way: &snapshots[index + 1..] })
    }
}

impl Planner<'_> {
    /// Plans streams into a dataset whose first receive is finished, as if none were interrupted.
    ///
    /// What can't be helped is told before what the user can do something about.
    pub(super) fn increment(&self, present: &Present) -> Result<Vec<Step>, Refusal> {
        const RENAME: &str = "Choose another name for it, or rename what is there with: zfs rename";
        self.check_kind(present, RENAME)?;
        if present.snapshots.is_empty() {
            return Err(self.destination(
                "the destination exists already, and has no snapshot to go on from",
                RENAME,
            ));
        }
        let Some(common) = Common::newest(&present.snapshots, self.source) else {
            let reason = format!(
                "the destination exists already and has no snapshot in common with the source: it \
                 has {}; the source has {}",
                named(&present.snapshots),
                named(self.source.snapshots)
            );
            return Err(self.source(reason, RENAME));
        };
        self.check_form()?;
        if common.at_source.snapshot.createtxg >= self.goal.createtxg {
            let reason = format!(
                "the destination is ahead: it has {}, which is newer than {}",
                common.at_destination.label, self.goal.label
            );
            let remedy = "Ask for a newer snapshot, or choose another name for this one.";
            return Err(self.destination(reason, remedy));
        }
        if present.form.is_none() && present.encrypted && !self.source.encrypted {
            // ZFS takes a plain stream onto a raw one where the key is loaded, and no raw one after.
            let reason = "it is encrypted, and nothing tells whether it was received raw or plain";
            let remedy = format!("If plain, say so: zfs set zatlas:stream=plain '{}'", self.target);
            return Err(self.destination(reason, remedy));
        }
        if !present.ours && !self.options.adopt {
            let reason = "it holds older snapshots of the same data, and was not made by zatlas";
            return Err(self.destination(reason, "Take it over with --adopt."));
        }
        self.check_mount(present)?;
        let kept = &present.snapshots[..present.snapshots.len() - common.in_the_way.len()];
        let mut steps = Vec::new();
        if !present.ours {
            steps.push(Step::Adopt);
        }
        steps.extend(self.rollback(present, &common)?);
        steps.extend(self.chain(Some(common.at_source)));
        self.check_labels(&steps, kept)?;
        Ok(steps)
    }

    /// Goes back to the common snapshot, if anything came after it.
    fn rollback(&self, present: &Present, common: &Common<'_>) -> Result<Option<Step>, Refusal> {
        let (to, discards, changes) = (common.at_destination, common.in_the_way, present.written);
        let newest = discards.last().unwrap_or(to);
        let changed = format!("it was changed since {} ({changes} bytes)", newest.label);
        let reason = match (discards, changes) {
            ([], 0) => return Ok(None),
            ([], _) => changed,
            (_, 0) => format!("it has snapshots that the source lacks: {}", named(discards)),
            (_, _) => {
                format!("it has snapshots that the source lacks: {}; {changed}", named(discards))
            }
        };
        if !self.options.rollback {
            let remedy = "Discard that with --rollback, or choose another name.";
            // Another source may have those snapshots.
            return Err(match discards {
                [] => self.destination(reason, remedy),
                _ => self.source(reason, remedy),
            });
        }
        if !self.options.may_rollback {
            let reason = format!("{reason}; and the destination does not allow --rollback");
            return Err(self.destination(reason, "Allow it there with: agent --allow-rollback"));
        }
        Ok(Some(Step::Rollback { to: to.clone(), discards: discards.to_vec(), changes }))
    }
}
