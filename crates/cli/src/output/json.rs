//! The same as JSON. GUIDs are texts, because JSON's numbers lose their last digits; sizes are
//! bytes, times seconds, and `null` stands for what isn't known.

use std::time::Duration;

use schema::Failure;
use serde::Serialize;
use transfer::plan::Base;
use transfer::report::{Action, Origin, Plan, Route, Step, Summary, Used};

use super::is_up_to_date;
use super::text::rate;

/// A snapshot or bookmark.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot<'a> {
    name: &'a str,
    guid: String,
    creation: i64,
}

impl<'a> From<&'a zfs::Snapshot> for Snapshot<'a> {
    fn from(snapshot: &'a zfs::Snapshot) -> Self {
        Self {
            name: snapshot.label.as_str(),
            guid: snapshot.guid.to_string(),
            creation: snapshot.creation,
        }
    }
}

/// What a transfer is going to do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanDocument<'a> {
    /// `null` in a dry run where the source would take one.
    snapshot: Option<Snapshot<'a>>,
    source: String,
    /// The dataset's name at the source.
    source_dataset: &'a str,
    route: &'static str,
    target: String,
    kind: String,
    raw: bool,
    estimated_bytes: Option<u64>,
    up_to_date: bool,
    steps: Vec<StepDocument<'a>>,
    warnings: &'a [String],
}

impl<'a> From<&'a Plan> for PlanDocument<'a> {
    fn from(plan: &'a Plan) -> Self {
        Self {
            snapshot: plan.snapshot.as_ref().map(Into::into),
            source: plan.source.place.to_string(),
            source_dataset: plan.source.dataset.as_str(),
            route: route(plan.source.route),
            target: plan.target.to_string(),
            kind: plan.kind.to_string(),
            raw: plan.raw,
            estimated_bytes: plan.bytes,
            up_to_date: is_up_to_date(plan),
            steps: plan.steps.iter().map(Into::into).collect(),
            warnings: &plan.warnings,
        }
    }
}

fn route(route: Route) -> &'static str {
    match route {
        Route::Direct => "direct",
        Route::DialledBySender => "dialled-by-sender",
        Route::Relayed => "relayed",
    }
}

#[derive(Serialize)]
struct StepDocument<'a> {
    #[serde(flatten)]
    action: ActionDocument<'a>,
    bytes: Option<u64>,
}

#[derive(Serialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum ActionDocument<'a> {
    Abort { received: Option<u64> },
    CreateParent { dataset: String },
    Adopt,
    Rollback { to: Snapshot<'a>, discards: Vec<Snapshot<'a>>, changed_bytes: u64 },
    Resume { snapshot: Snapshot<'a>, received: u64 },
    Send { snapshot: Snapshot<'a>, base: Option<BaseDocument<'a>> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BaseDocument<'a> {
    #[serde(flatten)]
    snapshot: Snapshot<'a>,
    is_bookmark: bool,
}

impl<'a> From<&'a Base> for BaseDocument<'a> {
    fn from(base: &'a Base) -> Self {
        Self { snapshot: (&base.snapshot).into(), is_bookmark: base.is_bookmark }
    }
}

impl<'a> From<&'a Step> for StepDocument<'a> {
    fn from(step: &'a Step) -> Self {
        let action = match &step.action {
            Action::Abort(received) => ActionDocument::Abort { received: *received },
            Action::CreateParent(parent) => {
                ActionDocument::CreateParent { dataset: parent.to_string() }
            }
            Action::Adopt => ActionDocument::Adopt,
            Action::Rollback { to, discards, changes } => ActionDocument::Rollback {
                to: to.into(),
                discards: discards.iter().map(Into::into).collect(),
                changed_bytes: *changes,
            },
            Action::Resume { snapshot, received } => {
                ActionDocument::Resume { snapshot: snapshot.into(), received: *received }
            }
            Action::Send { snapshot, base } => ActionDocument::Send {
                snapshot: snapshot.into(),
                base: base.as_ref().map(Into::into),
            },
        };
        Self { action, bytes: step.bytes }
    }
}

/// What was done, or in a dry run would be.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SummaryDocument<'a> {
    dry_run: bool,
    #[serde(flatten)]
    plan: PlanDocument<'a>,
    bytes: u64,
    seconds: f64,
    bytes_per_second: u64,
    retries: u32,
    sources: Vec<SourceDocument<'a>>,
    verified_guid: Option<String>,
}

impl<'a> SummaryDocument<'a> {
    pub(crate) fn new(summary: &'a Summary, dry_run: bool) -> Self {
        Self {
            dry_run,
            plan: (&summary.plan).into(),
            bytes: summary.bytes,
            seconds: seconds(summary.elapsed),
            bytes_per_second: rate(summary.bytes, summary.elapsed),
            retries: summary.retries,
            sources: summary.sources.iter().map(Into::into).collect(),
            verified_guid: summary.guid.map(|guid| guid.to_string()),
        }
    }
}

/// A source.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OriginDocument<'a> {
    place: String,
    /// The dataset's name there.
    dataset: &'a str,
    route: &'static str,
}

impl<'a> From<&'a Origin> for OriginDocument<'a> {
    fn from(origin: &'a Origin) -> Self {
        Self {
            place: origin.place.to_string(),
            dataset: origin.dataset.as_str(),
            route: route(origin.route),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceDocument<'a> {
    #[serde(flatten)]
    origin: OriginDocument<'a>,
    bytes: u64,
    /// Why it was left; `null`: it was not.
    left: Option<&'a str>,
}

impl<'a> From<&'a Used> for SourceDocument<'a> {
    fn from(used: &'a Used) -> Self {
        Self { origin: (&used.origin).into(), bytes: used.bytes, left: used.left.as_deref() }
    }
}

/// Why something was not done.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FailureDocument<'a> {
    exit_status: u8,
    operation: &'a str,
    subject: &'a str,
    reason: &'a str,
    remedy: &'a str,
}

impl<'a> From<&'a Failure> for FailureDocument<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self {
            exit_status: failure.exit_status(),
            operation: &failure.operation,
            subject: &failure.subject,
            reason: &failure.reason,
            remedy: &failure.remedy,
        }
    }
}

/// A time in seconds, to the millisecond.
pub(crate) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// A document as it is printed.
pub(crate) fn print<T: Serialize>(document: &T) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(document)?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::examples::{self, doing, send, snapshot};
    use super::*;

    fn value(document: impl Serialize) -> Value {
        serde_json::to_value(document).unwrap()
    }

    #[test]
    fn a_summary_has_its_plan_and_its_sources() {
        let summary = examples::summary();
        let one = json!({ "name": "one", "guid": "2", "creation": 0 });
        assert_eq!(
            value(SummaryDocument::new(&summary, false)),
            json!({
                "dryRun": false,
                "snapshot": one,
                "source": r"dc\m\tank",
                "sourceDataset": "a",
                "route": "direct",
                "target": "home/a",
                "kind": "filesystem",
                "raw": false,
                "estimatedBytes": 1 << 20,
                "upToDate": false,
                "steps": [{ "action": "send", "snapshot": one, "base": null, "bytes": 1 << 20 }],
                "warnings": [],
                "bytes": 3 << 20,
                "seconds": 1.5,
                "bytesPerSecond": 2 << 20,
                "retries": 1,
                "sources": [
                    {
                        "place": r"dc\m\tank",
                        "dataset": "a",
                        "route": "direct",
                        "bytes": 1 << 20,
                        "left": "it sent nothing for 60 s",
                    },
                    {
                        "place": r"dc\n\pond",
                        "dataset": "b",
                        "route": "relayed",
                        "bytes": 2 << 20,
                        "left": null,
                    },
                ],
                "verifiedGuid": "2",
            })
        );
    }

    #[test]
    fn a_dry_run_and_what_is_there_already_are_told_apart() {
        let untaken = Plan { snapshot: None, ..examples::plan(Vec::new()) };
        for (summary, dry_run, up_to_date) in [
            (examples::up_to_date(), false, true),
            (examples::up_to_date(), true, true),
            (examples::dry(untaken), true, false),
        ] {
            let document = value(SummaryDocument::new(&summary, dry_run));
            assert_eq!(
                (&document["dryRun"], &document["upToDate"]),
                (&dry_run.into(), &up_to_date.into())
            );
            assert_eq!(document["verifiedGuid"].is_null(), summary.guid.is_none());
        }
    }

    #[test]
    fn each_step_has_its_own_fields() {
        let (x, y) = (snapshot("x", u64::MAX), snapshot("y", 9));
        let json_x = json!({ "name": "x", "guid": u64::MAX.to_string(), "creation": 0 });
        let json_y = json!({ "name": "y", "guid": "9", "creation": 0 });
        let rollback = Action::Rollback { to: x.clone(), discards: vec![y], changes: 7 };
        for (step, document) in [
            (
                doing(Action::Abort(Some(5))),
                json!({ "action": "abort", "received": 5, "bytes": null }),
            ),
            (
                doing(Action::CreateParent("home/p".parse().unwrap())),
                json!({ "action": "createParent", "dataset": "home/p", "bytes": null }),
            ),
            (doing(Action::Adopt), json!({ "action": "adopt", "bytes": null })),
            (
                doing(rollback),
                json!({
                    "action": "rollback",
                    "to": json_x,
                    "discards": [json_y],
                    "changedBytes": 7,
                    "bytes": null,
                }),
            ),
            (
                doing(Action::Resume { snapshot: x, received: 5 }),
                json!({ "action": "resume", "snapshot": json_x, "received": 5, "bytes": null }),
            ),
        ] {
            assert_eq!(value(StepDocument::from(&step)), document);
        }
        let step = send("two", Some(("base", true)));
        assert_eq!(
            value(StepDocument::from(&step))["base"],
            json!({ "name": "base", "guid": "1", "creation": 0, "isBookmark": true })
        );
    }
}
