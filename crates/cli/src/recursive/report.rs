//! How it went with all datasets of a command.

use schema::text::Bytes;
use schema::{Code, Failure};
use serde::Serialize;

use super::{Ended, Outcome};
use crate::output::is_up_to_date;
use crate::output::json::{FailureDocument, SummaryDocument};

/// How many came to which end.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    done: usize,
    up_to_date: usize,
    failed: usize,
    skipped: usize,
    /// Received, over all.
    bytes: u64,
}

impl Counts {
    fn of(all: &[Ended]) -> Self {
        let mut counts = Self::default();
        for ended in all {
            match &ended.outcome {
                Outcome::Done(summary) if is_up_to_date(&summary.plan) => counts.up_to_date += 1,
                Outcome::Done(summary) => {
                    counts.done += 1;
                    counts.bytes += summary.bytes;
                }
                Outcome::Failed(_) => counts.failed += 1,
                Outcome::Skipped(_) => counts.skipped += 1,
            }
        }
        counts
    }
}

/// The last lines.
pub(crate) fn summary_lines(all: &[Ended], dry_run: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for Ended { item, outcome } in all {
        if let Outcome::Skipped(why) = outcome {
            lines.push(format!("{}: skipped: {why}", item.dataset));
        }
    }
    let Counts { done, up_to_date, failed, skipped, bytes } = Counts::of(all);
    let done_or_planned = if dry_run { "planned" } else { "done" };
    lines.push(format!(
        "{} datasets: {done} {done_or_planned}, {up_to_date} up to date, {failed} failed, {skipped} \
         skipped; {}",
        all.len(),
        Bytes(bytes)
    ));
    lines
}

/// The document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document<'a> {
    datasets: Vec<DatasetDocument<'a>>,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct DatasetDocument<'a> {
    dataset: &'a str,
    #[serde(flatten)]
    outcome: OutcomeDocument<'a>,
}

#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
enum OutcomeDocument<'a> {
    Done(Box<SummaryDocument<'a>>),
    UpToDate(Box<SummaryDocument<'a>>),
    Failed { failure: FailureDocument<'a> },
    Skipped { reason: &'a str },
}

/// All that was done, by name.
pub(crate) fn document(all: &[Ended], dry_run: bool) -> Document<'_> {
    let mut datasets: Vec<DatasetDocument<'_>> = all
        .iter()
        .map(|ended| DatasetDocument {
            dataset: ended.item.dataset.as_str(),
            outcome: match &ended.outcome {
                Outcome::Done(summary) if is_up_to_date(&summary.plan) => {
                    OutcomeDocument::UpToDate(Box::new(SummaryDocument::new(summary, dry_run)))
                }
                Outcome::Done(summary) => {
                    OutcomeDocument::Done(Box::new(SummaryDocument::new(summary, dry_run)))
                }
                Outcome::Failed(failure) => OutcomeDocument::Failed { failure: failure.into() },
                Outcome::Skipped(reason) => OutcomeDocument::Skipped { reason },
            },
        })
        .collect();
    datasets.sort_by_key(|document| document.dataset);
    Document { datasets, counts: Counts::of(all) }
}

/// What the command comes to: an interrupt, else the failure that came first.
pub(crate) fn result(all: &[Ended]) -> Result<(), Failure> {
    let not_done = all.iter().filter(|ended| !matches!(ended.outcome, Outcome::Done(_))).count();
    if not_done == 0 {
        return Ok(());
    }
    let operation = format!("transfer {not_done} of {} datasets", all.len());
    let failures = all.iter().filter_map(|ended| match &ended.outcome {
        Outcome::Failed(failure) => Some((&ended.item.dataset, failure)),
        _ => None,
    });
    // Of equal ones this takes the first.
    let worst = failures.min_by_key(|(_, failure)| failure.code != Code::Interrupted);
    Err(match worst {
        Some((dataset, Failure { code, operation: what, subject, reason, remedy })) => {
            Failure::new(
                *code,
                operation,
                "",
                format!("{dataset}: cannot {what} '{subject}': {reason}"),
                remedy,
            )
        }
        // It was between two.
        None => Failure::new(
            Code::Interrupted,
            operation,
            "",
            "interrupted before they were begun",
            "Run the same command again to go on.",
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::command::Item;
    use crate::output::examples;

    fn ended(name: &str, outcome: Outcome) -> Ended {
        let item = Item { dataset: name.parse().unwrap(), target: name.parse().unwrap() };
        Ended { item, outcome }
    }

    fn failed(code: Code, remedy: &str) -> Outcome {
        Outcome::Failed(Failure::new(code, "receive", "home/x", "it broke", remedy))
    }

    fn all() -> Vec<Ended> {
        vec![
            ended("b", failed(Code::Refused, "Mend it.")),
            ended("a", Outcome::Done(examples::summary())),
            ended("c", Outcome::Done(examples::up_to_date())),
            ended("b/d", Outcome::Skipped("b was not transferred".to_owned())),
            ended("e", failed(Code::Offline, "Wait.")),
        ]
    }

    #[test]
    fn the_last_lines_count_all_and_name_the_skipped() {
        assert_eq!(
            summary_lines(&all(), false),
            [
                "b/d: skipped: b was not transferred",
                "5 datasets: 1 done, 1 up to date, 2 failed, 1 skipped; 3.0 MiB",
            ]
        );
        let dry = ended("a", Outcome::Done(examples::up_to_date()));
        let planned = examples::dry(examples::plan(vec![examples::send("one", None)]));
        assert_eq!(
            summary_lines(&[dry, ended("b", Outcome::Done(planned))], true),
            ["2 datasets: 1 planned, 1 up to date, 0 failed, 0 skipped; 0 B"]
        );
    }

    #[test]
    fn the_document_lists_all_by_name() {
        let document = serde_json::to_value(document(&all(), false)).unwrap();
        let datasets = document["datasets"].as_array().unwrap();
        let told: Vec<(&str, &str)> = datasets
            .iter()
            .map(|one| (one["dataset"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                ("a", "done"),
                ("b", "failed"),
                ("b/d", "skipped"),
                ("c", "upToDate"),
                ("e", "failed")
            ]
        );
        assert_eq!(datasets[0]["verifiedGuid"], "2");
        assert_eq!(datasets[1]["failure"]["exitStatus"], 6);
        assert_eq!(datasets[2]["reason"], "b was not transferred");
        let count = |key: &str| document.get(key).and_then(Value::as_u64);
        assert_eq!(
            ["done", "upToDate", "failed", "skipped", "bytes"].map(count),
            [Some(1), Some(1), Some(2), Some(1), Some(3 << 20)]
        );
    }

    #[test]
    fn the_status_is_that_of_the_first_failure_or_of_an_interrupt() {
        let mut ended_so = all();
        let failure = result(&ended_so).unwrap_err();
        assert_eq!(failure.exit_status(), 6);
        assert_eq!(
            failure.to_string(),
            "cannot transfer 3 of 5 datasets: b: cannot receive 'home/x': it broke\nMend it."
        );
        ended_so.push(ended("f", failed(Code::Interrupted, "")));
        assert_eq!(result(&ended_so).unwrap_err().exit_status(), 130);
        let skipped = ended("f", Outcome::Skipped("interrupted".to_owned()));
        assert_eq!(result(&[skipped]).unwrap_err().exit_status(), 130);
        assert!(result(&[ended("a", Outcome::Done(examples::summary()))]).is_ok());
    }
}
