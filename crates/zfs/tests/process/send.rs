//! Sending: the stream, its end, and ways to stop it.

use std::os::unix::process::ExitStatusExt;

use zfs::Base;
use zfs::process::{OperationError, SendFlags, SendProcess, Stream};

use crate::fake::{Fake, name, snapshot, within};

/// `tank/fs@s`, all of it.
fn whole(flags: SendFlags) -> Stream {
    Stream::Snapshot { snapshot: snapshot(), base: None, flags }
}

fn plain() -> Stream {
    whole(SendFlags::default())
}

fn from(base: Base) -> Stream {
    let flags = SendFlags { raw: true, ..SendFlags::default() };
    Stream::Snapshot { snapshot: snapshot(), base: Some(base), flags }
}

fn resumed() -> Stream {
    Stream::Resumed { snapshot: snapshot(), token: "1-abc-def-0123".to_owned() }
}

#[tokio::test]
async fn the_flags_become_arguments_and_no_others_are_there() {
    let off = SendFlags::default();
    for (flags, arguments) in [
        (off, "[send] [tank/fs@s]"),
        (SendFlags { raw: true, ..off }, "[send] [-w] [tank/fs@s]"),
        (
            SendFlags { raw: false, large_blocks: true, compressed: true },
            "[send] [-L] [-c] [tank/fs@s]",
        ),
    ] {
        let fake = Fake::logging("");
        within(fake.zfs().send(&whole(flags)).unwrap().finish()).await.unwrap();
        assert_eq!(fake.read("log"), format!("C [zfs] {arguments}\n"));
    }
}

#[tokio::test]
async fn what_a_stream_is_made_of_is_named_in_full() {
    for (stream, arguments) in [
        (from(Base::Snapshot(name("tank/fs@a b"))), "[-w] [-i] [tank/fs@a b] [tank/fs@s]"),
        (from(Base::Bookmark(name("tank/fs#a b"))), "[-w] [-i] [tank/fs#a b] [tank/fs@s]"),
        (resumed(), "[-t] [1-abc-def-0123]"),
    ] {
        let fake = Fake::logging("");
        within(fake.zfs().send(&stream).unwrap().finish()).await.unwrap();
        within(fake.zfs().estimate(&stream)).await.unwrap();
        assert_eq!(
            fake.read("log"),
            format!("C [zfs] [send] {arguments}\nC [zfs] [send] [-nvP] {arguments}\n")
        );
    }
}

#[tokio::test]
async fn a_failure_to_resume_names_the_snapshot() {
    let fake = Fake::new(
        "echo 'cannot resume send: resume token is corrupt (incorrect checksum)' >&2; exit 255",
    );
    let error = within(fake.zfs().estimate(&resumed())).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot estimate the size of tank/fs@s");
    assert_eq!(error.reason(), Some(zfs::Reason::CorruptToken));
}

/// Takes a stream to its end.
async fn all(process: &SendProcess) -> Vec<u8> {
    let mut stream = Vec::new();
    loop {
        match process.ready().await.unwrap() {
            0 => return stream,
            count => {
                let end = stream.len();
                stream.resize(end + count, 0);
                process.take(&mut stream[end..]).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn all_that_is_sent_can_be_read_and_then_the_status_tells_that_it_is_whole() {
    let fake = Fake::new("head -c 3000000 /dev/zero; echo 'by the way' >&2");
    let process = fake.zfs().send(&plain()).unwrap();
    assert_eq!(within(all(&process)).await.len(), 3_000_000);
    assert_eq!(within(process.finish()).await.unwrap(), "by the way");
}

#[tokio::test]
async fn a_stream_that_ends_like_any_other_can_be_a_failure() {
    let fake =
        Fake::new("echo bytes; echo \"warning: cannot send 'tank/fs@s': I/O error\" >&2; exit 1");
    let process = fake.zfs().send(&plain()).unwrap();
    let stream = within(all(&process)).await;
    let error = within(process.finish()).await.unwrap_err();
    assert_eq!(
        (stream.as_slice(), error.to_string().as_str()),
        (&b"bytes\n"[..], "cannot send tank/fs@s")
    );
    assert_eq!(error.zfs_message(), Some("warning: cannot send 'tank/fs@s': I/O error"));
}

#[tokio::test]
async fn a_killed_process_is_a_failure_that_tells_the_signal() {
    let fake = Fake::new("kill -9 $$");
    let process = fake.zfs().send(&plain()).unwrap();
    let error = within(process.finish()).await.unwrap_err();
    assert_eq!(error.why(), "it was killed (signal: 9 (SIGKILL))");
}

#[tokio::test]
async fn stopping_ends_it_with_all_that_it_started_however_full_its_pipe() {
    let fake = Fake::new("cat /dev/zero & (exec 9>$here/alive; exec sleep 1000); true");
    let alive = fake.alive();
    let process = fake.zfs().send(&plain()).unwrap();
    let gone = alive.begun().await;
    let ended = within(process.stop()).await.unwrap();
    assert_eq!(ended.status.signal(), Some(9));
    gone.wait().await;
}

#[tokio::test]
async fn dropping_it_ends_it_with_all_that_it_started() {
    let fake = Fake::new("(exec 9>$here/alive; exec sleep 1000); true");
    let alive = fake.alive();
    let process = fake.zfs().send(&plain()).unwrap();
    let gone = alive.begun().await;
    assert!(process.pid().is_some());
    drop(process);
    gone.wait().await;
}

#[tokio::test]
async fn an_estimate_is_asked_for_with_the_same_flags() {
    let fake = Fake::logging(r#"printf "full\ttank/fs@s\t7\nsize\t8417392\n""#);
    let flags = SendFlags { raw: true, ..SendFlags::default() };
    assert_eq!(within(fake.zfs().estimate(&whole(flags))).await.unwrap(), Some(8417392));
    assert_eq!(fake.read("log"), "C [zfs] [send] [-nvP] [-w] [tank/fs@s]\n");
    let fake = Fake::new("exit 1");
    let error = within(fake.zfs().estimate(&whole(flags))).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot estimate the size of tank/fs@s");
}
