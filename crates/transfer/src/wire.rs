//! Plans, progress and summaries to and from the wire.

use std::time::Duration;

use capnp::Result;
use schema::transfer_capnp::{self, copy_request, event, plan, progress, summary};
use schema::wire::{
    length, parse, parse_optional, read_kind, read_place, read_snapshot, write_kind, write_place,
    write_snapshot,
};
use schema::{Destination, Place};
use zfs::{DatasetPath, Guid, SnapshotLabel};

use crate::report::{Plan, Progress, Route, Status, Summary};

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
}

/// On the wire, 0 stands for a size that isn't known.
fn known(bytes: u64) -> Option<u64> {
    (bytes != 0).then_some(bytes)
}

fn read_texts<T>(
    list: capnp::text_list::Reader<'_>,
    read: impl Fn(capnp::text::Reader<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    list.iter().map(|text| read(text?)).collect()
}

fn write_texts(mut list: capnp::text_list::Builder<'_>, texts: impl IntoIterator<Item = String>) {
    for (index, text) in (0..).zip(texts) {
        list.set(index, &text);
    }
}

/// Reads a plan.
pub fn read_plan(reader: plan::Reader<'_>) -> Result<Plan> {
    Ok(Plan {
        snapshot: if reader.has_snapshot() {
            Some(read_snapshot(reader.get_snapshot()?)?)
        } else {
            None
        },
        source: read_place(reader.get_source()?)?,
        target: parse(reader.get_target()?)?,
        kind: read_kind(reader.get_kind()?),
        raw: reader.get_raw(),
        bytes: known(reader.get_bytes()),
        creates: read_texts(reader.get_creates()?, parse)?,
        aborts: reader.get_aborts(),
        route: match reader.get_route()? {
            transfer_capnp::Route::Direct => Route::Direct,
            transfer_capnp::Route::Relayed => Route::Relayed,
        },
        warnings: read_texts(reader.get_warnings()?, |text| Ok(text.to_string()?))?,
    })
}

/// Writes a plan.
pub fn write_plan(mut builder: plan::Builder<'_>, plan: &Plan) {
    if let Some(snapshot) = &plan.snapshot {
        write_snapshot(builder.reborrow().init_snapshot(), snapshot);
    }
    write_place(builder.reborrow().init_source(), &plan.source);
    builder.set_target(plan.target.to_string());
    builder.set_kind(write_kind(plan.kind));
    builder.set_raw(plan.raw);
    builder.set_bytes(plan.bytes.unwrap_or(0));
    let creates = builder.reborrow().init_creates(length(&plan.creates));
    write_texts(creates, plan.creates.iter().map(ToString::to_string));
    builder.set_aborts(plan.aborts);
    builder.set_route(match plan.route {
        Route::Direct => transfer_capnp::Route::Direct,
        Route::Relayed => transfer_capnp::Route::Relayed,
    });
    write_texts(builder.init_warnings(length(&plan.warnings)), plan.warnings.iter().cloned());
}

/// Writes how far it is.
pub fn write_progress(mut builder: progress::Builder<'_>, progress: Progress) {
    builder.set_bytes(progress.bytes);
    builder.set_total(progress.total.unwrap_or(0));
}

/// Adds what an event tells to what is known.
pub fn read_event(reader: event::Reader<'_>, status: &mut Status) -> Result<()> {
    match reader.which()? {
        event::Plan(plan) => status.plan = Some(read_plan(plan?)?),
        event::Progress(progress) => {
            let progress = progress?;
            status.progress =
                Progress { bytes: progress.get_bytes(), total: known(progress.get_total()) };
        }
        event::Note(note) => status.notes.push(note?.to_string()?),
    }
    Ok(())
}

/// Reads a summary.
pub fn read_summary(reader: summary::Reader<'_>) -> Result<Summary> {
    Ok(Summary {
        plan: read_plan(reader.get_plan()?)?,
        bytes: reader.get_bytes(),
        elapsed: Duration::from_millis(reader.get_milliseconds()),
        guid: known(reader.get_guid()).map(Guid),
    })
}

/// Writes a summary.
pub fn write_summary(mut builder: summary::Builder<'_>, summary: &Summary) {
    write_plan(builder.reborrow().init_plan(), &summary.plan);
    builder.set_bytes(summary.bytes);
    builder.set_milliseconds(u64::try_from(summary.elapsed.as_millis()).unwrap_or(u64::MAX));
    builder.set_guid(summary.guid.map_or(0, |guid| guid.0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use zfs::{Kind, Snapshot};

    #[test]
    fn a_request_survives_the_wire() {
        for request in [
            CopyRequest {
                dataset: "a/b".parse().unwrap(),
                destination: r"dc\m\tank\x/two words".parse().unwrap(),
                from: Some(r"dc\n\tank".parse().unwrap()),
                snapshot: Some("monday".parse().unwrap()),
                dry_run: true,
            },
            CopyRequest {
                dataset: "a".parse().unwrap(),
                destination: r"dc\m\tank".parse().unwrap(),
                from: None,
                snapshot: None,
                dry_run: false,
            },
        ] {
            let mut message = capnp::message::Builder::new_default();
            write_request(message.init_root(), &request);
            assert_eq!(read_request(message.get_root_as_reader().unwrap()).unwrap(), request);
        }
    }

    #[test]
    fn a_summary_survives_the_wire() {
        let snapshot =
            Snapshot { label: "s".parse().unwrap(), guid: Guid(7), createtxg: 8, creation: -9 };
        for (snapshot, bytes, guid) in
            [(Some(snapshot), Some(5), Some(Guid(7))), (None, None, None)]
        {
            let summary = Summary {
                plan: Plan {
                    snapshot,
                    source: r"dc\m\tank".parse().unwrap(),
                    target: "tank/a/b".parse().unwrap(),
                    kind: Kind::Volume,
                    raw: true,
                    bytes,
                    creates: vec!["tank/a".parse().unwrap()],
                    aborts: true,
                    route: Route::Relayed,
                    warnings: vec!["older".into()],
                },
                bytes: 6,
                elapsed: Duration::from_millis(1500),
                guid,
            };
            let mut message = capnp::message::Builder::new_default();
            write_summary(message.init_root(), &summary);
            assert_eq!(read_summary(message.get_root_as_reader().unwrap()).unwrap(), summary);
        }
    }
}
