//! `cli show`: where the datasets are.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use schema::text::{Bytes, utc};
use schema::{Code, Failure, Location, Replica};
use serde::Serialize;
use sturdyref::SturdyRef;
use zfs::Escaped;

use crate::args::Show;
use crate::names::{parse, unusable};
use crate::tracker::{Tracker, list};

/// Lists what the tracker knows.
pub(crate) async fn show(capability: &SturdyRef, args: Show) -> anyhow::Result<()> {
    let location: Option<Location> =
        args.location.as_deref().map(|text| parse("argument of --location", text)).transpose()?;
    // To the tracker, no text means no pattern.
    if args.pattern.as_deref() == Some("") {
        return Err(unusable("pattern", "it is empty").into());
    }
    let pattern = args.pattern.as_deref().unwrap_or_default();
    let ask = |fleet: &_| list(fleet, pattern, location.as_ref());
    let (tracker, replicas) = Tracker::connect_asking(capability, ask).await?;
    let replicas = replicas.await?;
    if replicas.is_empty() {
        if let Some(location) = &location {
            let known = locations(&list(&tracker.fleet, "", None).await?);
            if !known.contains(location) {
                return Err(no_such_location(location, &known).into());
            }
        }
        if args.pattern.is_some() {
            return Err(no_match(&args).into());
        }
    }
    let mut text = Vec::new();
    if args.json {
        write_json(&mut text, &replicas)?;
    } else if args.long {
        write_long(&mut text, &replicas)?;
    } else {
        write_lines(&mut text, &replicas)?;
    }
    crate::output::to_stdout(&text)?;
    tracker.connection.close().await;
    Ok(())
}

/// Where there are datasets.
fn locations(replicas: &[Replica]) -> BTreeSet<Location> {
    replicas.iter().map(|replica| replica.place.location.clone()).collect()
}

fn no_such_location(location: &Location, known: &BTreeSet<Location>) -> Failure {
    let known: Vec<&str> = known.iter().map(Location::as_str).collect();
    let remedy = if known.is_empty() {
        "No machine has told of a dataset yet; start an agent.".to_owned()
    } else {
        format!("There are datasets at: {}", known.join(", "))
    };
    let reason = "no such location is known, or no machine there has told of a dataset";
    Failure::new(Code::NoSuchPlace, "show what is at", location, reason, remedy)
}

fn no_match(args: &Show) -> Failure {
    let wanted = match (&args.pattern, &args.location) {
        (Some(pattern), Some(location)) => format!("{pattern} at {location}"),
        (Some(pattern), None) => pattern.clone(),
        (None, location) => location.clone().unwrap_or_default(),
    };
    Failure::new(
        Code::NoSuchDataset,
        "show",
        wanted,
        "no dataset matches",
        "All that are known: cli --connect user.cap show",
    )
}

/// The replicas of each dataset. They come sorted, but nothing here relies on it.
fn by_dataset(replicas: &[Replica]) -> BTreeMap<&str, Vec<&Replica>> {
    let mut datasets: BTreeMap<&str, Vec<&Replica>> = BTreeMap::new();
    for replica in replicas {
        datasets.entry(replica.name.as_str()).or_default().push(replica);
    }
    for replicas in datasets.values_mut() {
        replicas.sort_by(|one, other| one.place.cmp(&other.place));
    }
    datasets
}

fn state(replica: &Replica) -> &'static str {
    if replica.online { "online" } else { "offline" }
}

/// The contract's lines.
fn write_lines(out: &mut impl Write, replicas: &[Replica]) -> io::Result<()> {
    for (name, replicas) in by_dataset(replicas) {
        let places: Vec<String> = replicas
            .iter()
            .map(|replica| format!("{} ({})", replica.place, state(replica)))
            .collect();
        writeln!(out, "{}: {}", Escaped(name), places.join(", "))?;
    }
    Ok(())
}

/// A line for each dataset and one for each of its replicas.
fn write_long(out: &mut impl Write, replicas: &[Replica]) -> io::Result<()> {
    let width = replicas.iter().map(|replica| replica.place.to_string().len()).max().unwrap_or(0);
    for (name, replicas) in by_dataset(replicas) {
        writeln!(out, "{}", Escaped(name))?;
        for replica in replicas {
            let seen = if replica.online {
                String::new()
            } else {
                format!(", last seen {}", utc(replica.last_seen))
            };
            let newest = match (&replica.newest, replica.snapshot_count) {
                (Some(newest), count) => format!(
                    "{count} {}, newest @{} of {}",
                    if count == 1 { "snapshot" } else { "snapshots" },
                    Escaped(newest.label.as_str()),
                    utc(newest.creation)
                ),
                (None, _) => "no snapshot".to_owned(),
            };
            writeln!(
                out,
                "  {:width$}  {:7}  {}{}  {}  {newest}{seen}",
                replica.place.to_string(),
                state(replica),
                replica.properties.kind,
                if replica.properties.encrypted { " (encrypted)" } else { "" },
                Bytes(replica.properties.referenced),
            )?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonDataset<'a> {
    name: &'a str,
    replicas: Vec<JsonReplica<'a>>,
}

/// GUIDs are texts: JSON's numbers lose their last digits.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonReplica<'a> {
    place: String,
    location: &'a str,
    machine: &'a str,
    pool: &'a str,
    online: bool,
    last_seen: i64,
    kind: String,
    encrypted: bool,
    used: u64,
    referenced: u64,
    snapshots: u32,
    newest: Option<crate::output::json::Snapshot<'a>>,
}

fn write_json(out: &mut impl Write, replicas: &[Replica]) -> io::Result<()> {
    let datasets: Vec<JsonDataset<'_>> = by_dataset(replicas)
        .into_iter()
        .map(|(name, replicas)| JsonDataset {
            name,
            replicas: replicas.into_iter().map(JsonReplica::of).collect(),
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &datasets)?;
    writeln!(out)
}

impl<'a> JsonReplica<'a> {
    fn of(replica: &'a Replica) -> Self {
        Self {
            place: replica.place.to_string(),
            location: replica.place.location.as_str(),
            machine: replica.place.machine.as_str(),
            pool: replica.place.pool.as_str(),
            online: replica.online,
            last_seen: replica.last_seen,
            kind: replica.properties.kind.to_string(),
            encrypted: replica.properties.encrypted,
            used: replica.properties.used,
            referenced: replica.properties.referenced,
            snapshots: replica.snapshot_count,
            newest: replica.newest.as_ref().map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_location_is_told_with_those_that_are_known() {
        let known = ["dc-1", "dc-2"].map(|name| name.parse().unwrap());
        let failure = no_such_location(&"nowhere".parse().unwrap(), &known.into());
        assert_eq!(failure.exit_status(), 3);
        assert_eq!(
            failure.to_string(),
            "cannot show what is at 'nowhere': no such location is known, or no machine there has \
             told of a dataset\nThere are datasets at: dc-1, dc-2"
        );
    }
}
