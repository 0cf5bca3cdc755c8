//! Is a stream what was planned? Judged before `zfs receive` sees a byte of it.
//!
//! The stream is untrusted: a compound one would make children and set properties such as
//! `sharenfs`, one of another snapshot would put other data under a good name, and one that isn't
//! raw can panic a receiver that holds a raw partial.

use zfs::stream::Begin;
use zfs::{Escaped, Guid, Kind, SnapshotLabel};

use schema::text::Bytes;

/// A stream may be this much longer than four times its estimate: small datasets are
/// underestimated by a lot, and nothing but a lie is ever off by more.
const SLACK: u64 = 1 << 30;

/// What the stream must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The snapshot that it makes.
    pub guid: Guid,
    /// The snapshot's name, without the dataset.
    pub label: SnapshotLabel,
    /// Filesystem or volume.
    pub kind: Kind,
    /// Encrypted, as on disk.
    pub raw: bool,
    /// Its size in bytes, by the sender's own word.
    pub announced: u64,
}

impl Expected {
    /// Judges the stream by its first bytes, at least [`Begin::LEN`] of them.
    pub fn check_head(&self, head: &[u8]) -> Result<(), String> {
        let record = head
            .first_chunk::<{ Begin::LEN }>()
            .ok_or_else(|| "its first record is cut".to_owned())?;
        let begin = Begin::parse(record).map_err(|error| error.to_string())?;
        self.check_begin(&begin)
    }

    fn check_begin(&self, begin: &Begin) -> Result<(), String> {
        if let Some(base) = begin.from_guid {
            return Err(format!("it is an increment, from the snapshot with the GUID {base}"));
        }
        if begin.features.redacted() {
            return Err("it is redacted: it lacks data on purpose".into());
        }
        if begin.features.resuming() {
            return Err("it goes on with another, and is not whole".into());
        }
        if begin.to_guid != self.guid {
            return Err(format!(
                "it is of a snapshot with the GUID {}, not {}",
                begin.to_guid, self.guid
            ));
        }
        // `zfs receive` names the snapshot as the stream does.
        let label = begin.to_name.split_once('@').map(|(_, label)| label);
        if label != Some(self.label.as_str()) {
            return Err(format!(
                "it is of '{}', not of '@{}'",
                Escaped(&begin.to_name),
                self.label
            ));
        }
        if begin.kind != self.kind {
            return Err(format!("it is of a {}, not of a {}", begin.kind, self.kind));
        }
        match (begin.features.raw(), self.raw) {
            (true, false) => Err("it is raw, and the dataset is not encrypted".into()),
            (false, true) => Err("it is not raw, and the dataset is encrypted".into()),
            _ => Ok(()),
        }
    }

    /// Judges the number of bytes received so far.
    pub fn check_size(&self, bytes: u64) -> Result<(), String> {
        if bytes <= self.announced.saturating_mul(4).saturating_add(SLACK) {
            return Ok(());
        }
        Err(format!(
            "{} of it came, where the source announced {}",
            Bytes(bytes),
            Bytes(self.announced)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        let label = "s".parse().unwrap();
        Expected { guid: Guid(7), label, kind: Kind::Filesystem, raw: false, announced: 1000 }
    }

    /// A DRR_BEGIN record, little-endian, as `dmu_replay_record` lays it out.
    fn record(header: u64, features: u64, kind: u32, to_guid: u64, from_guid: u64) -> Vec<u8> {
        let mut record = vec![0; Begin::LEN];
        let version = header | features << 2;
        let mut put = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
        put(8, &0x2_f5ba_cbac_u64.to_le_bytes());
        put(16, &version.to_le_bytes());
        put(32, &kind.to_le_bytes());
        put(40, &to_guid.to_le_bytes());
        put(48, &from_guid.to_le_bytes());
        put(56, b"tank/a@s\0");
        record
    }

    const RAW: u64 = 1 << 24;
    const REDACTED: u64 = 1 << 21;
    const RESUMING: u64 = 1 << 20;

    /// The planned stream, but for the name.
    fn named(name: &str) -> Vec<u8> {
        let mut record = record(1, 0, 2, 7, 0);
        record[56..].fill(0);
        record[56..56 + name.len()].copy_from_slice(name.as_bytes());
        record
    }

    #[test]
    fn only_the_planned_stream_passes() {
        for (record, verdict) in [
            (record(1, 0, 2, 7, 0), Ok(())),
            (record(2, 0, 2, 7, 0), Err("compound")),
            (record(1, 0, 2, 8, 0), Err("GUID 8, not 7")),
            (record(1, 0, 2, 7, 3), Err("increment, from the snapshot with the GUID 3")),
            (record(1, 0, 3, 7, 0), Err("volume, not of a filesystem")),
            (record(1, RAW, 2, 7, 0), Err("it is raw")),
            (record(1, REDACTED, 2, 7, 0), Err("redacted")),
            (record(1, RESUMING, 2, 7, 0), Err("not whole")),
            (named("tank/a@evil"), Err("of 'tank/a@evil', not of '@s'")),
            (named("tank/a@s@s"), Err("not of '@s'")),
            (vec![b'x'; Begin::LEN], Err("")),
            (record(1, 0, 2, 7, 0)[..300].to_vec(), Err("cut")),
        ] {
            match (expected().check_head(&record), verdict) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(words)) => assert!(error.contains(words), "{error}"),
                (got, expected) => panic!("{got:?} where {expected:?} was expected"),
            }
        }
    }

    #[test]
    fn an_encrypted_dataset_must_come_raw() {
        let expected = Expected { raw: true, ..expected() };
        assert_eq!(expected.check_head(&record(1, RAW, 2, 7, 0)), Ok(()));
        assert!(expected.check_head(&record(1, 0, 2, 7, 0)).unwrap_err().contains("not raw"));
    }

    #[test]
    fn a_stream_without_end_is_stopped() {
        assert_eq!(expected().check_size(4000 + SLACK), Ok(()));
        assert!(expected().check_size(4001 + SLACK).is_err());
        let all = Expected { announced: u64::MAX, ..expected() };
        assert_eq!(all.check_size(u64::MAX), Ok(()));
    }
}
