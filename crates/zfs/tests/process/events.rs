//! Events, followed as they are told.

use zfs::process::OperationError;

use crate::fake::{Fake, within};

const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/events.txt");

#[tokio::test]
async fn events_come_while_the_process_runs() {
    let fake = Fake::logging(&format!("cat {EVENTS}; exec 9>$here/alive; exec sleep 1000"));
    let alive = fake.alive();
    let mut events = fake.zfs().events().unwrap();
    for _ in 0..24 {
        within(events.next()).await.unwrap();
    }
    let gone = alive.begun().await;
    drop(events);
    gone.wait().await;
    assert_eq!(fake.read("log"), "C [zpool] [events] [-Hvf]\n");
}

#[tokio::test]
async fn after_the_last_event_the_process_tells_why() {
    let fake = Fake::new(&format!("head -10 {EVENTS}; echo 'permission denied' >&2; exit 1"));
    let mut events = fake.zfs().events().unwrap();
    assert_eq!(within(events.next()).await.unwrap().operation, "pool_create");
    assert_eq!(within(events.next()).await, None);
    let error = within(events.ended()).await;
    assert_eq!(error.to_string(), "cannot follow the events of all pools");
    assert_eq!(error.why(), "permission denied");
}

#[tokio::test]
async fn an_end_without_a_failure_is_told_as_well() {
    let fake = Fake::new("");
    let mut events = fake.zfs().events().unwrap();
    assert_eq!(within(events.next()).await, None);
    assert_eq!(within(events.ended()).await.why(), "it ended without a word (exit status: 0)");
}
