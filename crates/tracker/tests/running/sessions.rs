//! Whose name a machine's is, and which of its connections counts.

use std::time::Duration;

use schema::Code;
use schema::location_capnp::UpdateKind;
use sturdyref::{Identity, SecretKey};

use crate::agent::{Asked, Dataset, end, register, register_as, register_on, write};
use crate::process::{Home, dial, identity, run};
use crate::user::open;

#[test]
fn the_same_identity_replaces_its_ghost_at_once() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let key = identity();
        let mut old = register_as(&home, "dc", "m", &["tank"], &key).await.unwrap();
        old.replace("tank", &[Dataset("a", vec![1])]).await;
        let new = register_as(&home, "dc", "m", &["tank"], &key).await.unwrap();
        let Some(Asked::Replaced { by }) = old.asked.recv().await else { panic!("not told") };
        assert!(by.starts_with("unix:"), "{by}");

        let error = old.heartbeat().await.unwrap_err();
        assert_eq!(error.kind, capnp::ErrorKind::Disconnected);
        new.replace("tank", &[Dataset("b", vec![1])]).await;
        // The ghost's end is not the machine's.
        old.connection.close().await;
        new.heartbeat().await.unwrap();
        assert_eq!(open(&home).await.show("").await, [r"b dc\m\tank (online)"]);
    });
}

#[test]
fn an_update_of_a_replaced_session_is_dropped() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let key = identity();
        let old = register_as(&home, "dc", "m", &["tank"], &key).await.unwrap();
        old.replace("tank", &[Dataset("a", vec![1])]).await;
        let sink = old.begin_update("tank", UpdateKind::Replace).await;
        let _new = register_as(&home, "dc", "m", &["tank"], &key).await.unwrap();
        assert!(end(&sink).await.is_err());
        assert_eq!(open(&home).await.show("").await, [r"a dc\m\tank (offline)"]);
    });
}

#[test]
fn a_pools_update_voids_the_one_before() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let machine = register(&home, "dc", "m", &["tank", "spare"]).await;
        let begin = |pool| machine.begin_update(pool, UpdateKind::Replace);
        let (first, other) = (begin("tank").await, begin("spare").await);
        write(&first, &[Dataset("a", vec![1])], &[]).await;
        write(&other, &[Dataset("b", vec![1])], &[]).await;
        let second = begin("tank").await;
        assert!(end(&first).await.unwrap_err().to_string().contains("another of its pool"));
        write(&second, &[Dataset("c", vec![1])], &[]).await;
        end(&second).await.unwrap();
        end(&other).await.unwrap();
        let both = [r"b dc\m\spare (online)", r"c dc\m\tank (online)"];
        assert_eq!(open(&home).await.show("").await, both);
    });
}

#[test]
fn an_update_of_a_pool_that_was_not_announced_is_refused_at_once() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let machine = register(&home, "dc", "m", &["tank"]).await;
        let mut request = machine.session.update_request();
        request.get().set_pool("other");
        let error = request.send().promise.await.err().unwrap();
        assert!(error.to_string().contains("other"), "{error}");
    });
}

#[test]
fn another_identity_gets_the_name_only_after_forget() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let owner = register(&home, "dc", "m", &["tank"]).await;
        owner.replace("tank", &[Dataset("a", vec![1])]).await;
        drop(owner);
        let other = identity();
        let failure = register_as(&home, "dc", "m", &["tank"], &other).await.err().unwrap();
        assert_eq!((failure.code, failure.exit_status()), (Code::Refused, 6));
        assert!(failure.to_string().contains(r"tracker forget 'dc\m'"), "{failure}");

        let output = home.output(&["forget", r"dc\m"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(open(&home).await.show("").await, [""; 0]);
        register_as(&home, "dc", "m", &["tank"], &other).await.unwrap();
    });
}

#[test]
fn the_identity_announced_must_be_the_connections() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let connection = dial(&home.capability("dc"), &identity()).await;
        let owner = SecretKey::generate().unwrap();
        let claimed = Identity::new(&owner).unwrap().fingerprint().0;
        let lie = register_on(connection, "m", &["tank"], &claimed, schema::PROTOCOL).await;
        assert_eq!(lie.err().unwrap().code, Code::Refused);
    });
}

#[test]
fn a_pool_taken_out_is_removed() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let key = identity();
        let machine = register_as(&home, "dc", "m", &["tank", "old"], &key).await.unwrap();
        machine.replace("old", &[Dataset("a", vec![1])]).await;
        let _again = register_as(&home, "dc", "m", &["tank"], &key).await.unwrap();
        assert_eq!(open(&home).await.show("").await, [""; 0]);
    });
}

#[test]
fn a_machine_that_falls_silent_is_hung_up_on_while_one_that_speaks_is_not() {
    run(async {
        let home = Home::new();
        let tracker = home.start("dc");
        let silent = register(&home, "dc", "silent", &["tank"]).await;
        silent.replace("tank", &[Dataset("a", vec![1])]).await;
        let alive = register(&home, "dc", "alive", &["tank"]).await;
        alive.replace("tank", &[Dataset("a", vec![1])]).await;
        let user = open(&home).await;
        let both = [r"a dc\alive\tank (online)", r"a dc\silent\tank (offline)"];
        tokio::select! {
            () = user.show_until(&both) => {}
            never = alive.beat() => match never {},
        }
        assert!(tracker.log().contains("no heartbeat came"));
        tokio::time::timeout(Duration::from_secs(60), silent.connection.closed())
            .await
            .expect("the tracker hangs up");
    });
}
