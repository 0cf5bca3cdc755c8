//! Which of several sources a plan is made with, and what to tell when none will do.

use schema::{Code, Failure, Replica};
use zfs::{DatasetName, Snapshot};

use super::destination::Destination;
use super::planner::{RESTART, plan};
use super::steps::{Options, Refusal, Source, Step};

/// Plans with the first source that can, and tells its index; rolling back is the last resort.
///
/// If none can, the failure tells what is wrong with the destination, else with each source.
pub fn plan_any(
    target: &DatasetName,
    goal: &Snapshot,
    sources: &[&Replica],
    destination: &Destination,
    options: Options,
) -> Result<(usize, Vec<Step>), Failure> {
    let attempt = |options| {
        let mut refusals = Vec::new();
        for (index, replica) in sources.iter().enumerate() {
            match plan(target, goal, Source::from(*replica), destination, options) {
                Ok(steps) => return Ok((index, steps)),
                Err(refusal) => refusals.push(refusal),
            }
        }
        Err(refusals)
    };
    let planned = attempt(Options { rollback: false, ..options });
    let planned = if options.rollback { planned.or_else(|_| attempt(options)) } else { planned };
    planned.map_err(|refusals| {
        told(refusals, sources).unwrap_or_else(|| {
            let reason = format!("no machine that is online has its snapshot {}", goal.label);
            let remedy = "Bring one online that has it: start its agent, import its pool.";
            Failure::new(Code::Offline, "receive", target, reason, remedy)
        })
    })
}

/// One failure for all, the destination's before any source's.
fn told(refusals: Vec<Refusal>, sources: &[&Replica]) -> Option<Failure> {
    let is_of_destination = |refusal: &Refusal| matches!(refusal, Refusal::Destination(_));
    if let Some(index) = refusals.iter().position(is_of_destination) {
        return refusals.into_iter().nth(index).map(Refusal::into_failure);
    }
    let mut failures = refusals.into_iter().map(Refusal::into_failure).zip(sources);
    let (first, source) = failures.next()?;
    let rest = failures.map(|(failure, source)| format!("\n{}: {}", source.place, failure.reason));
    let rest: String = rest.collect();
    let reason = if rest.is_empty() {
        first.reason
    } else {
        format!("{}: {}{rest}", source.place, first.reason)
    };
    Some(Failure { reason, ..first })
}

/// That nobody can go on with the destination's interrupted receive, now or later: no replica of
/// those given, online or off, has both its snapshot and what it starts from.
///
/// To be asked where no plan was found: what has arrived already needs nobody to go on with it.
pub fn stuck(
    target: &DatasetName,
    destination: &Destination,
    replicas: &[Replica],
    options: Options,
) -> Option<Failure> {
    let Destination::Present(present) = destination else { return None };
    let token = present.partial.as_ref().filter(|_| present.ours)?.resumable(options.restart)?;
    let fits = |replica: &Replica| {
        let source = Source::from(replica);
        source.snapshot(token.to_guid).is_some()
            && token.from_guid.is_none_or(|base| source.base(base).is_some())
    };
    if replicas.iter().any(fits) {
        return None;
    }
    let from = token.from_guid.map(|base| format!(" together with its base, of GUID {base}"));
    let reason = format!(
        "an interrupted receive of '{}' (GUID {}) is there, {} bytes of it, and no machine, online \
         or off, has that snapshot any more{}",
        token.to_name,
        token.to_guid,
        token.bytes,
        from.unwrap_or_default()
    );
    Some(Failure::new(Code::Refused, "resume", target, reason, RESTART))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::destination::{Partial, Present};
    use crate::plan::examples::{replica, snapshot, token};

    /// A dataset of ours that has s1 and then s7, which the others may lack.
    fn diverged() -> Present {
        Present {
            kind: zfs::Kind::Filesystem,
            encrypted: false,
            ours: true,
            form: None,
            snapshots: vec![snapshot("s1", 1, 10), snapshot("s7", 7, 70)],
            written: 0,
            mounted_writable: false,
            partial: None,
        }
    }

    fn at(present: Present) -> Destination {
        Destination::Present(Box::new(present))
    }

    fn planned(
        sources: &[Replica],
        present: Present,
        options: Options,
    ) -> Result<(usize, usize), Failure> {
        let goal = snapshot("s9", 9, 90);
        let sources: Vec<_> = sources.iter().collect();
        plan_any(&"tank/a".parse().unwrap(), &goal, &sources, &at(present), options)
            .map(|(index, steps)| (index, steps.len()))
    }

    const ROLLBACK: Options = Options {
        all_snapshots: false,
        restart: false,
        rollback: true,
        may_rollback: true,
        adopt: false,
        decrypt: false,
    };

    #[test]
    fn the_first_source_that_can_is_taken_and_one_that_needs_a_rollback_last() {
        let lacks_it = || replica("lacks", &[(1, 10), (9, 90)]);
        let has_it = || replica("has", &[(1, 10), (7, 70), (9, 90)]);
        for (sources, options, expected) in [
            (vec![has_it(), has_it()], Options::default(), (0, 1)),
            (vec![lacks_it(), has_it()], Options::default(), (1, 1)),
            (vec![lacks_it(), has_it()], ROLLBACK, (1, 1)),
            (vec![lacks_it(), lacks_it()], ROLLBACK, (0, 2)),
        ] {
            assert_eq!(planned(&sources, diverged(), options), Ok(expected));
        }
    }

    #[test]
    fn a_failure_tells_of_the_destination_else_of_every_source() {
        let unrelated = || replica("unrelated", &[(8, 80), (9, 90)]);
        let lacks_it = || replica("lacks", &[(1, 10), (9, 90)]);
        let mounted = || Present { mounted_writable: true, ..diverged() };
        let plan = |sources: &[Replica], present| {
            planned(sources, present, Options::default()).unwrap_err()
        };

        let failure = plan(&[unrelated(), lacks_it()], mounted());
        assert!(failure.reason.starts_with("it is mounted"), "{failure}");

        let failure = plan(&[lacks_it(), unrelated()], diverged());
        let lines: Vec<_> = failure.reason.lines().collect();
        assert_eq!(lines[0], r"dc\lacks\tank: it has snapshots that the source lacks: s7 (GUID 7)");
        assert!(lines[1].starts_with(r"dc\unrelated\tank: "), "{failure}");
        assert!(failure.remedy.contains("--rollback"), "{failure}");

        let failure = plan(&[lacks_it()], diverged());
        assert!(failure.reason.starts_with("it has snapshots"), "{failure}");
        assert_eq!(plan(&[], diverged()).code, Code::Offline);
        let forbidden = Options { may_rollback: false, ..ROLLBACK };
        let failure = planned(&[lacks_it()], diverged(), forbidden).unwrap_err();
        assert!(failure.remedy.contains("--allow-rollback"), "{failure}");
    }

    #[test]
    fn a_token_whose_snapshot_is_gone_everywhere_is_stuck() {
        let interrupted = |to, from| {
            let token = Some(Ok(token(to, from)));
            Present { partial: Some(Partial { first: from.is_none(), token }), ..diverged() }
        };
        let off = |replica| Replica { online: false, ..replica };
        let mut bookmarked = replica("m", &[(2, 20)]);
        bookmarked.bookmarks = vec![snapshot("b", 1, 10)];
        let one = || replica("one", &[(1, 10)]);
        let two = || replica("two", &[(2, 20)]);
        let both = || replica("both", &[(1, 10), (2, 20)]);
        let (keep, restart) = (Options::default(), Options { restart: true, ..Options::default() });
        for (to, from, replicas, options, expected) in [
            (2, None, vec![one()], keep, true),
            (2, None, vec![one(), off(two())], keep, false),
            (2, None, vec![], keep, true),
            (2, None, vec![one()], restart, false),
            (2, Some(1), vec![one(), two()], keep, true),
            (2, Some(1), vec![one(), off(both())], keep, false),
            (2, Some(1), vec![bookmarked], keep, false),
        ] {
            let destination = at(interrupted(to, from));
            let stuck = stuck(&"tank/a".parse().unwrap(), &destination, &replicas, options);
            assert_eq!(stuck.is_some(), expected, "{to} from {from:?} of {replicas:?}: {stuck:?}");
            if let Some(failure) = stuck {
                assert!(failure.reason.contains("5000 bytes"), "{failure}");
                assert!(failure.remedy.contains("--restart"), "{failure}");
            }
        }
        let foreign = Present { ours: false, ..interrupted(2, None) };
        assert_eq!(stuck(&"tank/a".parse().unwrap(), &at(foreign), &[], keep), None);
    }
}
