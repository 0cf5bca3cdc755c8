//! What the fleet's listing says while machines come and go.

use schema::Code;
use schema::location_capnp::{PoolState, UpdateKind};

use crate::agent::{Dataset, end, register, write};
use crate::process::{Home, dial, identity, run};
use crate::user::{open, open_on, replicas};

#[test]
fn a_machine_is_listed_while_it_is_connected_and_after() {
    run(async {
        let home = Home::new();
        let tracker = home.start("dc-01,dc-02");
        let one = register(&home, "dc-01", "m1", &["tank", "spare"]).await;
        let two = register(&home, "dc-02", "m2", &["tank"]).await;
        assert_eq!(one.location, "dc-01");
        one.replace("tank", &[Dataset("a", vec![1, 2]), Dataset("2024 data", vec![])]).await;
        one.replace("spare", &[Dataset("a/b", vec![3])]).await;
        two.replace("tank", &[Dataset("a", vec![1])]).await;

        let user = open(&home).await;
        assert_eq!(
            user.show("").await,
            [
                r"2024 data dc-01\m1\tank (online)",
                r"a dc-01\m1\tank (online)",
                r"a dc-02\m2\tank (online)",
                r"a/b dc-01\m1\spare (online)",
            ]
        );
        let found = user.list("a", "dc-01").await.unwrap();
        assert_eq!((found.len(), found[0].snapshot_count), (1, 2));
        assert_eq!(found[0].newest.as_ref().unwrap().guid.0, 2);
        assert_eq!(user.show("*b").await, [r"a/b dc-01\m1\spare (online)"]);

        one.set_pool("spare", PoolState::Unavailable).await;
        assert_eq!(user.show("a/b").await, [r"a/b dc-01\m1\spare (offline)"]);
        one.set_pool("spare", PoolState::Online).await;
        assert_eq!(user.show("a/b").await, [r"a/b dc-01\m1\spare (online)"]);

        // The connection ends: offline at once, and nothing is forgotten.
        drop(one);
        let after = [
            r"2024 data dc-01\m1\tank (offline)",
            r"a dc-01\m1\tank (offline)",
            r"a dc-02\m2\tank (online)",
            r"a/b dc-01\m1\spare (offline)",
        ];
        user.show_until(&after).await;

        // So it is after a restart, by then for all.
        assert!(tracker.stop().success());
        let _tracker = home.start("dc-01,dc-02");
        let user = open(&home).await;
        assert_eq!(user.show("").await, after.map(|line| line.replace("online", "offline")));
    });
}

#[test]
fn a_tracker_that_is_killed_remembers_what_it_acknowledged() {
    run(async {
        let home = Home::new();
        let tracker = home.start("dc");
        let machine = register(&home, "dc", "m", &["tank"]).await;
        machine.replace("tank", &[Dataset("a", vec![1])]).await;
        drop(tracker);
        let _tracker = home.start("dc");
        let user = open(&home).await;
        assert_eq!(user.show("").await, [r"a dc\m\tank (offline)"]);
    });
}

#[test]
fn an_update_counts_only_once_it_has_ended() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let machine = register(&home, "dc", "m", &["tank"]).await;
        machine.replace("tank", &[Dataset("a", vec![1]), Dataset("b", vec![])]).await;
        let user = open(&home).await;

        let sink = machine.begin_update("tank", UpdateKind::Replace).await;
        write(&sink, &[Dataset("c", vec![])], &[]).await;
        drop(sink);
        machine.heartbeat().await.unwrap();
        assert_eq!(user.show("").await, [r"a dc\m\tank (online)", r"b dc\m\tank (online)"]);

        let sink = machine.begin_update("tank", UpdateKind::Change).await;
        write(&sink, &[Dataset("c", vec![])], &["a"]).await;
        end(&sink).await.unwrap();
        assert_eq!(user.show("").await, [r"b dc\m\tank (online)", r"c dc\m\tank (online)"]);
        assert!(end(&sink).await.is_err(), "an update can't end twice");
    });
}

#[test]
fn very_many_datasets_and_snapshots_come_through_whole() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let machine = register(&home, "dc", "m", &["tank"]).await;
        let names: Vec<&'static str> =
            (0..2500).map(|n| &*Box::leak(format!("d{n:04}").into_boxed_str())).collect();
        let mut datasets: Vec<_> = names.iter().map(|name| Dataset(name, vec![1])).collect();
        datasets.push(Dataset("many", (1..=5000).collect()));
        machine.replace("tank", &datasets).await;

        let user = open(&home).await;
        let all = user.list("", "").await.unwrap();
        let listed: Vec<&str> = all.iter().map(|replica| replica.name.as_str()).collect();
        assert_eq!(listed[..2500], names);
        let whole = replicas(&user.broker("many").await.unwrap()).await.unwrap();
        let guids: Vec<u64> = whole[0].snapshots.iter().map(|snapshot| snapshot.guid.0).collect();
        assert_eq!(guids, (1..=5000).collect::<Vec<u64>>());
    });
}

#[test]
fn how_many_streams_a_machine_sends_is_told_with_its_replicas() {
    run(async {
        let home = Home::new();
        let tracker = home.start("dc");
        let busy = register(&home, "dc", "busy", &["tank"]).await;
        let idle = register(&home, "dc", "idle", &["tank"]).await;
        let away = register(&home, "dc", "away", &["tank"]).await;
        for machine in [&busy, &idle, &away] {
            machine.replace("tank", &[Dataset("a", vec![1])]).await;
        }
        busy.heartbeat_while_sending(3).await.unwrap();
        away.heartbeat_while_sending(2).await.unwrap();
        away.connection.close().await;
        tracker.wait_for_line("offline");
        let user = open(&home).await;
        let listed = user.list("", "").await.unwrap();
        let planned = replicas(&user.broker("a").await.unwrap()).await.unwrap();
        for replicas in [listed, planned] {
            let sending: Vec<_> =
                replicas.iter().map(|r| (r.place.machine.as_str(), r.sending)).collect();
            assert_eq!(sending, [("away", 0), ("busy", 3), ("idle", 0)]);
        }
    });
}

#[test]
fn what_is_not_there_is_told_with_its_status() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let user = open(&home).await;
        assert_eq!(user.show("nothing*").await, [""; 0]);
        for (pattern, words) in [("a;b", "';' is not allowed"), ("[", "unclosed")] {
            let failure = user.list(pattern, "").await.unwrap_err();
            assert_eq!(failure.exit_status(), 2);
            assert!(failure.to_string().contains(words), "{failure}");
        }
        let failure = user.broker("nothing").await.err().unwrap();
        assert_eq!((failure.code, failure.exit_status()), (Code::NoSuchDataset, 3));
        assert_eq!(user.broker("../x").await.err().unwrap().exit_status(), 2);
    });
}

#[test]
fn another_version_of_the_protocol_is_refused() {
    run(async {
        let home = Home::new();
        let _tracker = home.start("dc");
        let connection = dial(&home.capability("user"), &identity()).await;
        let failure = open_on(&connection, 99).await.err().unwrap();
        assert_eq!(failure.code, Code::OtherProtocol);
        assert_eq!(
            failure.to_string(),
            "cannot talk to this tracker as 'a test': it speaks version 99 of the protocol, the \
             tracker version 2\nInstall the same release of zatlas on both machines."
        );

        let connection = dial(&home.capability("dc"), &identity()).await;
        let other = crate::agent::register_on(connection, "m", &[], &[0; 32], 99).await;
        assert_eq!(other.err().unwrap().code, Code::OtherProtocol);
    });
}
