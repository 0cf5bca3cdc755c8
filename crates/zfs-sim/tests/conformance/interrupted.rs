//! Receives that don't come to their end, and what is refused while they run.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::backend::{Backend, noise};

const DEADLINE: Duration = Duration::from_secs(60);
const CUT: usize = 3_000_000;

/// A machine with `tank/a@s`, and its stream of more than 4 MB in the file `stream`.
fn sent() -> Backend {
    let backend = Backend::with_pools(&["tank", "back"]);
    backend.ok("zfs create tank/a");
    backend.with_files("tank/a", |dir| {
        fs::write(dir.join("file"), noise(4_000_000)).unwrap();
    });
    backend.ok("zfs snapshot tank/a@s && zfs send tank/a@s > stream");
    backend
}

/// Starts a receive and feeds it the stream's beginning. It then waits for more.
fn begun(backend: &Backend, command: &str) -> Child {
    let mut receive = backend.command(&format!("exec {command}"));
    let mut receive = receive.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stream = fs::read(backend.path("stream")).unwrap();
    receive.stdin.as_mut().unwrap().write_all(&stream[..CUT]).unwrap();
    receive
}

/// Waits until a command prints what is wanted.
fn until(backend: &Backend, command: &str, wanted: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let ran = backend.run(command);
        if wanted(&ran.stdout) {
            return ran.stdout;
        }
        assert!(Instant::now() < deadline, "{command}: {}{}", ran.stdout, ran.stderr);
    }
}

fn assert_refused(backend: &Backend, command: &str, words: &str) {
    let ran = backend.run(command);
    assert_eq!((ran.stderr.as_str(), ran.status), (words, 1), "{command}");
}

const TOKEN: &str = "zfs get -Hp -o value receive_resume_token back/r";

fn is_token(text: &str) -> bool {
    let parts: Vec<_> = text.trim().split('-').collect();
    let hex = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_hexdigit());
    matches!(parts.as_slice(), ["1", rest @ ..] if rest.len() == 3 && rest.iter().all(hex))
}

#[test]
fn a_cut_stream_keeps_what_came_and_its_token() {
    let backend = sent();
    let ran = backend
        .run(&format!("head -c {CUT} stream | zfs receive -s -u -o zatlas:transfer=t1 back/r"));
    let token = backend.ok(TOKEN);
    assert!(is_token(&token), "{token}");
    let words = format!(
        "cannot receive new filesystem stream: checksum mismatch or incomplete stream.
Partially received snapshot is saved.
A resuming stream can be generated on the sending system by running:
    zfs send -t {token}"
    );
    assert_eq!((ran.stderr, ran.status), (words, 1));
    assert_eq!(
        backend.ok("zfs list -Hp -t all -o name,inconsistent,type,mounted,zatlas:transfer -r back"),
        "back\t0\tfilesystem\tno\t-\nback/r\t1\tfilesystem\tno\tt1\n"
    );
    let exists = "cannot receive new filesystem stream: destination 'back/r' exists\nmust specify -F to overwrite it\n";
    assert_refused(&backend, "zfs receive -s -u back/r < stream", exists);
    assert_refused(
        &backend,
        "zfs snapshot back/r@x",
        "cannot create snapshot 'back/r@x': dataset is busy\n",
    );
    backend.ok("zfs set zatlas:transfer=t2 back/r");
    backend.ok("zfs receive -A back/r");
    assert_eq!(backend.ok("zfs list -Hp -o name -r back"), "back\n");
    backend.ok("zfs receive -s -u back/r < stream");
    let none = "'back/r' does not have any resumable receive state to abort\n";
    assert_refused(&backend, "zfs receive -A back/r", none);
}

#[test]
fn a_cut_stream_leaves_nothing_when_it_was_not_to_be_kept() {
    let backend = sent();
    let incomplete = "cannot receive new filesystem stream: incomplete stream\n";
    assert_refused(&backend, &format!("head -c {CUT} stream | zfs receive -u back/r"), incomplete);
    assert_eq!(backend.ok("zfs list -Hp -o name -r back"), "back\n");
}

#[test]
fn a_wrong_byte_is_noticed() {
    let backend = sent();
    let mut stream = fs::read(backend.path("stream")).unwrap();
    stream[CUT] ^= 1;
    fs::write(backend.path("garbled"), stream).unwrap();
    let ran = backend.run("zfs receive -s -u back/r < garbled");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.starts_with(
        "cannot receive new filesystem stream: checksum mismatch or incomplete stream.\n"
    ));
    assert!(is_token(&backend.ok(TOKEN)));
    let mismatch = "cannot receive new filesystem stream: checksum mismatch\n";
    assert_refused(&backend, "zfs receive -u back/q < garbled", mismatch);
    assert_eq!(backend.ok("zfs list -Hp -t all -o name -r back"), "back\nback/r\n");
}

#[test]
fn a_killed_receive_keeps_what_came() {
    let backend = sent();
    let mut receive = begun(&backend, "zfs receive -s -u -o zatlas:transfer=t1 back/r");
    until(&backend, TOKEN, is_token);
    assert_eq!(backend.ok("zfs get -Hp -o value inconsistent,zatlas:transfer back/r"), "1\nt1\n");
    receive.kill().unwrap();
    receive.wait().unwrap();
    // The kernel takes a moment to let go.
    until(&backend, "zfs receive -A back/r && echo gone", |text| text == "gone\n");
    assert_eq!(backend.ok("zfs list -Hp -o name -r back"), "back\n");
}

#[test]
fn a_killed_receive_leaves_nothing_when_it_was_not_to_be_kept() {
    let backend = sent();
    let mut receive = begun(&backend, "zfs receive -u back/r");
    until(&backend, "zfs list -Hp -o name -r back", |text| text.contains("back/r"));
    receive.kill().unwrap();
    receive.wait().unwrap();
    until(&backend, "zfs list -Hp -o name -r back", |text| text == "back\n");
}

#[test]
fn nothing_disturbs_a_running_receive() {
    let backend = sent();
    let mut receive = begun(&backend, "zfs receive -s -u back/r");
    until(&backend, TOKEN, is_token);
    let busy = "cannot destroy 'back/r': dataset is busy\n";
    assert_refused(&backend, "zfs receive -A back/r", busy);
    assert_refused(&backend, "zfs destroy back/r", busy);
    assert_refused(&backend, "zfs destroy -r back/r", busy);
    let exists = "cannot receive new filesystem stream: destination 'back/r' exists\nmust specify -F to overwrite it\n";
    assert_refused(&backend, "zfs receive -s -u back/r < stream", exists);
    assert_refused(
        &backend,
        "zfs snapshot back/r@x",
        "cannot create snapshot 'back/r@x': dataset is busy\n",
    );
    assert_refused(&backend, "zpool export back", "cannot export 'back': pool is busy\n");
    assert_refused(&backend, "zpool destroy back", "cannot destroy 'back': pool is busy\n");
    let stream = fs::read(backend.path("stream")).unwrap();
    receive.stdin.take().unwrap().write_all(&stream[CUT..]).unwrap();
    assert!(receive.wait().unwrap().success());
    assert_eq!(
        backend.ok("zfs list -Hp -t all -o name,inconsistent,receive_resume_token -r back"),
        "back\t0\t-\nback/r\t0\t-\nback/r@s\t0\t-\n"
    );
}

#[test]
fn a_snapshot_being_sent_cannot_be_destroyed() {
    let backend = sent();
    let mut send =
        backend.command("exec zfs send tank/a@s").stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 312];
    let mut stdout = send.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    let busy = "cannot destroy snapshot tank/a@s: dataset is busy\n";
    assert_refused(&backend, "zfs destroy tank/a@s", busy);
    io::copy(&mut stdout, &mut File::create(backend.path("again")).unwrap()).unwrap();
    assert!(send.wait().unwrap().success());
    assert!(
        fs::read(backend.path("again")).unwrap()
            == fs::read(backend.path("stream")).unwrap()[first.len()..]
    );
    until(&backend, "zfs destroy tank/a@s && echo gone", |text| text == "gone\n");
}

#[test]
fn a_reader_that_goes_away_ends_a_send() {
    let backend = sent();
    let ran = backend.run("zfs send tank/a@s | head -c 312 | wc -c");
    assert_eq!((ran.stdout.as_str(), ran.status), ("312\n", 141));
    until(&backend, "zfs destroy tank/a@s && echo gone", |text| text == "gone\n");
}
