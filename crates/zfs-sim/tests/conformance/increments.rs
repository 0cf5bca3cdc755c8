//! Increments: what they bring, and that whoever has the same snapshots can go on with one.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::backend::{Backend, noise};
use super::streams::{contents, fill, number, property};

const DEADLINE: Duration = Duration::from_secs(60);
const TOKEN: &str = "zfs get -Hp -o value receive_resume_token back/a";

/// Changes of all sorts to what `fill` made.
fn change(dir: &Path) {
    let large = File::options().write(true).open(dir.join("large")).unwrap();
    large.write_all_at(&noise(200_000), 1_000_000).unwrap();
    fs::write(dir.join("small"), "hello again\n").unwrap();
    fs::set_permissions(dir.join("empty"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_dir_all(dir.join("folder/with space")).unwrap();
    fs::remove_file(dir.join("folder/link")).unwrap();
    fs::create_dir_all(dir.join("folder/link/below")).unwrap();
    fs::write(dir.join("folder/link/below/new"), noise(700_001)).unwrap();
    symlink("folder", dir.join("to folder")).unwrap();
}

/// A machine with `tank/a@1` and `tank/a@2`, and the first of them in `back/a`.
fn two_states() -> Backend {
    let backend = Backend::with_pools(&["tank", "back"]);
    backend.ok("zfs create tank/a");
    backend.with_files("tank/a", fill);
    backend.ok("zfs snapshot tank/a@1");
    backend.with_files("tank/a", change);
    backend.ok("zfs snapshot tank/a@2");
    backend.ok("zfs send tank/a@1 | zfs receive -u back/a");
    backend
}

#[test]
fn an_increment_brings_what_changed() {
    let backend = two_states();
    let sent = backend.reading("tank/a", contents);
    backend.ok("zfs send -i @1 tank/a@2 > stream && zfs receive -u back/a < stream");
    assert_eq!(backend.reading("back/a", contents), sent);
    assert_eq!(property(&backend, "guid", "back/a@2"), property(&backend, "guid", "tank/a@2"));
    let stream = fs::read(backend.path("stream")).unwrap();
    assert_eq!(number(&stream[40..48]), property(&backend, "guid", "tank/a@2"), "drr_toguid");
    assert_eq!(number(&stream[48..56]), property(&backend, "guid", "tank/a@1"), "drr_fromguid");
    assert!(stream.len() < 2_000_000, "{} bytes for what changed of 4 MB", stream.len());
    backend.ok("zfs rollback -r back/a@1");
    backend.ok("zfs send back/a@1 | zfs receive -u back/first");
    let first = backend.reading("back/first", contents);
    assert_eq!(backend.reading("back/a", contents), first, "rolled back");
    assert_ne!(first, sent);
}

#[test]
fn a_resumed_stream_tells_where_it_goes_on() {
    let backend = two_states();
    backend.run("zfs send -i @1 tank/a@2 | head -c 600000 | zfs receive -s -u back/a");
    let told = backend.ok(&format!("zfs send -nvPt $({TOKEN})"));
    let field = |name: &str| {
        let value = told.lines().find_map(|line| line.strip_prefix(&format!("\t{name} = 0x")));
        u64::from_str_radix(value.unwrap(), 16).unwrap()
    };
    backend.ok(&format!("zfs send -t $({TOKEN}) > rest"));
    let stream = fs::read(backend.path("rest")).unwrap();
    assert_ne!(number(&stream[16..24]) >> 2 & 1 << 20, 0, "the feature bit RESUMING");
    let payload = number(&stream[4..8]) as usize;
    assert_eq!(payload, 96, "drr_payloadlen");
    let list = &stream[312..312 + payload];
    let value = |name: &str| {
        let at = list.windows(name.len()).position(|found| found == name.as_bytes()).unwrap();
        number(&list[at + 16..at + 24])
    };
    assert_eq!(value("resume_object"), field("object"));
    assert_eq!(value("resume_offset"), field("offset"));
    assert_eq!(field("toguid"), property(&backend, "guid", "tank/a@2"));
    assert_eq!(field("fromguid"), property(&backend, "guid", "tank/a@1"));
    let first = &stream[312 + payload..];
    let records: Vec<_> = std::iter::successors(Some(first), |rest| {
        let payload = match number(&rest[..4]) {
            1 => number(&rest[28..32]).next_multiple_of(8),
            3 => number(&rest[32..40]),
            _ => 0,
        };
        rest.get(312 + payload as usize..).filter(|rest| !rest.is_empty())
    })
    .collect();
    let object = records.iter().find(|record| number(&record[..4]) == 1).unwrap();
    assert_eq!(number(&object[8..16]), field("object"), "the first OBJECT record");
    let write = records.iter().find(|record| number(&record[..4]) == 3).unwrap();
    assert!(number(&write[24..32]) >= field("offset") || number(&write[8..16]) > field("object"));
}

#[test]
fn another_replica_goes_on_wherever_the_first_was_cut() {
    let backend = two_states();
    let sent = backend.reading("tank/a", contents);
    backend.ok("zfs send tank/a@1 | zfs receive -u tank/copy");
    backend.ok("zfs send -i @1 tank/a@2 | zfs receive -u tank/copy");
    backend.ok("zfs send -i @1 tank/a@2 > stream && zfs rename tank/copy@2 tank/copy@other");
    backend.ok("zfs destroy -r tank/a");
    let length = fs::metadata(backend.path("stream")).unwrap().len();
    let mut resumed = 0;
    for cut in (1..8).map(|part| length / 8 * part) {
        backend.run(&format!("head -c {cut} stream | zfs receive -s -u back/a"));
        if backend.ok(TOKEN) == "-\n" {
            continue;
        }
        resumed += 1;
        backend.ok(&format!("zfs send -t $({TOKEN}) > rest"));
        backend.run("head -c 400000 rest | zfs receive -s -u back/a");
        if backend.ok(TOKEN) != "-\n" {
            backend.ok(&format!("zfs send -t $({TOKEN}) | zfs receive -s -u back/a"));
        }
        assert_eq!(backend.reading("back/a", contents), sent, "cut at {cut} of {length}");
        backend.ok("zfs rollback -r back/a@1");
    }
    assert!(resumed > 2, "{resumed} cuts could be resumed");
}

#[test]
fn another_replica_goes_on_with_a_first_receive() {
    let backend = two_states();
    let sent = backend.reading("tank/a", contents);
    backend.ok("zfs send tank/a@2 > stream && zfs receive -u tank/copy < stream");
    backend.ok("zfs destroy -r tank/a");
    let length = fs::metadata(backend.path("stream")).unwrap().len();
    for cut in (1..5).map(|part| length / 5 * part) {
        backend.run(&format!("head -c {cut} stream | zfs receive -s -u back/r"));
        let token = TOKEN.replace("back/a", "back/r");
        backend.ok(&format!("zfs send -t $({token}) | zfs receive -s -u back/r"));
        assert_eq!(backend.reading("back/r", contents), sent, "cut at {cut} of {length}");
        backend.ok("zfs destroy -r back/r");
    }
}

#[test]
fn a_volumes_increment_can_be_resumed() {
    let backend = Backend::with_pools(&["tank", "back"]);
    backend.ok("zfs create -s -V 8M tank/v");
    let write = |bytes: &[u8], offset| {
        let volume = File::options().write(true).open(backend.volume("tank/v")).unwrap();
        volume.write_all_at(bytes, offset).unwrap();
        volume.sync_all().unwrap();
    };
    write(&noise(3_000_000), 0);
    backend.ok("zfs snapshot tank/v@1 && zfs send tank/v@1 | zfs receive -u back/v");
    write(&noise(2_000_001)[1..], 500_000);
    write(b"the end", (8 << 20) - 7);
    backend.ok("zfs snapshot tank/v@2");
    backend.run("zfs send -i @1 tank/v@2 | head -c 1000000 | zfs receive -s -u back/v");
    let token = TOKEN.replace("back/a", "back/v");
    backend.ok(&format!("zfs send -t $({token}) | zfs receive -s -u back/v"));
    let read = |volume| fs::read(backend.volume(volume)).unwrap();
    assert!(read("back/v") == read("tank/v"));
    assert_eq!(property(&backend, "guid", "back/v@2"), property(&backend, "guid", "tank/v@2"));
}

#[test]
fn a_running_increment_keeps_others_out_and_nothing_else() {
    let backend = two_states();
    backend.ok("zfs send -i @1 tank/a@2 > stream");
    let stream = fs::read(backend.path("stream")).unwrap();
    let mut receive = backend.command("exec zfs receive -s -u back/a");
    let mut receive = receive.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = receive.stdin.take().unwrap();
    stdin.write_all(&stream[..stream.len() - 100_000]).unwrap();
    let deadline = Instant::now() + DEADLINE;
    while backend.ok(TOKEN) == "-\n" {
        assert!(Instant::now() < deadline);
    }
    let refused = |command: &str, words: &str| {
        let ran = backend.run(command);
        assert_eq!((ran.stderr.as_str(), ran.status), (words, 1), "{command}");
    };
    let partial = "destination back/a contains partially-complete state from \"zfs receive -s\".\n";
    refused(
        "zfs receive -s -u back/a < stream",
        &format!("cannot receive incremental stream: {partial}"),
    );
    backend.ok(&format!("zfs send -t $({TOKEN}) > rest"));
    refused("zfs receive -s -u back/a < rest", &format!("cannot receive resume stream: {partial}"));
    refused("zfs receive -A back/a", "cannot destroy 'back/a/%recv': dataset is busy\n");
    refused(
        "zfs destroy -r back/a",
        "cannot destroy 'back/a/%recv': dataset is busy\ncannot destroy snapshot back/a@1: snapshot is cloned\n",
    );
    refused("zpool export back", "cannot export 'back': pool is busy\n");
    backend.ok("zfs rollback back/a@1 && zfs snapshot back/a@mid && zfs destroy back/a@mid");
    backend.ok("zfs set foo:bar=1 back/a");
    stdin.write_all(&stream[stream.len() - 100_000..]).unwrap();
    drop(stdin);
    assert!(receive.wait().unwrap().success());
    assert_eq!(
        backend.ok("zfs list -Hp -t all -o name,receive_resume_token,foo:bar -r back/a"),
        "back/a\t-\t1\nback/a@1\t-\t1\nback/a@2\t-\t1\n"
    );
}

#[test]
fn a_running_increment_that_is_not_kept_has_no_token() {
    let backend = two_states();
    backend.ok("zfs send -i @1 tank/a@2 > stream && zpool events -c");
    let stream = fs::read(backend.path("stream")).unwrap();
    let mut receive = backend.command("exec zfs receive -u back/a");
    let mut receive = receive.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = receive.stdin.take().unwrap();
    stdin.write_all(&stream[..600_000]).unwrap();
    let deadline = Instant::now() + DEADLINE;
    while !backend.ok("zpool events -Hv back").contains("back/a/%recv") {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(backend.ok(TOKEN), "-\n");
    let ran = backend.run("zfs receive -s -u back/a < stream");
    assert_eq!(ran.stderr, "cannot receive incremental stream: dataset is busy\n");
    drop(stdin);
    let mut words = String::new();
    receive.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    assert!(!receive.wait().unwrap().success());
    assert_eq!(words, "cannot receive incremental stream: incomplete stream\n");
    backend.ok("zfs receive -s -u back/a < stream");
}

#[test]
fn an_increment_being_sent_needs_its_base_no_more() {
    let backend = two_states();
    let mut send =
        backend.command("exec zfs send -i @1 tank/a@2").stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 312];
    send.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    let ran = backend.run("zfs destroy tank/a@2");
    assert_eq!(ran.stderr, "cannot destroy snapshot tank/a@2: dataset is busy\n");
    backend.ok("zfs destroy tank/a@1");
    send.kill().unwrap();
    send.wait().unwrap();
}
