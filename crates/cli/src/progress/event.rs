//! What `--progress json` prints: an object on each line, with the event's name and dataset.

use schema::Failure;
use serde::Serialize;
use transfer::report::{Origin, Plan, Summary};

use super::meter::Reading;
use crate::output::json::{
    FailureDocument, OriginDocument, PlanDocument, SummaryDocument, seconds,
};

/// Something that happened to a transfer.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    dataset: &'a str,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum What<'a> {
    Plan {
        plan: PlanDocument<'a>,
    },
    Source {
        source: OriginDocument<'a>,
    },
    Progress {
        bytes: u64,
        total: Option<u64>,
        /// From 0 to 1.
        share: Option<f64>,
        bytes_per_second: f64,
        seconds_left: Option<f64>,
    },
    Note {
        note: &'a str,
    },
    Summary {
        summary: SummaryDocument<'a>,
    },
    Failure {
        failure: FailureDocument<'a>,
    },
}

impl<'a> Event<'a> {
    pub(super) fn plan(dataset: &'a str, plan: &'a Plan) -> Self {
        Self { dataset, what: What::Plan { plan: plan.into() } }
    }

    pub(super) fn source(dataset: &'a str, source: &'a Origin) -> Self {
        Self { dataset, what: What::Source { source: source.into() } }
    }

    pub(super) fn progress(dataset: &'a str, reading: &Reading) -> Self {
        let Reading { bytes, total, share, .. } = *reading;
        let bytes_per_second = reading.rate.round();
        let seconds_left = reading.left().map(seconds);
        Self {
            dataset,
            what: What::Progress { bytes, total, share, bytes_per_second, seconds_left },
        }
    }

    pub(super) fn note(dataset: &'a str, note: &'a str) -> Self {
        Self { dataset, what: What::Note { note } }
    }

    pub(super) fn outcome(
        dataset: &'a str,
        outcome: Result<&'a Summary, &'a Failure>,
        dry_run: bool,
    ) -> Self {
        let what = match outcome {
            Ok(summary) => What::Summary { summary: SummaryDocument::new(summary, dry_run) },
            Err(failure) => What::Failure { failure: failure.into() },
        };
        Self { dataset, what }
    }

    /// The object, without a line's end; JSON escapes control characters by itself.
    pub(super) fn line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use schema::Code;
    use serde_json::{Value, json};
    use transfer::report::Progress;

    use super::super::meter::Meter;
    use super::*;
    use crate::output::examples;

    fn parse(event: &Event<'_>) -> Value {
        let line = event.line().unwrap();
        assert!(line.starts_with('{') && !line.contains('\n'), "{line}");
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn each_event_is_an_object_on_a_line() {
        let start = Instant::now();
        let progress = Progress { bytes: 1000, total: Some(4000) };
        let reading = Meter::new(start).read(progress, start + std::time::Duration::from_secs(1));
        assert_eq!(
            parse(&Event::progress("a", &reading)),
            json!({
                "dataset": "a",
                "event": "progress",
                "bytes": 1000,
                "total": 4000,
                "share": 0.25,
                "bytesPerSecond": 1000.0,
                "secondsLeft": 3.0,
            })
        );
        assert_eq!(
            parse(&Event::note("a", "two\nlines")),
            json!({ "dataset": "a", "event": "note", "note": "two\nlines" })
        );
        let summary = examples::summary();
        assert_eq!(
            parse(&Event::source("a", &summary.sources[1].origin)),
            json!({
                "dataset": "a",
                "event": "source",
                "source": { "place": r"dc\n\pond", "dataset": "b", "route": "relayed" },
            })
        );
        assert_eq!(parse(&Event::plan("a", &summary.plan))["plan"]["target"], "home/a");
        assert_eq!(
            parse(&Event::outcome("a", Ok(&summary), false))["summary"]["verifiedGuid"],
            "2"
        );
        let failure = Failure::new(Code::Refused, "receive", "home/a", "no space", "Free some.");
        assert_eq!(
            parse(&Event::outcome("a", Err(&failure), false)),
            json!({
                "dataset": "a",
                "event": "failure",
                "failure": {
                    "exitStatus": 6,
                    "operation": "receive",
                    "subject": "home/a",
                    "reason": "no space",
                    "remedy": "Free some.",
                },
            })
        );
    }
}
