//! Random histories of three pools that hold copies of one dataset, the last of them the
//! destination; and what holds of every plan after any of them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use zfs::{Guid, Kind, Snapshot, SnapshotLabel};

use super::form::form;
use super::model::{Cut, Dataset, Pool, Stream};
use super::steps::{Options, Refusal, Source, Step};
use super::{plan, plan_any};
use crate::plan::examples::{replica, snapshot};

const DESTINATION: usize = 2;

/// Which of some is meant, counted back from the newest, modulo their count.
type Pick = usize;

/// What can happen in a pool. What can't happen just then doesn't.
#[derive(Clone, Debug)]
enum Event {
    Take { pool: usize, label: usize },
    Rename { pool: usize, snapshot: Pick, label: usize },
    Prune { pool: usize, snapshot: Pick, bookmark: bool },
    Bookmark { pool: usize, snapshot: Pick },
    RollBack { pool: usize, snapshot: Pick },
    Receive { pool: usize, from: usize, snapshot: Pick, decrypt: bool, cut: Option<Cut> },
    Destroy { pool: usize },
    Write,
    Mount { writable: bool },
    Mark { ours: bool },
    ForgetForm,
    PutAnother,
}

fn event() -> impl Strategy<Value = Event> {
    let pool = || 0..3usize;
    let source = || prop_oneof![3 => Just(0), 1 => Just(1)];
    let to = || prop_oneof![Just(DESTINATION), 0..3usize];
    let from = || prop_oneof![4 => Just(0), 1 => 0..3usize];
    let pick = || prop_oneof![Just(0), 0..6usize];
    let label = || 0..9usize;
    let cut = prop_oneof![
        6 => Just(None),
        3 => Just(Some(Cut::Resumable)),
        1 => Just(Some(Cut::Lost)),
        1 => Just(Some(Cut::Corrupt)),
    ];
    // Deep histories need more that makes than that destroys.
    prop_oneof![
        40 => (source(), label()).prop_map(|(pool, label)| Event::Take { pool, label }),
        50 => (to(), from(), pick(), any::<bool>(), cut).prop_map(|it| {
            let (pool, from, snapshot, decrypt, cut) = it;
            Event::Receive { pool, from, snapshot, decrypt, cut }
        }),
        8 => (source(), pick(), any::<bool>()).prop_map(
            |(pool, snapshot, bookmark)| Event::Prune { pool, snapshot, bookmark }
        ),
        3 => (source(), pick()).prop_map(|(pool, snapshot)| Event::Bookmark { pool, snapshot }),
        4 => (pool(), pick(), label())
            .prop_map(|(pool, snapshot, label)| Event::Rename { pool, snapshot, label }),
        1 => (pool(), pick()).prop_map(|(pool, snapshot)| Event::RollBack { pool, snapshot }),
        2 => Just(Event::Take { pool: DESTINATION, label: 0 }),
        1 => (1..3usize).prop_map(|pool| Event::Destroy { pool }),
        1 => Just(Event::Write),
        1 => any::<bool>().prop_map(|writable| Event::Mount { writable }),
        2 => any::<bool>().prop_map(|ours| Event::Mark { ours }),
        2 => Just(Event::ForgetForm),
        1 => Just(Event::PutAnother),
    ]
}

/// Whatever may be asked for.
fn options() -> impl Iterator<Item = Options> {
    (0..64).map(|bits| {
        let bit = |bit: u32| bits & (1 << bit) != 0;
        Options {
            all_snapshots: bit(0),
            restart: bit(1),
            rollback: bit(2),
            may_rollback: bit(3),
            adopt: bit(4),
            decrypt: bit(5),
        }
    })
}

#[derive(Clone, Debug)]
struct World {
    pools: [Pool; 3],
    born: u32,
}

impl World {
    fn new(encrypted: bool, encrypts: bool) -> Self {
        let pool = |txg, dataset| Pool { dataset, missing_parents: Vec::new(), encrypts, txg };
        let first = Dataset::new(Kind::Filesystem, encrypted);
        let mut pools = [pool(100, Some(first)), pool(1, None), pool(50, None)];
        pools[DESTINATION].missing_parents =
            ["tank/p", "tank/p/q"].map(|parent| parent.parse().unwrap()).into();
        Self { pools, born: 0 }
    }

    /// A snapshot that never was before.
    fn bear(&mut self, pool: usize, label: SnapshotLabel) -> Snapshot {
        self.born += 1;
        self.pools[pool].txg += 1;
        let (guid, creation) = (Guid(self.born.into()), self.born.into());
        Snapshot { label, guid, createtxg: self.pools[pool].txg, creation }
    }

    fn happen(&mut self, event: &Event) {
        // None: it can't happen now.
        let _: Option<()> = self.try_to_happen(event);
    }

    fn try_to_happen(&mut self, event: &Event) -> Option<()> {
        let label = |label: usize| -> SnapshotLabel { format!("l{label}").parse().unwrap() };
        match *event {
            Event::Take { pool, label: of } => {
                let taken = self.bear(pool, label(of));
                let dataset = self.pools[pool].whole_mut()?;
                if !dataset.has_label(&taken.label) {
                    dataset.snapshots.push(taken);
                    dataset.written = 0;
                }
            }
            Event::Rename { pool, snapshot, label: to } => {
                let dataset = self.pools[pool].dataset.as_mut()?;
                let index = nth_newest(dataset, snapshot)?;
                if !dataset.has_label(&label(to)) {
                    dataset.snapshots[index].label = label(to);
                }
            }
            Event::Prune { pool, snapshot, bookmark } => {
                let dataset = self.pools[pool].dataset.as_mut()?;
                let index = nth_newest(dataset, snapshot)?;
                // What an interrupted receive starts from can't be destroyed.
                if dataset.partial.is_none() {
                    if bookmark {
                        dataset.bookmark(index);
                    }
                    dataset.snapshots.remove(index);
                }
            }
            Event::Bookmark { pool, snapshot } => {
                let dataset = self.pools[pool].dataset.as_mut()?;
                dataset.bookmark(nth_newest(dataset, snapshot)?);
            }
            Event::RollBack { pool, snapshot } => {
                let dataset = self.pools[pool].dataset.as_mut()?;
                let index = nth_newest(dataset, snapshot)?;
                dataset.roll_back(&dataset.snapshots[index].clone()).ok()?;
            }
            Event::Receive { pool, from, snapshot, decrypt, cut } => {
                self.receive(pool, from, snapshot, decrypt, cut)?;
            }
            Event::Destroy { pool } => self.pools[pool].dataset = None,
            Event::Write => self.pools[DESTINATION].whole_mut()?.written = 4096,
            Event::Mount { writable } => {
                self.pools[DESTINATION].whole_mut()?.mounted_writable = writable;
            }
            Event::Mark { ours } => self.pools[DESTINATION].dataset.as_mut()?.ours = ours,
            Event::ForgetForm => {
                let dataset = self.pools[DESTINATION].dataset.as_mut()?;
                // Of an encrypted one the form is a guess then, and ZFS refuses a wrong one.
                if !dataset.encrypted {
                    dataset.form = None;
                }
            }
            Event::PutAnother => {
                let other = self.bear(DESTINATION, label(0));
                let mut dataset = Dataset::new(Kind::Volume, false);
                dataset.snapshots.push(other);
                self.pools[DESTINATION].dataset = Some(dataset);
            }
        }
        Some(())
    }

    /// What another transfer does, or the user by hand: from whatever fits.
    fn receive(
        &mut self,
        pool: usize,
        from: usize,
        snapshot: Pick,
        decrypt: bool,
        cut: Option<Cut>,
    ) -> Option<()> {
        let sender = self.pools[from].whole().filter(|_| pool != from)?.clone();
        let to = &sender.snapshots[nth_newest(&sender, snapshot)?];
        let receiver = self.pools[pool].dataset.as_ref();
        let base = receiver.and_then(|receiver| receiver.snapshots.last());
        let earlier = |base: &super::Base| base.snapshot.createtxg < to.createtxg;
        let base = match base {
            Some(base) => Some(sender.source().base(base.guid).filter(earlier)?.snapshot.guid),
            None => None,
        };
        let lineage = receiver.and_then(|receiver| receiver.received_raw);
        let raw = lineage.unwrap_or(sender.encrypted && !decrypt);
        if raw && !sender.encrypted {
            return None;
        }
        self.pools[pool].missing_parents.clear();
        let stream = Stream { kind: sender.kind, raw, to, from: base };
        self.pools[pool].receive(stream, None, cut).ok()
    }
}

fn nth_newest(dataset: &Dataset, pick: Pick) -> Option<usize> {
    let count = dataset.snapshots.len();
    (count > 0).then(|| count - 1 - pick % count)
}

/// A snapshot that the source has, under a name that it has elsewhere; or one that it lacks.
fn goal(source: &Dataset, pick: Pick) -> Snapshot {
    let wished = "wished".parse().unwrap();
    match nth_newest(source, pick) {
        Some(index) if pick < 5 => Snapshot { label: wished, ..source.snapshots[index].clone() },
        _ => snapshot("gone", 1_000_000, 1),
    }
}

/// By the simplest rules there are, whether nothing stands against a transfer.
fn is_clearly_possible(source: Source<'_>, pool: &Pool, goal: &Snapshot, options: Options) -> bool {
    let Some(goal) = source.snapshot(goal.guid) else { return false };
    let Some(there) = &pool.dataset else { return true };
    let raw_fits = |raw: bool| raw == source.encrypted || (!raw && options.decrypt);
    let form_fits = match there.form {
        Some(form) => raw_fits(form.raw),
        None => !source.encrypted && !there.encrypted,
    };
    let no_label_clashes = !source.snapshots.iter().any(|it| there.has_label(&it.label));
    let untouched = there.ours
        && there.kind == source.kind
        && there.written == 0
        && !there.mounted_writable
        && no_label_clashes;
    let base = there.snapshots.last().and_then(|newest| source.base(newest.guid));
    match &there.partial {
        Some(partial) if partial.first && (options.restart || partial.token.is_none()) => {
            there.ours
        }
        Some(partial) => {
            let Some(Ok(token)) = &partial.token else { return false };
            let Some(to) = source.snapshot(token.to_guid) else { return false };
            let from_fits = partial.first
                || base.is_some_and(|base| Some(base.snapshot.guid) == token.from_guid);
            let from_fits = from_fits && (!partial.first || token.from_guid.is_none());
            !options.restart
                && untouched
                && from_fits
                && raw_fits(token.raw)
                && to.createtxg <= goal.createtxg
        }
        None => {
            let older = base.is_some_and(|base| base.snapshot.createtxg < goal.createtxg);
            untouched && form_fits && older
        }
    }
}

/// Does the whole plan; the steps' names are counted.
fn carry_out(
    steps: &[Step],
    source: Source<'_>,
    pool: &Pool,
    goal: &Snapshot,
    options: Options,
    seen: &mut BTreeMap<String, u32>,
) -> Result<(), TestCaseError> {
    let raw = form(source.encrypted, &pool.destination(), options, true).raw;
    let mut pool = pool.clone();
    for step in steps {
        let done = pool.apply(step, source, options, raw);
        prop_assert_eq!(done, Ok(()), "{:?} of {:?} at {:?}", step, steps, pool);
        let kind = match step {
            Step::Send { base: None, .. } => "whole",
            Step::Send { base: Some(base), .. } if base.is_bookmark => "from a bookmark",
            Step::Send { .. } => "from a snapshot",
            Step::Resume { token, .. } if token.from_guid.is_some() => "resume an increment",
            Step::Resume { .. } => "resume the first",
            Step::Abort { .. } => "abort",
            Step::CreateParent(_) => "create",
            Step::Adopt => "adopt",
            Step::Rollback { .. } => "rollback",
        };
        *seen.entry(kind.to_owned()).or_default() += 1;
    }
    let newest = pool.whole().and_then(|dataset| dataset.snapshots.last());
    let arrived = if steps.is_empty() {
        pool.destination().has(goal.guid)
    } else {
        newest.is_some_and(|newest| newest.guid == goal.guid)
    };
    prop_assert!(arrived, "{:?} ends with {:?}", steps, pool);
    Ok(())
}

fn try_plan(
    source: Source<'_>,
    pool: &Pool,
    goal: &Snapshot,
    options: Options,
    seen: &mut BTreeMap<String, u32>,
) -> Result<(), TestCaseError> {
    let target = "tank/p/q/x".parse().unwrap();
    match plan(&target, goal, source, &pool.destination(), options) {
        Ok(steps) => carry_out(&steps, source, pool, goal, options, seen),
        Err(refusal) => {
            let possible = is_clearly_possible(source, pool, goal, options);
            prop_assert!(!possible, "{:?} at {:?} from {:?}", refusal, pool, source);
            let whose = match refusal {
                Refusal::Source(_) => "source",
                Refusal::Destination(_) => "destination",
            };
            *seen.entry(format!("refused by the {whose}")).or_default() += 1;
            Ok(())
        }
    }
}

#[test]
fn no_plan_needs_force_or_what_is_not_there_and_each_ends_with_the_goal() {
    let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::with_cases(3000) };
    let mut runner = TestRunner::new(config);
    let goals = prop_oneof![Just(0), 0..6usize];
    let history = (any::<[bool; 2]>(), prop::collection::vec(event(), 0..48), goals);
    let seen = RefCell::new(BTreeMap::<String, u32>::new());
    let ran = runner.run(&history, |([encrypted, encrypts], events, pick)| {
        let seen = &mut *seen.borrow_mut();
        let mut world = World::new(encrypted, encrypts);
        events.iter().for_each(|event| world.happen(event));
        let pool = &world.pools[DESTINATION];
        for source in &world.pools[..DESTINATION] {
            let Some(source) = source.whole() else { continue };
            let goal = goal(source, pick);
            for options in options() {
                try_plan(source.source(), pool, &goal, options, seen)?;
            }
        }
        Ok(())
    });
    ran.unwrap();
    let seen = seen.into_inner();
    // Else the histories prove nothing.
    assert_eq!(seen.len(), 11, "{seen:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn of_several_sources_one_that_needs_no_rollback_comes_first(
        events in prop::collection::vec(event(), 0..48),
        options in prop::sample::select(options().collect::<Vec<_>>()),
        pick in 0..6usize,
    ) {
        let mut world = World::new(false, false);
        events.iter().for_each(|event| world.happen(event));
        let whole = world.pools[..DESTINATION].iter().filter_map(Pool::whole);
        let replicas: Vec<_> = whole
            .map(|dataset| {
                let mut replica = replica("m", &[]);
                replica.snapshots.clone_from(&dataset.snapshots);
                replica.bookmarks.clone_from(&dataset.bookmarks);
                replica
            })
            .collect();
        let goal = goal(world.pools[0].whole().unwrap(), pick);
        let destination = world.pools[DESTINATION].destination();
        let target = "tank/p/q/x".parse().unwrap();
        let first = |options| {
            let plans = replicas
                .iter()
                .map(|replica| plan(&target, &goal, replica.into(), &destination, options));
            plans.enumerate().find_map(|(index, steps)| Some((index, steps.ok()?)))
        };
        let without_rollback = first(Options { rollback: false, ..options });
        let expected = without_rollback.or_else(|| first(options));
        let sources: Vec<_> = replicas.iter().collect();
        let planned = plan_any(&target, &goal, &sources, &destination, options);
        prop_assert_eq!(planned.ok(), expected);
    }
}
