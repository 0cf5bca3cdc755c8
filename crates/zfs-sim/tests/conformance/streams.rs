//! Streams: what their first and last records say, and that what was sent is what arrives.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::backend::{Backend, noise};

const RECORD: usize = 312;
const MAGIC: u64 = 0x2_F5BA_CBAC;

/// DMU_BACKUP_FEATURE bits.
const SA_SPILL: u64 = 1 << 2;
const EMBED_DATA: u64 = 1 << 16;
const LZ4: u64 = 1 << 17;
const COMPRESSED: u64 = 1 << 22;

pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

pub(super) fn property(backend: &Backend, property: &str, of: &str) -> u64 {
    backend.ok(&format!("zfs get -Hp -o value {property} '{of}'")).trim().parse().unwrap()
}

/// Files of all sorts and sizes.
pub(super) fn fill(dir: &Path) {
    fs::write(dir.join("large"), noise(3_000_001)).unwrap();
    fs::write(dir.join("small"), "hello\n").unwrap();
    fs::write(dir.join("empty"), "").unwrap();
    fs::create_dir_all(dir.join("folder/with space")).unwrap();
    fs::write(dir.join("folder/with space/.hidden"), [0; 131_072]).unwrap();
    symlink("../nowhere", dir.join("folder/link")).unwrap();
    fs::set_permissions(dir.join("small"), fs::Permissions::from_mode(0o640)).unwrap();
}

/// Paths, with mode and content.
pub(super) fn contents(dir: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if metadata.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            found.insert(name, (metadata.permissions().mode(), content));
        }
    }
    found
}

#[test]
fn the_first_record_names_the_snapshot() {
    let backend = Backend::with_pools(&["tank"]);
    backend.ok("zfs create 'tank/two words' && zfs create -s -V 8M tank/v");
    backend.ok("zfs snapshot 'tank/two words@s 1' tank/v@s");
    let all = EMBED_DATA | LZ4 | COMPRESSED;
    let cases = [
        ("tank/two words@s 1", "", 2, SA_SPILL),
        ("tank/two words@s 1", "-L", 2, SA_SPILL),
        ("tank/two words@s 1", "-e", 2, SA_SPILL | EMBED_DATA | LZ4),
        ("tank/two words@s 1", "-c", 2, SA_SPILL | COMPRESSED | LZ4),
        ("tank/two words@s 1", "-w", 2, SA_SPILL | all),
        ("tank/two words@s 1", "-w -L -e -c", 2, SA_SPILL | all),
        ("tank/v@s", "", 3, 0),
        ("tank/v@s", "-L -e -c", 3, all),
    ];
    for (snapshot, flags, kind, features) in cases {
        backend.ok(&format!("zfs send {flags} '{snapshot}' > stream"));
        let stream = fs::read(backend.path("stream")).unwrap();
        let case = format!("{snapshot} {flags}");
        assert_eq!(number(&stream[0..4]), 0, "{case}: drr_type is DRR_BEGIN");
        assert_eq!(number(&stream[4..8]), 0, "{case}: drr_payloadlen");
        assert_eq!(number(&stream[8..16]), MAGIC, "{case}: drr_magic");
        assert_eq!(number(&stream[16..24]) & 3, 1, "{case}: a stream of one snapshot");
        assert_eq!(number(&stream[16..24]) >> 2, features, "{case}: features");
        assert_eq!(
            number(&stream[24..32]),
            property(&backend, "creation", snapshot),
            "{case}: drr_creation_time"
        );
        assert_eq!(number(&stream[32..36]), kind, "{case}: drr_type of the dataset");
        assert_eq!(number(&stream[36..40]), 0xc, "{case}: drr_flags");
        assert_eq!(
            number(&stream[40..48]),
            property(&backend, "guid", snapshot),
            "{case}: drr_toguid"
        );
        assert_eq!(number(&stream[48..56]), 0, "{case}: drr_fromguid");
        let name = stream[56..RECORD].split(|byte| *byte == 0).next().unwrap();
        assert_eq!(name, snapshot.as_bytes(), "{case}: drr_toname");
        let end = &stream[stream.len() - RECORD..];
        assert_eq!(number(&end[0..4]), 5, "{case}: the last record is DRR_END");
        assert_eq!(
            number(&end[40..48]),
            property(&backend, "guid", snapshot),
            "{case}: its drr_toguid"
        );
    }
}

#[test]
fn every_record_carries_the_running_checksum() {
    let backend = Backend::with_pools(&["tank"]);
    backend.ok("zfs create tank/a");
    backend.with_files("tank/a", fill);
    backend.ok("zfs snapshot tank/a@s && zfs send tank/a@s > stream");
    let stream = fs::read(backend.path("stream")).unwrap();
    let mut sum = [0_u64; 4];
    let mut update = |bytes: &[u8]| {
        for word in bytes.chunks_exact(4) {
            sum[0] = sum[0].wrapping_add(number(word));
            (1..4).for_each(|at| sum[at] = sum[at].wrapping_add(sum[at - 1]));
        }
        sum
    };
    let same = |stored: &[u8], sum: [u64; 4]| stored.chunks_exact(8).map(number).eq(sum);
    update(&stream[..RECORD]);
    let (mut at, mut kinds) = (RECORD, Vec::new());
    while at < stream.len() {
        let record = &stream[at..at + RECORD];
        let kind = number(&record[..4]);
        let before = update(&[]);
        let sum = update(&record[..RECORD - 32]);
        assert!(same(&record[RECORD - 32..], sum), "record {} at {at}", kinds.len());
        assert!(kind != 5 || same(&record[8..40], before), "DRR_END's own checksum");
        update(&record[RECORD - 32..]);
        let payload = match kind {
            1 => number(&record[28..32]).next_multiple_of(8),
            3 => number(&record[32..40]),
            _ => 0,
        } as usize;
        assert!(payload <= 128 << 10, "record {} carries {payload} bytes", kinds.len());
        update(&stream[at + RECORD..at + RECORD + payload]);
        at += RECORD + payload;
        kinds.push(kind);
    }
    assert_eq!(kinds.last(), Some(&5));
    assert!(kinds.iter().filter(|kind| **kind == 3).count() >= 23, "3 MB in blocks of 128 KiB");
}

#[test]
fn the_files_arrive_as_they_were_at_the_snapshot() {
    let backend = Backend::with_pools(&["tank", "back"]);
    backend.ok("zfs create tank/a");
    let sent = backend.with_files("tank/a", |dir| {
        fill(dir);
        contents(dir)
    });
    backend.ok("zfs snapshot tank/a@s");
    backend.with_files("tank/a", |dir| {
        fs::write(dir.join("small"), "changed later").unwrap();
        fs::remove_file(dir.join("large")).unwrap();
    });
    backend.ok("zfs send tank/a@s | zfs receive -s -u back/a");
    assert_eq!(backend.with_files("back/a", contents), sent);
    backend.ok("zfs send back/a@s | zfs receive -s -u back/again");
    assert_eq!(backend.with_files("back/again", contents), sent);
    assert_eq!(property(&backend, "guid", "back/again@s"), property(&backend, "guid", "tank/a@s"));
}

#[test]
fn written_tells_what_changed_since_the_snapshot() {
    let backend = Backend::with_pools(&["tank"]);
    backend.ok("zfs create tank/a");
    backend.with_files("tank/a", fill);
    backend.ok("zfs snapshot tank/a@s");
    assert_eq!(property(&backend, "written", "tank/a"), 0);
    assert!(property(&backend, "written", "tank/a@s") > 3_000_000);
    assert!(property(&backend, "referenced", "tank/a") > 3_000_000);
    backend.with_files("tank/a", |dir| fs::write(dir.join("small"), "changed later").unwrap());
    assert!((1..1_000_000).contains(&property(&backend, "written", "tank/a")));
}

#[test]
fn the_estimate_is_a_little_less_than_what_is_sent() {
    let backend = Backend::with_pools(&["tank"]);
    backend.ok("zfs create tank/a");
    backend.with_files("tank/a", fill);
    backend.ok("zfs snapshot tank/a@s && zfs send tank/a@s > stream");
    let sent = fs::metadata(backend.path("stream")).unwrap().len();
    let told = backend.ok("zfs send -nvP tank/a@s");
    let size: u64 = told.lines().last().unwrap().strip_prefix("size\t").unwrap().parse().unwrap();
    assert_eq!(told, format!("full\ttank/a@s\t{size}\nsize\t{size}\n"));
    assert!(size <= sent && size > sent / 100 * 90, "{size} told, {sent} sent");
}

#[test]
fn a_volume_is_sent_whole() {
    let backend = Backend::with_pools(&["tank", "back"]);
    backend.ok("zfs create -s -V 8M tank/v && zfs snapshot tank/v@s");
    backend.ok("zfs send tank/v@s | zfs receive -s -u back/v");
    assert_eq!(backend.ok("zfs get -Hp -o value type,volsize back/v"), "volume\n8388608\n");
    assert_eq!(property(&backend, "guid", "back/v@s"), property(&backend, "guid", "tank/v@s"));
}
