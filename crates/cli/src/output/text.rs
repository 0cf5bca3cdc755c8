//! Plans and summaries in lines for people.

use std::time::Duration;

use schema::text::{Bytes, utc};
use transfer::report::{Action, Origin, Plan, Route, Step, Summary};
use zfs::{DatasetName, DatasetPath, Escaped, Kind, Snapshot};

use super::{Destination, is_up_to_date};
use crate::duration::human;

/// How many streams a plan lists where there is no need to know each: `--all-snapshots` may have
/// thousands.
const STREAMS: usize = 20;

/// What the plan says, each stream included if it is the `whole` one that is wanted. `dataset` is
/// what was asked for.
pub(crate) fn plan_lines(
    plan: &Plan,
    dataset: &DatasetPath,
    destination: &Destination,
    whole: bool,
) -> Vec<String> {
    let snapshot = plan.snapshot.as_ref().map_or("a new snapshot".to_owned(), identified);
    let encrypted = if plan.raw { ", encrypted as it is" } else { "" };
    let size = if is_up_to_date(plan) { String::new() } else { format!(", {}", size(plan.bytes)) };
    let machine = match destination {
        Destination::Here => String::new(),
        Destination::There(place) => format!(" on {}\\{}", place.location, place.machine),
    };
    let mut lines = vec![
        format!("{snapshot}{size}{encrypted}"),
        format!("from {}, {}", name_at(&plan.source, dataset), route(plan.source.route)),
        format!("to {}{machine}", plan.target),
    ];
    lines.extend(step_lines(&plan.steps, if whole { usize::MAX } else { STREAMS }));
    lines.extend(plan.warnings.iter().map(|warning| format!("warning: {}", Escaped(warning))));
    lines
}

/// What changes when a transfer goes on by another plan. That, and from where, is told by a note.
pub(crate) fn next_plan_lines(plan: &Plan) -> Vec<String> {
    let mut lines =
        vec![format!("still to do: {}, {}", size(plan.bytes), route(plan.source.route))];
    lines.extend(step_lines(&plan.steps, 1));
    lines
}

fn name_at(Origin { place, dataset: there, .. }: &Origin, dataset: &DatasetPath) -> String {
    if there == dataset { place.to_string() } else { format!("{place} (there it is {there})") }
}

fn route(route: Route) -> &'static str {
    match route {
        Route::Direct => "directly",
        Route::DialledBySender => "directly, dialled by the sender",
        Route::Relayed => "relayed by the tracker, since the machines can't reach each other",
    }
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or("size not known".to_owned(), |bytes| format!("about {}", Bytes(bytes)))
}

fn identified(snapshot: &Snapshot) -> String {
    format!("snapshot {} (GUID {})", snapshot.label, snapshot.guid)
}

/// All that isn't a stream, and so many streams.
fn step_lines(steps: &[Step], streams: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut listed, mut more) = (0, 0);
    for (number, step) in (1..).zip(steps) {
        if matches!(step.action, Action::Send { .. } | Action::Resume { .. }) {
            if listed == streams {
                more += 1;
                continue;
            }
            listed += 1;
        }
        lines.push(format!("  {number}. {}", step_line(step)));
        if let Action::Rollback { discards, changes, .. } = &step.action {
            let discards = discards.iter();
            lines.extend(
                discards.map(|s| format!("     - {} of {}", identified(s), utc(s.creation))),
            );
            if *changes > 0 {
                lines.push(format!("     - {} written since", Bytes(*changes)));
            }
        }
    }
    if more > 0 {
        lines.push(format!("  and {more} more such steps"));
    }
    lines
}

fn step_line(step: &Step) -> String {
    match &step.action {
        Action::Abort(received) => {
            let received = received.map_or(String::new(), |r| format!(", {} of it", Bytes(r)));
            format!("throws away what an interrupted receive of ours has left{received}")
        }
        Action::CreateParent(parent) => format!("creates {parent}, which is missing"),
        Action::Adopt => "takes over the dataset, which another tool made".to_owned(),
        Action::Rollback { to, .. } => format!("rolls back to {}, which destroys:", to.label),
        Action::Resume { snapshot, received } => format!(
            "goes on with {}, of which {} is there, {}",
            snapshot.label,
            Bytes(*received),
            size(step.bytes)
        ),
        Action::Send { snapshot, base: None } => {
            format!("receives {} whole, {}", snapshot.label, size(step.bytes))
        }
        Action::Send { snapshot, base: Some(base) } => {
            let from = if base.is_bookmark { "from the bookmark" } else { "from" };
            let (base, size) = (&base.snapshot.label, size(step.bytes));
            format!("receives the increment {from} {base} to {}, {size}", snapshot.label)
        }
    }
}

/// What was done; the last line tells how to get at it.
pub(crate) fn summary_lines(
    summary: &Summary,
    dataset: &DatasetPath,
    destination: &Destination,
    dry_run: bool,
) -> Vec<String> {
    let plan = &summary.plan;
    let mut lines = Vec::new();
    if let (true, Some(snapshot)) = (is_up_to_date(plan), &plan.snapshot) {
        lines.push(format!("nothing to do: {} is there already", identified(snapshot)));
    }
    if dry_run {
        lines.push("dry run: nothing was done".to_owned());
        return lines;
    }
    if let (true, Some(guid)) = (lines.is_empty(), summary.guid) {
        lines.push(format!(
            "done: {} in {}, {}/s, {}, GUID {guid} verified",
            Bytes(summary.bytes),
            human(summary.elapsed),
            Bytes(rate(summary.bytes, summary.elapsed)),
            match summary.retries {
                0 => "no retry".to_owned(),
                1 => "1 retry".to_owned(),
                more => format!("{more} retries"),
            },
        ));
        for used in &summary.sources {
            let left = used.left.as_ref();
            let left = left.map_or(String::new(), |why| format!("; left: {}", Escaped(why)));
            let (from, route) = (name_at(&used.origin, dataset), route(used.origin.route));
            lines.push(format!("{} from {from}, {route}{left}", Bytes(used.bytes)));
        }
    }
    let there = match destination {
        Destination::Here => String::new(),
        Destination::There(place) => format!("on {}: ", place.machine),
    };
    lines.push(format!("to use it, {there}{}", how_to_use(plan)));
    lines
}

/// Bytes per second.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people"
)]
pub(crate) fn rate(bytes: u64, elapsed: Duration) -> u64 {
    (bytes as f64 / elapsed.as_secs_f64().max(0.001)) as u64
}

/// The commands that make the target usable. A name holds no quote, so quotes are enough.
fn how_to_use(plan: &Plan) -> String {
    let target = quoted(&plan.target);
    let key = if plan.raw { format!("zfs load-key {target} && ") } else { String::new() };
    match plan.kind {
        Kind::Filesystem => format!("mount it: {key}zfs mount {target}"),
        Kind::Volume => format!("open the block device: {key}ls '/dev/zvol/{}'", plan.target),
    }
}

fn quoted(name: &DatasetName) -> String {
    format!("'{name}'")
}

#[cfg(test)]
mod tests {
    use super::super::examples::{doing, dry, origin, plan, send, snapshot, summary, up_to_date};
    use super::*;

    fn dataset() -> DatasetPath {
        "a".parse().unwrap()
    }

    fn there() -> Destination {
        Destination::There(r"dc\here\home".parse().unwrap())
    }

    #[test]
    fn a_plan_tells_what_from_where_and_to_where() {
        let mut plan = plan(vec![send("one", None)]);
        assert_eq!(
            plan_lines(&plan, &dataset(), &Destination::Here, true),
            [
                "snapshot one (GUID 2), about 1.0 MiB",
                r"from dc\m\tank, directly",
                "to home/a",
                "  1. receives one whole, about 1.0 MiB",
            ]
        );
        plan.source = origin(r"dc\n\pond", "backup/a", Route::Relayed);
        (plan.raw, plan.bytes) = (true, None);
        plan.warnings = vec!["bad\x1b[2J".to_owned()];
        assert_eq!(
            plan_lines(&plan, &dataset(), &there(), true),
            [
                "snapshot one (GUID 2), size not known, encrypted as it is",
                r"from dc\n\pond (there it is backup/a), relayed by the tracker, since the machines can't reach each other",
                r"to home/a on dc\here",
                "  1. receives one whole, about 1.0 MiB",
                r"warning: bad\u{1b}[2J",
            ]
        );
    }

    #[test]
    fn many_streams_are_counted_where_nobody_asked_for_each() {
        let parent = doing(Action::CreateParent("home".parse().unwrap()));
        let sends = (0..30).map(|_| send("two", Some(("one", false))));
        let plan = plan(std::iter::once(parent).chain(sends).collect());
        let lines = |whole| plan_lines(&plan, &dataset(), &Destination::Here, whole);
        assert_eq!(lines(true).len(), 3 + 31);
        assert_eq!(lines(false).len(), 3 + 1 + STREAMS + 1);
        assert_eq!(lines(false).last().unwrap(), "  and 10 more such steps");
        assert_eq!(
            next_plan_lines(&plan),
            [
                "still to do: about 30.0 MiB, directly",
                "  1. creates home, which is missing",
                "  2. receives the increment from one to two, about 1.0 MiB",
                "  and 29 more such steps",
            ]
        );
    }

    #[test]
    fn each_step_is_told() {
        let resume = Action::Resume { snapshot: snapshot("one", 2), received: 3 << 20 };
        for (step, line) in [
            (
                doing(Action::Abort(Some(2 << 20))),
                "throws away what an interrupted receive of ours has left, 2.0 MiB of it",
            ),
            (
                doing(Action::Abort(None)),
                "throws away what an interrupted receive of ours has left",
            ),
            (
                doing(Action::CreateParent("home/b c".parse().unwrap())),
                "creates home/b c, which is missing",
            ),
            (doing(Action::Adopt), "takes over the dataset, which another tool made"),
            (doing(resume), "goes on with one, of which 3.0 MiB is there, size not known"),
            (
                send("two", Some(("one", false))),
                "receives the increment from one to two, about 1.0 MiB",
            ),
            (
                send("two", Some(("one", true))),
                "receives the increment from the bookmark one to two, about 1.0 MiB",
            ),
        ] {
            assert_eq!(step_lines(&[step], 1), [format!("  1. {line}")]);
        }
    }

    #[test]
    fn a_rollback_lists_what_it_destroys() {
        let discards = vec![snapshot("x", 8), snapshot("y", 9)];
        let rollback = Action::Rollback { to: snapshot("base", 1), discards, changes: 4096 };
        assert_eq!(
            step_lines(&[doing(rollback), send("one", Some(("base", false)))], 1),
            [
                "  1. rolls back to base, which destroys:",
                "     - snapshot x (GUID 8) of 1970-01-01 00:00:00 UTC",
                "     - snapshot y (GUID 9) of 1970-01-01 00:00:00 UTC",
                "     - 4.0 KiB written since",
                "  2. receives the increment from base to one, about 1.0 MiB",
            ]
        );
    }

    #[test]
    fn a_summary_tells_sources_and_how_to_mount() {
        assert_eq!(
            summary_lines(&summary(), &dataset(), &there(), false),
            [
                "done: 3.0 MiB in 1.5 s, 2.0 MiB/s, 1 retry, GUID 2 verified",
                r"1.0 MiB from dc\m\tank, directly; left: it sent nothing for 60 s",
                r"2.0 MiB from dc\n\pond (there it is b), relayed by the tracker, since the machines can't reach each other",
                "to use it, on here: mount it: zfs mount 'home/a'",
            ]
        );
        let mut volume = summary();
        (volume.plan.kind, volume.plan.raw) = (Kind::Volume, true);
        let lines = summary_lines(&volume, &dataset(), &Destination::Here, false);
        let use_it =
            "to use it, open the block device: zfs load-key 'home/a' && ls '/dev/zvol/home/a'";
        assert_eq!(lines.last().unwrap(), use_it);
    }

    #[test]
    fn what_needs_nothing_or_is_only_planned_says_so() {
        let nothing = "nothing to do: snapshot one (GUID 2) is there already";
        let dry_run = "dry run: nothing was done";
        let mount = "to use it, mount it: zfs mount 'home/a'";
        let mut untaken = plan(Vec::new());
        untaken.snapshot = None;
        for (summary, dry, lines) in [
            (up_to_date(), false, &[nothing, mount][..]),
            (up_to_date(), true, &[nothing, dry_run]),
            (dry(plan(vec![send("one", None)])), true, &[dry_run]),
            (dry(untaken), true, &[dry_run]),
        ] {
            assert_eq!(summary_lines(&summary, &dataset(), &Destination::Here, dry), lines);
        }
    }
}
