use super::*;
use crate::traffic::rate::Rate;
use zfs::{Kind, Snapshot};

fn snapshot(guid: u64) -> Snapshot {
    Snapshot {
        label: format!("s{guid}").parse().unwrap(),
        guid: Guid(guid),
        createtxg: 8,
        creation: -9,
    }
}

#[test]
fn a_request_survives_the_wire() {
    let all = Options {
        all_snapshots: true,
        restart: true,
        rollback: true,
        adopt: true,
        decrypt: true,
        wait: true,
        readonly: true,
        settings: true,
        timeout: Duration::from_secs(1),
        stall: Duration::from_secs(2),
        limit_rate: Rate::per_second(3),
    };
    for request in [
        CopyRequest {
            dataset: "a/b".parse().unwrap(),
            destination: r"dc\m\tank\x/two words".parse().unwrap(),
            from: Some(r"dc\n\tank".parse().unwrap()),
            snapshot: Some("monday".parse().unwrap()),
            dry_run: true,
            options: all,
        },
        CopyRequest {
            dataset: "a".parse().unwrap(),
            destination: r"dc\m\tank".parse().unwrap(),
            from: None,
            snapshot: None,
            dry_run: false,
            options: Options::default(),
        },
    ] {
        let mut message = capnp::message::Builder::new_default();
        write_request(message.init_root(), &request);
        assert_eq!(read_request(message.get_root_as_reader().unwrap()).unwrap(), request);
    }
}

#[test]
fn a_summary_survives_the_wire() {
    let origin = |route| Origin {
        place: r"dc\m\tank".parse().unwrap(),
        dataset: "a/b".parse().unwrap(),
        route,
    };
    let base = Base { snapshot: snapshot(1), is_bookmark: true };
    let actions = [
        Action::Abort(Some(5)),
        Action::Abort(None),
        Action::CreateParent("tank/a".parse().unwrap()),
        Action::Adopt,
        Action::Rollback { to: snapshot(1), discards: vec![snapshot(2)], changes: 3 },
        Action::Resume { snapshot: snapshot(3), received: 4 },
        Action::Send { snapshot: snapshot(4), base: Some(base) },
        Action::Send { snapshot: snapshot(5), base: None },
    ];
    let steps = actions.into_iter().zip([None, Some(7)].into_iter().cycle());
    let whole = Plan {
        snapshot: Some(snapshot(7)),
        source: origin(Route::Relayed),
        target: "tank/a/b".parse().unwrap(),
        kind: Kind::Volume,
        raw: true,
        steps: steps.map(|(action, bytes)| Step { action, bytes }).collect(),
        bytes: Some(5),
        warnings: vec!["older".into()],
    };
    let empty = Plan { snapshot: None, steps: Vec::new(), bytes: None, ..whole.clone() };
    for (plan, guid) in [(whole, Some(Guid(7))), (empty, None)] {
        let left = [None, Some("it went away".to_owned())];
        let summary = Summary {
            plan,
            bytes: 6,
            elapsed: Duration::from_millis(1500),
            guid,
            sources: left
                .into_iter()
                .map(|left| Used { origin: origin(Route::Direct), bytes: 8, left })
                .collect(),
            retries: 3,
        };
        let mut message = capnp::message::Builder::new_default();
        write_summary(message.init_root(), &summary);
        assert_eq!(read_summary(message.get_root_as_reader().unwrap()).unwrap(), summary);
    }
}
