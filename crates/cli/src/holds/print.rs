//! Holds as lines and as a JSON document.

use std::fmt::Write;

use schema::text::utc;
use serde::Serialize;
use zfs::Escaped;

use super::Held;
use crate::output::json;

/// A line for each.
pub(super) fn lines(holds: &[Held]) -> String {
    let mut text = String::new();
    for held in holds {
        // Writing to a text can't fail.
        let _ = writeln!(
            text,
            "{}: {}, for {}, since {}, last used {}",
            held.subject(),
            Escaped(&held.tag),
            match held.destination.as_str() {
                "" => Escaped("what nobody remembers"),
                known => Escaped(known),
            },
            utc(held.since),
            utc(held.last_used)
        );
    }
    text
}

/// Times are Unix times in seconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    place: String,
    location: &'a str,
    machine: &'a str,
    pool: &'a str,
    /// In full, with its pool.
    snapshot: String,
    tag: &'a str,
    destination: &'a str,
    since: i64,
    last_used: i64,
}

/// A document that lists all.
pub(super) fn json(holds: &[Held]) -> serde_json::Result<Vec<u8>> {
    let documents: Vec<Document<'_>> = holds
        .iter()
        .map(|held| Document {
            place: held.place.to_string(),
            location: held.place.location.as_str(),
            machine: held.place.machine.as_str(),
            pool: held.place.pool.as_str(),
            snapshot: held.snapshot.to_string(),
            tag: &held.tag,
            destination: &held.destination,
            since: held.since,
            last_used: held.last_used,
        })
        .collect();
    json::print(&documents)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::example;
    use super::*;

    #[test]
    fn holds_are_told_with_their_transfers_and_times() {
        let mut held = example(r"dc\m\tank/a b@s", "zatlas-m-00");
        held.destination = "x\x1b[2J".to_owned();
        assert_eq!(
            lines(&[held.clone()]),
            "dc\\m\\tank/a b@s: zatlas-m-00, for x\\u{1b}[2J, since 1970-01-01 00:00:00 UTC, last \
             used 1970-01-01 00:01:00 UTC\n"
        );
        let document: Value = serde_json::from_slice(&super::json(&[held]).unwrap()).unwrap();
        assert_eq!(
            document,
            json!([{
                "place": r"dc\m\tank",
                "location": "dc",
                "machine": "m",
                "pool": "tank",
                "snapshot": "tank/a b@s",
                "tag": "zatlas-m-00",
                "destination": "x\x1b[2J",
                "since": 0,
                "lastUsed": 60,
            }])
        );
    }
}
