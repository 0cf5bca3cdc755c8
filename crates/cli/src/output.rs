//! What is printed of a transfer: as [text] for people, as [JSON](json) for programs. Standard
//! output is for what was asked for (a listing, a JSON document); everything said on the way goes
//! to standard error.

pub(crate) mod json;
pub(crate) mod text;

use std::io::{self, ErrorKind, Write};

use anyhow::Context;
use schema::Place;
use transfer::report::Plan;

/// Writes to standard output. That nobody reads it any more (`| head`) is no error.
pub(crate) fn to_stdout(text: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

/// Where a transfer goes to, as it is told to people.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// A pool of this machine.
    Here,
    /// Another machine's pool.
    There(Place),
}

/// Whether the snapshot is there already. (A snapshot that is still to be taken isn't.)
pub(crate) fn is_up_to_date(plan: &Plan) -> bool {
    plan.steps.is_empty() && plan.snapshot.is_some()
}

#[cfg(test)]
pub(crate) mod examples {
    //! Plans and summaries to print.

    use std::time::Duration;

    use transfer::plan::Base;
    use transfer::report::{Action, Origin, Plan, Route, Step, Summary, Used};
    use zfs::{Guid, Kind, Snapshot};

    pub(crate) fn snapshot(label: &str, guid: u64) -> Snapshot {
        Snapshot { label: label.parse().unwrap(), guid: Guid(guid), createtxg: guid, creation: 0 }
    }

    pub(crate) fn origin(place: &str, dataset: &str, route: Route) -> Origin {
        Origin { place: place.parse().unwrap(), dataset: dataset.parse().unwrap(), route }
    }

    pub(crate) fn send(label: &str, base: Option<(&str, bool)>) -> Step {
        let base =
            base.map(|(base, is_bookmark)| Base { snapshot: snapshot(base, 1), is_bookmark });
        Step { action: Action::Send { snapshot: snapshot(label, 2), base }, bytes: Some(1 << 20) }
    }

    pub(crate) fn doing(action: Action) -> Step {
        Step { action, bytes: None }
    }

    /// Brings `one` from `dc\m\tank` to `home/a`.
    pub(crate) fn plan(steps: Vec<Step>) -> Plan {
        Plan {
            snapshot: Some(snapshot("one", 2)),
            source: origin(r"dc\m\tank", "a", Route::Direct),
            target: "home/a".parse().unwrap(),
            kind: Kind::Filesystem,
            raw: false,
            bytes: steps.iter().filter_map(|step| step.bytes).reduce(|sum, more| sum + more),
            steps,
            warnings: Vec::new(),
        }
    }

    /// Of a transfer of one whole snapshot that two sources took part in.
    pub(crate) fn summary() -> Summary {
        let used = |place, dataset, route, bytes, left: Option<&str>| Used {
            origin: origin(place, dataset, route),
            bytes,
            left: left.map(str::to_owned),
        };
        Summary {
            plan: plan(vec![send("one", None)]),
            bytes: 3 << 20,
            elapsed: Duration::from_millis(1500),
            guid: Some(Guid(2)),
            sources: vec![
                used(r"dc\m\tank", "a", Route::Direct, 1 << 20, Some("it sent nothing for 60 s")),
                used(r"dc\n\pond", "b", Route::Relayed, 2 << 20, None),
            ],
            retries: 1,
        }
    }

    /// The snapshot was there already.
    pub(crate) fn up_to_date() -> Summary {
        Summary { plan: plan(Vec::new()), bytes: 0, sources: Vec::new(), retries: 0, ..summary() }
    }

    /// Of a dry run that found something to do.
    pub(crate) fn dry(plan: Plan) -> Summary {
        Summary { plan, guid: None, ..up_to_date() }
    }
}
