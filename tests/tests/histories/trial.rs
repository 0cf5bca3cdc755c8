//! One history, from its first event to its last, judged after each transfer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Properties, Ran};

use crate::check::Allowed;
use crate::history::{Command, Event, History, Transfer};
use crate::model::{self, Cause, Expected, Replica, Wish};
use crate::world::World;

/// What histories came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) histories: u32,
    pub(crate) successes: u32,
    /// Of the successes: there was nothing to do.
    pub(crate) up_to_date: u32,
    pub(crate) refusals: BTreeMap<Cause, u32>,
    /// What went wrong on the way.
    pub(crate) faults: BTreeMap<&'static str, u32>,
    /// Times that transfers went on by themselves.
    pub(crate) retries: u64,
    /// Times that a command was run again.
    pub(crate) again: u32,
    pub(crate) longest: Duration,
}

impl Report {
    pub(crate) fn add(&mut self, other: Self) {
        self.histories += other.histories;
        self.successes += other.successes;
        self.up_to_date += other.up_to_date;
        for (cause, count) in other.refusals {
            *self.refusals.entry(cause).or_default() += count;
        }
        for (fault, count) in other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.retries += other.retries;
        self.again += other.again;
        self.longest = self.longest.max(other.longest);
    }
}

/// Has the history of this seed happen.
pub(crate) fn run(seed: u64) -> Report {
    let started = Instant::now();
    let history = History::of(seed);
    let mut world = World::new(&history);
    let mut report = Report { histories: 1, ..Report::default() };
    let mut all_done = true;
    for (number, event) in history.events.iter().enumerate() {
        eprintln!("seed {seed}, event {number}: {event:?}");
        match event {
            Event::Transfer(transfer) => all_done &= judge(&mut world, transfer, &mut report),
            event => world.happen(event),
        }
    }
    if all_done {
        world.check_nothing_held();
    }
    report.longest = started.elapsed();
    report
}

/// Runs a transfer; gives whether it came to its goal.
fn judge(world: &mut World, transfer: &Transfer, report: &mut Report) -> bool {
    let before = world.settle();
    let replicas = world.replicas(&before);
    let label = transfer.snapshot.and_then(|nth| {
        let origin = replicas.iter().find(|it| it.node == 0 && it.path == crate::world::DATASET);
        let snapshots = &origin?.snapshots;
        Some(snapshots[nth % snapshots.len()].label.clone())
    });
    let expected = expected(world, transfer, &replicas, label.as_deref());
    let arguments = arguments(world, transfer, label.as_deref());
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();

    let (ran, struck) = world.run_with_faults(transfer, &words);
    eprintln!("  expected {expected:?}\n  {struck:?}, status {}\n{}", ran.status, ran.stderr);
    for what in &struck.what {
        *report.faults.entry(what).or_default() += 1;
    }
    report.again += struck.again;
    world.check_silence();
    let after = world.properties();
    let node = &world.nodes[transfer.to];
    let targets = pairs(world, transfer).into_iter().map(|(_, target)| node.name(&target));
    let targets: Vec<String> = targets.collect();
    let allowed = Allowed { node: transfer.to, targets: targets.clone(), before: &before };
    world.check_changes(&allowed, &after);
    world.check_contents(&allowed, &after);
    if ran.status == 0 {
        let copied = transfer.command == Command::Copy;
        world.check_settings(&allowed, &after[transfer.to], copied);
        succeeded(world, transfer, &expected, &after, &ran, report);
    } else {
        refused(&expected, &ran, report);
    }
    world.settle();
    if ran.stderr.contains("keep their holds for now") {
        // The tracker was away when the transfer was done: the next run tells it.
        world.nodes[transfer.to].machine.cli(&words).ok();
    }
    world.check_holds();
    if ran.status == 0 {
        // What is unfinished there is of another transfer, and may yet go on.
        let token = |target: &String| after[transfer.to].value(target, "receive_resume_token");
        let whole = targets.into_iter().filter(|it| token(it).is_none_or(|token| token == "-"));
        world.check_released(&whole.collect::<Vec<_>>());
    }
    ran.status == 0
}

fn succeeded(
    world: &World,
    transfer: &Transfer,
    expected: &[Expected],
    after: &[Properties],
    ran: &Ran,
    report: &mut Report,
) {
    let replicas = world.replicas(after);
    for (expected, (_, target)) in expected.iter().zip(pairs(world, transfer)) {
        let arrived = replicas.iter().find(|it| it.node == transfer.to && it.path == target);
        let arrived = arrived.unwrap_or_else(|| panic!("no {target} after {ran:#?}"));
        assert!(
            expected.goals.iter().any(|goal| arrived.has(*goal)),
            "{arrived:?} has none of {expected:?}: {ran:#?}"
        );
    }
    report.successes += 1;
    let told: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:#?}"));
    let each = told["datasets"].as_array().cloned().unwrap_or_else(|| vec![told]);
    report.up_to_date += u32::from(each.iter().all(|one| one["upToDate"] == true));
    report.retries += each.iter().filter_map(|one| one["retries"].as_u64()).sum::<u64>();
}

fn refused(expected: &[Expected], ran: &Ran, report: &mut Report) {
    let told = |cause: &&Cause| {
        let (status, words) = cause.told();
        ran.status == status && ran.stderr.contains(words)
    };
    let causes = expected.iter().flat_map(|expected| &expected.causes);
    let cause = causes.copied().find(|cause| told(&cause));
    let cause = cause.unwrap_or_else(|| panic!("{expected:?} gives no reason for {ran:#?}"));
    *report.refusals.entry(cause).or_default() += 1;
}

/// What is transferred, and what it becomes, both below their pools.
fn pairs(world: &World, transfer: &Transfer) -> Vec<(&'static str, String)> {
    let datasets = if transfer.recursive { &world.datasets[..] } else { &world.datasets[..1] };
    let target = |dataset: &str| dataset.replacen("data", transfer.place.path(), 1);
    datasets.iter().map(|dataset| (*dataset, target(dataset))).collect()
}

fn expected(
    world: &World,
    transfer: &Transfer,
    replicas: &[Replica],
    snapshot: Option<&str>,
) -> Vec<Expected> {
    let node = &world.nodes[transfer.to];
    let of_each = pairs(world, transfer).into_iter().map(|(path, target)| {
        let name = node.name(&target);
        let written = node.machine.has(&name) && node.machine.get(&name, "written") != "0";
        let wish = Wish {
            path,
            target: (transfer.to, &target),
            snapshot,
            from: transfer.from,
            adopt: transfer.adopt,
            written,
        };
        model::expect(replicas, &wish)
    });
    of_each.collect()
}

fn arguments(world: &World, transfer: &Transfer, snapshot: Option<&str>) -> Vec<String> {
    let node = &world.nodes[transfer.to];
    let path = transfer.place.path();
    let mut words: Vec<String> = match transfer.command {
        Command::Download => vec!["download".into(), "data".into(), "--to".into(), node.name(path)],
        Command::Copy => vec!["copy".into(), "data".into(), format!(r"{}\{path}", node.place())],
    };
    // Of one that was killed, what it had begun may not have ended yet.
    words.extend(["--json", "--wait", "--progress", "lines"].map(str::to_owned));
    for (given, word) in [
        (transfer.all_snapshots, "--all-snapshots"),
        (transfer.recursive, "--recursive"),
        (transfer.adopt, "--adopt"),
    ] {
        words.extend(given.then(|| word.to_owned()));
    }
    if let Some(from) = transfer.from {
        words.extend(["--from".to_owned(), world.nodes[from].place()]);
    }
    if let Some(snapshot) = snapshot {
        words.extend(["--snapshot".to_owned(), snapshot.to_owned()]);
    }
    words
}
