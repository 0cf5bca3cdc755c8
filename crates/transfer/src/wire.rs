//! Requests, plans, progress and summaries to and from the wire.

use std::time::Duration;

use capnp::Result;
use schema::transfer_capnp::{self, copy_request, event, origin, plan, progress, step, summary};
use schema::wire::{
    length, parse, parse_optional, read_kind, read_place, read_snapshot, read_snapshots,
    write_kind, write_place, write_snapshot, write_snapshots,
};
use schema::{Destination, Place};
use zfs::{DatasetPath, Guid, SnapshotLabel};

use crate::options::{self, Options};
use crate::plan::Base;
use crate::report::{Action, Origin, Plan, Progress, Route, Step, Summary, Used};

/// What a copy is asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRequest {
    /// The dataset's path below its pool.
    pub dataset: DatasetPath,
    /// Where to.
    pub destination: Destination,
    /// The source to use and no other.
    pub from: Option<Place>,
    /// The snapshot to use and no other.
    pub snapshot: Option<SnapshotLabel>,
    /// Plan, and do nothing.
    pub dry_run: bool,
    /// How it is to be done.
    pub options: Options,
}

/// Reads a request.
pub fn read_request(reader: copy_request::Reader<'_>) -> Result<CopyRequest> {
    Ok(CopyRequest {
        dataset: parse(reader.get_dataset()?)?,
        destination: Destination {
            place: read_place(reader.get_destination()?)?,
            path: parse_optional(reader.get_path()?)?,
        },
        from: if reader.has_from() { Some(read_place(reader.get_from()?)?) } else { None },
        snapshot: parse_optional(reader.get_snapshot()?)?,
        dry_run: reader.get_dry_run(),
        options: options::read(reader.get_options()?)?,
    })
}

/// Writes a request.
pub fn write_request(mut builder: copy_request::Builder<'_>, request: &CopyRequest) {
    builder.set_dataset(request.dataset.as_str());
    write_place(builder.reborrow().init_destination(), &request.destination.place);
    builder.set_path(request.destination.path.as_ref().map_or("", DatasetPath::as_str));
    if let Some(from) = &request.from {
        write_place(builder.reborrow().init_from(), from);
    }
    builder.set_snapshot(request.snapshot.as_ref().map_or("", SnapshotLabel::as_str));
    builder.set_dry_run(request.dry_run);
    options::write(builder.init_options(), &request.options);
}

/// On the wire, 0 stands for a number that isn't known.
fn known(bytes: u64) -> Option<u64> {
    (bytes != 0).then_some(bytes)
}

fn read_origin(reader: origin::Reader<'_>) -> Result<Origin> {
    Ok(Origin {
        place: read_place(reader.get_place()?)?,
        dataset: parse(reader.get_dataset()?)?,
        route: match reader.get_route()? {
            transfer_capnp::Route::Direct => Route::Direct,
            transfer_capnp::Route::DialledBySender => Route::DialledBySender,
            transfer_capnp::Route::Relayed => Route::Relayed,
        },
    })
}

fn write_origin(mut builder: origin::Builder<'_>, origin: &Origin) {
    write_place(builder.reborrow().init_place(), &origin.place);
    builder.set_dataset(origin.dataset.as_str());
    builder.set_route(match origin.route {
        Route::Direct => transfer_capnp::Route::Direct,
        Route::DialledBySender => transfer_capnp::Route::DialledBySender,
        Route::Relayed => transfer_capnp::Route::Relayed,
    });
}

fn read_step(reader: step::Reader<'_>) -> Result<Step> {
    let action = match reader.which()? {
        step::Abort(abort) => Action::Abort(known(abort.get_received())),
        step::CreateParent(parent) => Action::CreateParent(parse(parent?)?),
        step::Adopt(()) => Action::Adopt,
        step::Rollback(rollback) => Action::Rollback {
            to: read_snapshot(rollback.get_to()?)?,
            discards: read_snapshots(rollback.get_discards()?)?,
            changes: rollback.get_changes(),
        },
        step::Resume(resume) => Action::Resume {
            snapshot: read_snapshot(resume.get_snapshot()?)?,
            received: resume.get_received(),
        },
        step::Send(send) => Action::Send {
            snapshot: read_snapshot(send.get_snapshot()?)?,
            base: if send.has_base() {
                Some(Base {
                    snapshot: read_snapshot(send.get_base()?)?,
                    is_bookmark: send.get_base_is_bookmark(),
                })
            } else {
                None
            },
        },
    };
    Ok(Step { action, bytes: known(reader.get_bytes()) })
}

fn write_step(mut builder: step::Builder<'_>, step: &Step) {
    builder.set_bytes(step.bytes.unwrap_or(0));
    match &step.action {
        Action::Abort(received) => builder.init_abort().set_received(received.unwrap_or(0)),
        Action::CreateParent(parent) => builder.set_create_parent(parent.to_string()),
        Action::Adopt => builder.set_adopt(()),
        Action::Rollback { to, discards, changes } => {
            let mut rollback = builder.init_rollback();
            write_snapshot(rollback.reborrow().init_to(), to);
            write_snapshots(rollback.reborrow().init_discards(length(discards)), discards);
            rollback.set_changes(*changes);
        }
        Action::Resume { snapshot, received } => {
            let mut resume = builder.init_resume();
            write_snapshot(resume.reborrow().init_snapshot(), snapshot);
            resume.set_received(*received);
        }
        Action::Send { snapshot, base } => {
            let mut send = builder.init_send();
            write_snapshot(send.reborrow().init_snapshot(), snapshot);
            if let Some(base) = base {
                write_snapshot(send.reborrow().init_base(), &base.snapshot);
                send.set_base_is_bookmark(base.is_bookmark);
            }
        }
    }
}

/// Reads a plan.
pub fn read_plan(reader: plan::Reader<'_>) -> Result<Plan> {
    let warnings = reader.get_warnings()?;
    Ok(Plan {
        snapshot: if reader.has_snapshot() {
            Some(read_snapshot(reader.get_snapshot()?)?)
        } else {
            None
        },
        source: read_origin(reader.get_source()?)?,
        target: parse(reader.get_target()?)?,
        kind: read_kind(reader.get_kind()?),
        raw: reader.get_raw(),
        steps: reader.get_steps()?.iter().map(read_step).collect::<Result<_>>()?,
        bytes: known(reader.get_bytes()),
        warnings: warnings.iter().map(|text| Ok(text?.to_string()?)).collect::<Result<_>>()?,
    })
}

/// Writes a plan.
pub fn write_plan(mut builder: plan::Builder<'_>, plan: &Plan) {
    if let Some(snapshot) = &plan.snapshot {
        write_snapshot(builder.reborrow().init_snapshot(), snapshot);
    }
    write_origin(builder.reborrow().init_source(), &plan.source);
    builder.set_target(plan.target.to_string());
    builder.set_kind(write_kind(plan.kind));
    builder.set_raw(plan.raw);
    let mut steps = builder.reborrow().init_steps(length(&plan.steps));
    for (index, step) in (0..).zip(&plan.steps) {
        write_step(steps.reborrow().get(index), step);
    }
    builder.set_bytes(plan.bytes.unwrap_or(0));
    let mut warnings = builder.init_warnings(length(&plan.warnings));
    for (index, warning) in (0..).zip(&plan.warnings) {
        warnings.set(index, warning);
    }
}

/// Writes how far it is.
pub fn write_progress(mut builder: progress::Builder<'_>, progress: Progress) {
    builder.set_bytes(progress.bytes);
    builder.set_total(progress.total.unwrap_or(0));
}

/// What an observer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// How it is done from now on.
    Plan(Box<Plan>),
    /// How far it is.
    Progress(Progress),
    /// A decision taken on the way, for people.
    Note(String),
}

/// Reads what an observer is told.
pub fn read_event(reader: event::Reader<'_>) -> Result<Event> {
    Ok(match reader.which()? {
        event::Plan(plan) => Event::Plan(Box::new(read_plan(plan?)?)),
        event::Progress(progress) => {
            let progress = progress?;
            let (bytes, total) = (progress.get_bytes(), known(progress.get_total()));
            Event::Progress(Progress { bytes, total })
        }
        event::Note(note) => Event::Note(note?.to_string()?),
    })
}

/// Reads a summary.
pub fn read_summary(reader: summary::Reader<'_>) -> Result<Summary> {
    let used = reader.get_sources()?.iter().map(|used| {
        Ok(Used {
            origin: read_origin(used.get_origin()?)?,
            bytes: used.get_bytes(),
            left: Some(used.get_left()?.to_string()?).filter(|left| !left.is_empty()),
        })
    });
    Ok(Summary {
        plan: read_plan(reader.get_plan()?)?,
        bytes: reader.get_bytes(),
        elapsed: Duration::from_millis(reader.get_milliseconds()),
        guid: known(reader.get_guid()).map(Guid),
        sources: used.collect::<Result<_>>()?,
        retries: reader.get_retries(),
    })
}

/// Writes a summary.
pub fn write_summary(mut builder: summary::Builder<'_>, summary: &Summary) {
    write_plan(builder.reborrow().init_plan(), &summary.plan);
    builder.set_bytes(summary.bytes);
    builder.set_milliseconds(u64::try_from(summary.elapsed.as_millis()).unwrap_or(u64::MAX));
    builder.set_guid(summary.guid.map_or(0, |guid| guid.0));
    let mut sources = builder.reborrow().init_sources(length(&summary.sources));
    for (index, used) in (0..).zip(&summary.sources) {
        let mut source = sources.reborrow().get(index);
        write_origin(source.reborrow().init_origin(), &used.origin);
        source.set_bytes(used.bytes);
        source.set_left(used.left.as_deref().unwrap_or(""));
    }
    builder.set_retries(summary.retries);
}

#[cfg(test)]
mod tests;
