//! Datasets, snapshots, places and replicas to and from the wire.
//!
//! Names are checked here, where a message comes in. A peer that sends an illegal one is broken or
//! lying, so that is an exception and not a failure for people.

use std::fmt;
use std::str::FromStr;

use capnp::{Error, Result, struct_list};
use zfs::names::MAX_NAME_LEN;
use zfs::{DatasetPath, Guid, Kind, Properties, Snapshot};

use crate::batch::Part;
use crate::dataset_capnp::{self, dataset, place, replica, snapshot};
use crate::place::Place;
use crate::replica::Replica;

/// Parses a text of a message; empty is an error like any other illegal one.
pub fn parse<T: FromStr<Err: fmt::Display>>(text: capnp::text::Reader<'_>) -> Result<T> {
    let text = text.to_str().map_err(|error| Error::failed(format!("not UTF-8: {error}")))?;
    text.parse().map_err(|error| Error::failed(format!("{error}")))
}

/// Parses a text of a message, where empty stands for none.
pub fn parse_optional<T: FromStr<Err: fmt::Display>>(
    text: capnp::text::Reader<'_>,
) -> Result<Option<T>> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// A token of OpenZFS has some hundred bytes, and more with a long name.
const LONGEST_TOKEN: usize = 16 << 10;

/// Takes a text of at most so many bytes; empty stands for none.
fn parse_bounded(text: capnp::text::Reader<'_>, most: usize) -> Result<Option<String>> {
    if text.len() > most {
        return Err(Error::failed(format!(
            "a text of {} bytes, where {most} are allowed",
            text.len()
        )));
    }
    parse_optional(text)
}

/// Reads a place.
pub fn read_place(reader: place::Reader<'_>) -> Result<Place> {
    Ok(Place {
        location: parse(reader.get_location()?)?,
        machine: parse(reader.get_machine()?)?,
        pool: parse(reader.get_pool()?)?,
    })
}

/// Writes a place.
pub fn write_place(mut builder: place::Builder<'_>, place: &Place) {
    builder.set_location(place.location.as_str());
    builder.set_machine(place.machine.as_str());
    builder.set_pool(place.pool.as_str());
}

/// Reads a snapshot or bookmark.
pub fn read_snapshot(reader: snapshot::Reader<'_>) -> Result<Snapshot> {
    Ok(Snapshot {
        label: parse(reader.get_name()?)?,
        guid: Guid(reader.get_guid()),
        createtxg: reader.get_createtxg(),
        creation: reader.get_creation(),
    })
}

/// Writes a snapshot or bookmark.
pub fn write_snapshot(mut builder: snapshot::Builder<'_>, snapshot: &Snapshot) {
    builder.set_name(snapshot.label.as_str());
    builder.set_guid(snapshot.guid.0);
    builder.set_createtxg(snapshot.createtxg);
    builder.set_creation(snapshot.creation);
}

/// Reads a list of snapshots or bookmarks.
pub fn read_snapshots(list: struct_list::Reader<'_, snapshot::Owned>) -> Result<Vec<Snapshot>> {
    list.iter().map(read_snapshot).collect()
}

/// Writes a list of snapshots or bookmarks, which was initialised with their number.
pub fn write_snapshots(
    mut list: struct_list::Builder<'_, snapshot::Owned>,
    snapshots: &[Snapshot],
) {
    for (index, snapshot) in (0..).zip(snapshots) {
        write_snapshot(list.reborrow().get(index), snapshot);
    }
}

/// A dataset, or more of the snapshots of one sent before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetPart {
    /// Its path below the pool.
    pub name: DatasetPath,
    /// `None`: the rest belongs to the dataset sent last under this name.
    pub properties: Option<Properties>,
    /// Oldest first.
    pub snapshots: Vec<Snapshot>,
    /// Oldest first.
    pub bookmarks: Vec<Snapshot>,
}

/// Reads a dataset, or more of its snapshots.
pub fn read_dataset(reader: dataset::Reader<'_>) -> Result<DatasetPart> {
    let properties = if reader.get_continues() { None } else { Some(read_properties(reader)?) };
    Ok(DatasetPart {
        name: parse(reader.get_name()?)?,
        properties,
        snapshots: read_snapshots(reader.get_snapshots()?)?,
        bookmarks: read_snapshots(reader.get_bookmarks()?)?,
    })
}

/// Reads all of a dataset but its name and snapshots.
pub fn read_properties(reader: dataset::Reader<'_>) -> Result<Properties> {
    Ok(Properties {
        kind: read_kind(reader.get_kind()?),
        guid: Guid(reader.get_guid()),
        used: reader.get_used(),
        referenced: reader.get_referenced(),
        written: reader.get_written(),
        encrypted: reader.get_encrypted(),
        origin: parse_bounded(reader.get_origin()?, MAX_NAME_LEN)?,
        inconsistent: false,
        resume_token: parse_bounded(reader.get_resume_token()?, LONGEST_TOKEN)?,
    })
}

/// Writes a dataset, or more of its snapshots where `part` continues it.
pub fn write_dataset(
    mut builder: dataset::Builder<'_>,
    name: &DatasetPath,
    properties: &Properties,
    part: Part<'_>,
) {
    builder.set_name(name.as_str());
    builder.set_continues(part.continues);
    if !part.continues {
        write_properties(builder.reborrow(), properties);
    }
    write_snapshots(builder.reborrow().init_snapshots(length(part.snapshots)), part.snapshots);
    write_snapshots(builder.init_bookmarks(length(part.bookmarks)), part.bookmarks);
}

fn write_properties(mut builder: dataset::Builder<'_>, properties: &Properties) {
    builder.set_kind(write_kind(properties.kind));
    builder.set_guid(properties.guid.0);
    builder.set_used(properties.used);
    builder.set_referenced(properties.referenced);
    builder.set_written(properties.written);
    builder.set_encrypted(properties.encrypted);
    builder.set_origin(properties.origin.as_deref().unwrap_or_default());
    builder.set_resume_token(properties.resume_token.as_deref().unwrap_or_default());
}

/// A list's length as the wire counts; messages are far too small for more.
pub fn length<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

/// From the wire's word for a kind.
pub fn read_kind(kind: dataset_capnp::Kind) -> Kind {
    match kind {
        dataset_capnp::Kind::Filesystem => Kind::Filesystem,
        dataset_capnp::Kind::Volume => Kind::Volume,
    }
}

/// To the wire's word for a kind.
pub fn write_kind(kind: Kind) -> dataset_capnp::Kind {
    match kind {
        Kind::Filesystem => dataset_capnp::Kind::Filesystem,
        Kind::Volume => dataset_capnp::Kind::Volume,
    }
}

/// Writes a replica, or more of its snapshots where `part` continues it.
pub fn write_replica(mut builder: replica::Builder<'_>, replica: &Replica, part: Part<'_>) {
    write_place(builder.reborrow().init_place(), &replica.place);
    builder.set_online(replica.online);
    builder.set_last_seen(replica.last_seen);
    builder.set_snapshot_count(replica.snapshot_count);
    builder.set_sending(replica.sending);
    if let Some(newest) = &replica.newest {
        write_snapshot(builder.reborrow().init_newest(), newest);
    }
    write_dataset(builder.init_dataset(), &replica.name, &replica.properties, part);
}

/// Adds the replicas of one message to those read before; a part goes to the last of them.
pub fn read_replicas(
    list: struct_list::Reader<'_, replica::Owned>,
    replicas: &mut Vec<Replica>,
) -> Result<()> {
    for reader in list {
        let part = read_dataset(reader.get_dataset()?)?;
        match part.properties {
            Some(properties) => replicas.push(Replica {
                place: read_place(reader.get_place()?)?,
                online: reader.get_online(),
                last_seen: reader.get_last_seen(),
                name: part.name,
                properties,
                snapshots: part.snapshots,
                bookmarks: part.bookmarks,
                snapshot_count: reader.get_snapshot_count(),
                sending: reader.get_sending(),
                newest: if reader.has_newest() {
                    Some(read_snapshot(reader.get_newest()?)?)
                } else {
                    None
                },
            }),
            None => {
                let last =
                    replicas.last_mut().filter(|last| last.name == part.name).ok_or_else(|| {
                        Error::failed("a part of a dataset that was not begun".into())
                    })?;
                last.snapshots.extend(part.snapshots);
                last.bookmarks.extend(part.bookmarks);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch;
    use crate::dataset_capnp::replica_sink::write_params;

    fn snapshots(prefix: &str, count: u64) -> Vec<Snapshot> {
        let snapshot = |n: u64| Snapshot {
            label: format!("{prefix}{n}").parse().unwrap(),
            guid: Guid(u64::MAX - n),
            createtxg: n,
            creation: -1,
        };
        (0..count).map(snapshot).collect()
    }

    fn replica(count: u64) -> Replica {
        let snapshots = snapshots("s", count);
        Replica {
            place: r"dc\m\tank".parse().unwrap(),
            online: true,
            last_seen: 7,
            name: "two words/.x".parse().unwrap(),
            properties: Properties {
                kind: Kind::Volume,
                guid: Guid(9),
                used: 1,
                referenced: 2,
                written: 3,
                encrypted: true,
                origin: Some("tank/o@s".into()),
                inconsistent: false,
                resume_token: Some("1-a-b-c".into()),
            },
            snapshot_count: u32::try_from(snapshots.len()).unwrap(),
            newest: snapshots.last().cloned(),
            sending: 4,
            snapshots,
            bookmarks: self::snapshots("b", 2),
        }
    }

    #[test]
    fn replicas_survive_the_wire_in_many_messages() {
        let sent = vec![replica(0), replica(5000)];
        let parts = sent.iter().flat_map(|replica| {
            let parts = batch::parts(&replica.snapshots, &replica.bookmarks);
            parts.into_iter().map(move |part| (replica, part))
        });
        let mut received = Vec::new();
        let mut count = 0;
        for entries in batch::messages(parts, |(_, part)| part.size()) {
            let mut message = capnp::message::Builder::new_default();
            let params: write_params::Builder<'_> = message.init_root();
            let mut list = params.init_replicas(length(&entries));
            for (index, (replica, part)) in (0..).zip(entries) {
                write_replica(list.reborrow().get(index), replica, part);
            }
            let reader: write_params::Reader<'_> = message.get_root_as_reader().unwrap();
            read_replicas(reader.get_replicas().unwrap(), &mut received).unwrap();
            count += 1;
        }
        assert_eq!(received, sent);
        assert!(count > 1);
    }

    #[test]
    fn a_text_of_any_length_is_refused() {
        let mut message = capnp::message::Builder::new_default();
        let mut dataset: dataset::Builder<'_> = message.init_root();
        dataset.set_name("a");
        dataset.set_resume_token("x".repeat(LONGEST_TOKEN + 1));
        let error = read_dataset(dataset.into_reader()).unwrap_err();
        assert!(error.to_string().contains("16384 are allowed"), "{error}");
    }

    #[test]
    fn an_illegal_name_is_refused() {
        let mut message = capnp::message::Builder::new_default();
        let mut dataset: dataset::Builder<'_> = message.init_root();
        dataset.set_name("../x");
        let error = read_dataset(dataset.into_reader()).unwrap_err();
        assert!(error.to_string().contains("'..' is not allowed"), "{error}");
    }
}
