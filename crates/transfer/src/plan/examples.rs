//! What the tests of the planner, and of what carries its plans out, are made of.

use schema::Replica;
use zfs::{Guid, Kind, Properties, ResumeToken, Snapshot};

/// A snapshot that was made at `time`, which is its createtxg too.
pub(crate) fn snapshot(label: &str, guid: u64, time: u32) -> Snapshot {
    Snapshot {
        label: label.parse().unwrap(),
        guid: Guid(guid),
        createtxg: time.into(),
        creation: time.into(),
    }
}

/// An online replica of `a` at `dc\MACHINE\tank` with snapshots of these GUIDs and creation times,
/// labelled s and the GUID.
pub(crate) fn replica(machine: &str, snapshots: &[(u64, i64)]) -> Replica {
    let snapshots: Vec<Snapshot> = (1..)
        .zip(snapshots)
        .map(|(createtxg, (guid, creation))| Snapshot {
            label: format!("s{guid}").parse().unwrap(),
            guid: Guid(*guid),
            createtxg,
            creation: *creation,
        })
        .collect();
    Replica {
        place: format!(r"dc\{machine}\tank").parse().unwrap(),
        online: true,
        last_seen: 1_700_000_000,
        name: "a".parse().unwrap(),
        properties: Properties {
            kind: Kind::Filesystem,
            guid: Guid(0),
            used: 0,
            referenced: 0,
            written: 0,
            encrypted: false,
            origin: None,
            inconsistent: false,
            resume_token: None,
        },
        snapshot_count: u32::try_from(snapshots.len()).unwrap(),
        newest: snapshots.last().cloned(),
        snapshots,
        bookmarks: Vec::new(),
        sending: 0,
    }
}

/// A token for that snapshot, plain and without large blocks, with 5,000 bytes received.
pub(crate) fn token(to_guid: u64, from_guid: Option<u64>) -> ResumeToken {
    let mut token: ResumeToken = TOKEN.parse().unwrap();
    token.to_name = format!("tank/a@s{to_guid}");
    token.to_guid = Guid(to_guid);
    token.from_guid = from_guid.map(Guid);
    token.bytes = 5000;
    (token.raw, token.large_blocks, token.redacted, token.saved) = (false, false, false, false);
    token
}

/// A real one, of a full stream: what it tells is replaced.
const TOKEN: &str = "\
    1-98dd5bcf1-b8-789c636064000310a500c4ec50360710e72765a52697303030419460caa7a515a7968064b\
    4e0f26c48f2499525a9c540fa828a0e56fd25f9e9a599290c0c5c723b9efadf3befac8124cf0996cf4bcc4d0\
    5d28979d9fa890ec5860c0800000db415a2";
