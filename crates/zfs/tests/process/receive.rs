//! Receiving: only `finish` is the end of a stream.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;

use tokio::io::AsyncWriteExt;
use zfs::process::{OperationError, ReceiveOptions, ReceiveProcess};
use zfs::{Kind, PropertyName};

use crate::fake::{Fake, name, snapshot, within};

/// Takes the stream as `received`, and says so if it saw its end.
const TAKE_ALL: &str = "(exec 9>$here/alive; exec cat >$here/received); echo >$here/ended";

fn receive(fake: &Fake) -> ReceiveProcess {
    let options = ReceiveOptions::first(Kind::Volume, "7");
    fake.zfs().receive(&snapshot(), &options).unwrap()
}

#[tokio::test]
async fn a_first_receive_is_marked_and_kept_from_being_mounted_by_the_kind_of_dataset() {
    for (kind, options) in [
        (Kind::Filesystem, "[-o] [canmount=noauto] [-o] [zatlas:transfer=7] [-x] [mountpoint]"),
        (Kind::Volume, "[-o] [zatlas:transfer=7]"),
    ] {
        let fake = Fake::logging("");
        let options_of_kind = ReceiveOptions::first(kind, "7");
        let process = fake.zfs().receive(&name("tank/a/b@two words"), &options_of_kind).unwrap();
        within(process.finish()).await.unwrap();
        assert_eq!(
            fake.read("log"),
            format!("C [zfs] [receive] [-s] [-u] {options} [tank/a/b@two words]\n")
        );
    }
}

#[tokio::test]
async fn an_increment_changes_no_property_but_those_that_were_asked_for() {
    let mut more = ReceiveOptions::increment();
    more.set(PropertyName::READONLY, "on");
    more.set(PropertyName::SENDER, "a b=c");
    for (options, arguments) in [
        (ReceiveOptions::increment(), "[-s] [-u]"),
        (more, "[-s] [-u] [-o] [readonly=on] [-o] [zatlas:sender=a b=c]"),
    ] {
        let fake = Fake::logging("");
        within(fake.zfs().receive(&snapshot(), &options).unwrap().finish()).await.unwrap();
        assert_eq!(fake.read("log"), format!("C [zfs] [receive] {arguments} [tank/fs@s]\n"));
    }
}

#[tokio::test]
async fn finishing_is_the_end_of_the_stream_and_gives_the_warnings() {
    let fake = Fake::new("cat >$here/received; echo 'cannot receive canmount' >&2");
    let mut process = receive(&fake);
    within(process.write_all(&[b'x'; 3_000_000])).await.unwrap();
    assert_eq!(within(process.finish()).await.unwrap(), "cannot receive canmount");
    assert_eq!(fake.read("received").len(), 3_000_000);
}

#[tokio::test]
async fn stopping_is_no_end_of_the_stream() {
    let fake = Fake::new(TAKE_ALL);
    let alive = fake.alive();
    let mut process = receive(&fake);
    within(process.write_all(b"bytes")).await.unwrap();
    let gone = alive.begun().await;
    let ended = within(process.stop()).await.unwrap();
    assert_eq!(ended.status.signal(), Some(9));
    gone.wait().await;
    assert!(!fake.path("ended").exists());
}

#[tokio::test]
async fn dropping_is_no_end_of_the_stream() {
    let fake = Fake::new(TAKE_ALL);
    let alive = fake.alive();
    let process = receive(&fake);
    let gone = alive.begun().await;
    drop(process);
    gone.wait().await;
    assert!(!fake.path("ended").exists());
}

#[tokio::test]
async fn shutting_the_writer_down_is_no_end_of_the_stream() {
    let fake = Fake::new(TAKE_ALL);
    let alive = fake.alive();
    let mut process = receive(&fake);
    let _gone = alive.begun().await;
    within(process.shutdown()).await.unwrap();
    within(process.write_all(b"more")).await.unwrap();
    within(process.finish()).await.unwrap();
    assert_eq!(fake.read("received"), "more");
}

#[tokio::test]
async fn where_it_fails_early_writing_breaks_and_finishing_tells_why() {
    let fake = Fake::new("echo 'cannot receive new filesystem stream: out of space' >&2; exit 1");
    let mut process = receive(&fake);
    let error = loop {
        if let Err(error) = within(process.write_all(&[0; 100_000])).await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    let error = within(process.finish()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot receive into tank/fs");
    assert!(error.is_out_of_space());
}
