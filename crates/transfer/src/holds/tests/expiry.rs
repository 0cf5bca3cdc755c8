//! When holds end that nobody lets go of.

use super::*;

#[tokio::test]
async fn a_hold_expires_7_days_after_its_last_use_and_not_before() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    hold(&holds, "tank/a@s", 1, T1).await;
    let used = holds.list(&pools(), now()).await.unwrap().0[0].last_used;
    holds.expire(&pools(), used + 7 * DAY).await.unwrap();
    assert_eq!(machine.held().len(), 1);
    holds.expire(&pools(), used + 7 * DAY + 1).await.unwrap();
    assert_eq!(machine.held(), [""; 0]);

    // A later use counts, the first one doesn't.
    hold(&holds, "tank/a@s", 1, T1).await;
    holds.book(|book| {
        let key = Key { guid: Guid(1), transfer: T1.parse().unwrap() };
        book.used(key, &"tank/a".parse().unwrap(), DESTINATION, used + 3 * DAY).unwrap();
    });
    holds.expire(&pools(), used + 8 * DAY).await.unwrap();
    assert_eq!(machine.held().len(), 1);
}

#[tokio::test]
async fn what_is_asked_for_while_it_expires_stays() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    hold(&holds, "tank/a@s", 1, T1).await;
    let later = now() + 8 * DAY;
    let gate = holds.gate(&pools()[0]);
    let asking = gate.read().await;
    let expiring = tokio::spawn({
        let holds = holds.clone();
        async move { holds.expire(&pools(), later).await }
    });
    // Who waits to close the gate lets nobody in before.
    while gate.try_read().is_ok() {
        tokio::task::yield_now().await;
    }
    let key = Key { guid: Guid(1), transfer: T1.parse().unwrap() };
    holds.book(|book| book.used(key, &"tank/a".parse().unwrap(), DESTINATION, later)).unwrap();
    drop(asking);
    expiring.await.unwrap().unwrap();
    assert_eq!(machine.held().len(), 1);
}

#[tokio::test]
async fn what_goes_by_an_expired_ones_name_by_now_stays() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    hold(&holds, "tank/a@s", 1, T1).await;
    let gate = holds.gate(&pools()[0]);
    let asking = gate.read().await;
    let expiring = tokio::spawn({
        let holds = holds.clone();
        async move { holds.expire(&pools(), now() + 8 * DAY).await }
    });
    while gate.try_read().is_ok() {
        tokio::task::yield_now().await;
    }
    machine.has(&[("tank/a@old", 1), ("tank/a@s", 5)]);
    drop(asking);
    expiring.await.unwrap().unwrap();
    assert_eq!(machine.held(), [format!("tank/a@s zatlas-m-{T1}")]);
}

#[tokio::test]
async fn what_cannot_be_let_go_keeps_nothing_else_from_expiring() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    hold(&holds, "tank/a@s", 1, T1).await;
    hold(&holds, "tank/a@t", 2, T1).await;
    hold(&holds, "spare/x@s", 4, T1).await;
    fs::write(machine.path("kept"), "tank/a@s").unwrap();
    let failed = holds.expire(&pools(), now() + 8 * DAY).await.unwrap_err();
    assert!(failed.to_string().contains("permission denied"), "{failed}");
    assert_eq!(machine.held(), [format!("tank/a@s zatlas-m-{T1}")]);
}

#[tokio::test]
async fn a_restart_lets_go_of_nothing_and_forgets_nothing() {
    let machine = Machine::new();
    let before = machine.agent("m");
    hold(&before, "tank/a@s", 1, T1).await;
    let (known, _) = before.list(&pools(), now()).await.unwrap();
    drop(before);
    let after = machine.agent("m");
    after.expire(&pools(), now()).await.unwrap();
    assert_eq!(after.list(&pools(), now()).await.unwrap().0, known);
    after.expire(&pools(), known[0].last_used + 7 * DAY + 1).await.unwrap();
    assert_eq!(machine.held(), [""; 0], "it counts from its use, not from the start");
}

#[tokio::test]
async fn a_lost_book_gives_holds_another_7_days() {
    let machine = Machine::new();
    let holds = machine.agent("m");
    hold(&holds, "tank/a@s", 1, T1).await;
    fs::remove_file(machine.path("book.json")).unwrap();
    let (holds, found) = (machine.agent("m"), now() + 30 * DAY);
    holds.expire(&pools(), found).await.unwrap();
    let (listed, _) = holds.list(&pools(), found + DAY).await.unwrap();
    assert_eq!((listed[0].last_used, listed[0].destination.as_str()), (found, ""));
    holds.expire(&pools(), found + 7 * DAY + 1).await.unwrap();
    assert_eq!(machine.held(), [""; 0]);
}

#[test]
fn time_is_counted_in_seconds() {
    let clock = time::OffsetDateTime::now_utc().unix_timestamp();
    assert!(now().abs_diff(clock) < 3600, "{} at {clock}", now());
}
