//! What is printed of a transfer. Standard output is for what was asked for (a listing, a JSON
//! document); everything said on the way goes to standard error.

use std::io::{self, ErrorKind, Write};

use anyhow::Context;
use schema::Place;
use schema::text::Bytes;
use serde::Serialize;
use transfer::report::{Plan, Route, Summary};
use zfs::{DatasetName, Escaped, Kind, Snapshot};

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

/// What the plan says, in lines.
pub(crate) fn plan_lines(plan: &Plan, destination: &Destination) -> Vec<String> {
    let mut lines = Vec::new();
    let size =
        plan.bytes.map_or("size not known".to_owned(), |bytes| format!("about {}", Bytes(bytes)));
    let snapshot = plan
        .snapshot
        .as_ref()
        .map_or("a new snapshot".to_owned(), |s| format!("snapshot {} (GUID {})", s.label, s.guid));
    let encrypted = if plan.raw { ", encrypted as it is" } else { "" };
    lines.push(format!("{snapshot}, {size}{encrypted}"));
    let route = match plan.route {
        Route::Direct => "directly",
        Route::Relayed => "relayed by the tracker, since the machines can't reach each other",
    };
    lines.push(format!("from {}, {route}", plan.source));
    let machine = match destination {
        Destination::Here => String::new(),
        Destination::There(place) => format!(" on {}\\{}", place.location, place.machine),
    };
    lines.push(format!("to {}{machine}", plan.target));
    if plan.aborts {
        lines.push("a failed receive of ours is thrown away there first".to_owned());
    }
    for parent in &plan.creates {
        lines.push(format!("creates {parent}, which is missing"));
    }
    lines.extend(plan.warnings.iter().map(|warning| format!("warning: {}", Escaped(warning))));
    lines
}

/// What was done, in lines; the last tells how to get at it.
pub(crate) fn summary_lines(summary: &Summary, destination: &Destination) -> Vec<String> {
    let Some(guid) = summary.guid else {
        return vec!["dry run: nothing was done".to_owned()];
    };
    let seconds = summary.elapsed.as_secs_f64().max(0.001);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate for people"
    )]
    let rate = Bytes((summary.bytes as f64 / seconds) as u64);
    let there = match destination {
        Destination::Here => String::new(),
        Destination::There(place) => format!("on {}: ", place.machine),
    };
    vec![
        format!("done: {} in {seconds:.1} s, {rate}/s, GUID {guid} verified", Bytes(summary.bytes)),
        format!("to use it, {there}{}", how_to_use(&summary.plan)),
    ]
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

/// A snapshot; its GUID is a text, because JSON's numbers lose their last digits.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsonSnapshot<'a> {
    name: &'a str,
    guid: String,
    creation: i64,
}

impl<'a> From<&'a Snapshot> for JsonSnapshot<'a> {
    fn from(snapshot: &'a Snapshot) -> Self {
        Self {
            name: snapshot.label.as_str(),
            guid: snapshot.guid.to_string(),
            creation: snapshot.creation,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonSummary<'a> {
    dry_run: bool,
    snapshot: Option<JsonSnapshot<'a>>,
    source: String,
    target: String,
    kind: String,
    raw: bool,
    route: &'static str,
    estimated_bytes: Option<u64>,
    creates: Vec<String>,
    aborts: bool,
    warnings: &'a [String],
    bytes: u64,
    seconds: f64,
    verified_guid: Option<String>,
}

/// What was done, or in a dry run would be, as a JSON document.
pub(crate) fn summary_json(summary: &Summary) -> io::Result<Vec<u8>> {
    let plan = &summary.plan;
    let document = JsonSummary {
        dry_run: summary.guid.is_none(),
        snapshot: plan.snapshot.as_ref().map(Into::into),
        source: plan.source.to_string(),
        target: plan.target.to_string(),
        kind: plan.kind.to_string(),
        raw: plan.raw,
        route: match plan.route {
            Route::Direct => "direct",
            Route::Relayed => "relayed",
        },
        estimated_bytes: plan.bytes,
        creates: plan.creates.iter().map(ToString::to_string).collect(),
        aborts: plan.aborts,
        warnings: &plan.warnings,
        bytes: summary.bytes,
        seconds: (summary.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        verified_guid: summary.guid.map(|guid| guid.to_string()),
    };
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    Ok(text)
}
