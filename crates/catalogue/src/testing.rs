//! Fleets for tests: short ways to name things, and random operations on a catalogue.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use schema::Place;
use zfs::{DatasetPath, Guid, Kind, PoolName, Properties, Snapshot};

use crate::lineage::Lineage;
use crate::{Catalogue, Change, Content, Epoch, Identity, MachineId, Release, Role, Update};

pub(crate) fn machine(text: &str) -> MachineId {
    let (location, machine) = schema::place::parse_machine(text).unwrap();
    MachineId { location, machine }
}

pub(crate) fn place(text: &str) -> Place {
    text.parse().unwrap()
}

pub(crate) fn path(text: &str) -> DatasetPath {
    text.parse().unwrap()
}

pub(crate) fn pool(text: &str) -> PoolName {
    text.parse().unwrap()
}

pub(crate) fn pools(names: &[&str]) -> BTreeSet<PoolName> {
    names.iter().map(|name| pool(name)).collect()
}

pub(crate) fn release(at: &str, dataset: &str, transfer: u8) -> Release {
    Release {
        place: Arc::new(place(at)),
        dataset: Arc::new(path(dataset)),
        transfer: format!("{transfer:016x}").parse().unwrap(),
    }
}

/// A filesystem with one snapshot for each GUID.
pub(crate) fn content(guids: &[u64]) -> Content {
    let snapshot = |&guid: &u64| Snapshot {
        label: format!("s{guid}").parse().unwrap(),
        guid: Guid(guid),
        createtxg: guid,
        creation: 0,
    };
    Content {
        properties: Properties {
            kind: Kind::Filesystem,
            guid: Guid(7),
            used: 1,
            referenced: 2,
            written: 3,
            encrypted: false,
            origin: Some("tank/x@y".into()),
            inconsistent: false,
            resume_token: None,
        },
        snapshots: guids.iter().map(snapshot).collect(),
        bookmarks: Box::default(),
    }
}

/// A dataset for each name, with two snapshots; those of other names are unrelated.
pub(crate) fn datasets(names: &[&str]) -> Vec<(DatasetPath, Content)> {
    names.iter().map(|name| (path(name), content(&guids_of(name)))).collect()
}

/// The GUIDs of the snapshots that [`datasets`] makes.
pub(crate) fn guids_of(name: &str) -> [u64; 2] {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let guid = name.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
    [guid & !1, guid | 1]
}

/// One thing that happens to a catalogue. Machines, pools and sessions are numbers.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Register { machine: usize, identity: u8, pools: Vec<usize> },
    PoolState { session: usize, pool: usize, online: bool },
    Replace { session: usize, pool: usize, datasets: Vec<(usize, u64)> },
    Change { session: usize, pool: usize, changed: Vec<(usize, u64)>, removed: Vec<usize> },
    Heartbeat { session: usize },
    Disconnect { session: usize },
    Forget { machine: usize },
    Issue { role: usize },
    Owe { machine: usize, pool: usize, dataset: usize, transfer: u8 },
    Released { machine: usize, pool: usize },
}

const MACHINES: [&str; 3] = [r"dc\m", r"dc\m-2", r"dc-2\m"];
const POOLS: [&str; 3] = ["tank", "tank-2", "T"];
const PATHS: [&str; 4] = ["a", "a/b", "a b", "a-b"];
const ROLES: [&str; 3] = ["user", "admin", "dc"];

pub(crate) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    use Operation as O;
    let (three, session) = (0..3usize, 0..8usize);
    let some = || prop::collection::vec((0..4usize, 0..3u64), 0..4);
    let one = prop_oneof![
        4 => (three.clone(), 0..2u8, prop::collection::vec(0..3usize, 0..4))
            .prop_map(|(machine, identity, pools)| O::Register { machine, identity, pools }),
        2 => (session.clone(), three.clone(), any::<bool>())
            .prop_map(|(session, pool, online)| O::PoolState { session, pool, online }),
        6 => (session.clone(), three.clone(), some())
            .prop_map(|(session, pool, datasets)| O::Replace { session, pool, datasets }),
        3 => (session.clone(), three.clone(), some(), prop::collection::vec(0..4usize, 0..3))
            .prop_map(|(session, pool, changed, removed)| O::Change { session, pool, changed, removed }),
        1 => session.clone().prop_map(|session| O::Heartbeat { session }),
        2 => session.prop_map(|session| O::Disconnect { session }),
        1 => three.clone().prop_map(|machine| O::Forget { machine }),
        2 => (three.clone(), three.clone(), 0..4usize, 0..2u8).prop_map(
            |(machine, pool, dataset, transfer)| O::Owe { machine, pool, dataset, transfer }
        ),
        1 => (three.clone(), three.clone()).prop_map(|(machine, pool)| O::Released { machine, pool }),
        1 => three.prop_map(|role| O::Issue { role }),
    ];
    prop::collection::vec(one, 0..40)
}

/// Does one thing; what is refused changes nothing. `sessions` are all that there ever were.
pub(crate) fn run(
    operation: &Operation,
    catalogue: &mut Catalogue,
    sessions: &mut Vec<Epoch>,
    now: i64,
) -> Vec<Change> {
    let session = |index: usize| sessions.len().checked_sub(1 + index).map(|at| sessions[at]);
    let named = |all: &[(usize, u64)]| {
        all.iter().map(|&(name, guid)| (path(PATHS[name]), content(&[guid]))).collect::<Vec<_>>()
    };
    match operation.clone() {
        Operation::Register { machine: id, identity, pools } => {
            let pools = pools.into_iter().map(|name| pool(POOLS[name])).collect();
            let identity = Identity([identity; 32]);
            match catalogue.register(&machine(MACHINES[id]), identity, &pools, now) {
                Ok(registered) => {
                    sessions.push(registered.epoch);
                    registered.changes
                }
                Err(_) => Vec::new(),
            }
        }
        Operation::PoolState { session: at, pool: name, online } => session(at)
            .and_then(|epoch| catalogue.set_pool_state(epoch, &pool(POOLS[name]), online, now).ok())
            .unwrap_or_default(),
        Operation::Replace { session: at, pool: name, datasets } => session(at)
            .and_then(|epoch| {
                let update = Update::Replace(named(&datasets));
                catalogue.update(epoch, &pool(POOLS[name]), update, now).ok()
            })
            .unwrap_or_default(),
        Operation::Change { session: at, pool: name, changed, removed } => session(at)
            .and_then(|epoch| {
                let removed = removed.into_iter().map(|name| path(PATHS[name])).collect();
                let update = Update::Change { changed: named(&changed), removed };
                catalogue.update(epoch, &pool(POOLS[name]), update, now).ok()
            })
            .unwrap_or_default(),
        Operation::Heartbeat { session: at } => {
            session(at).and_then(|epoch| catalogue.heartbeat(epoch, now).ok()).unwrap_or_default()
        }
        Operation::Disconnect { session: at } => {
            session(at).map(|epoch| catalogue.disconnect(epoch, now)).unwrap_or_default()
        }
        Operation::Forget { machine: id } => {
            catalogue.forget(&machine(MACHINES[id])).map(|(_, changes)| changes).unwrap_or_default()
        }
        Operation::Owe { machine, pool, dataset, transfer } => {
            let at = format!(r"{}\{}", MACHINES[machine], POOLS[pool]);
            catalogue.owe(release(&at, PATHS[dataset], transfer), now)
        }
        Operation::Released { machine, pool } => {
            let at = place(&format!(r"{}\{}", MACHINES[machine], POOLS[pool]));
            let first = catalogue.owed(&at).into_iter().next();
            let taken = first.and_then(|release| catalogue.take_owed(&release));
            taken.map(|(_, changes)| changes).unwrap_or_default()
        }
        Operation::Issue { role } => catalogue.issue(&ROLES[role].parse::<Role>().unwrap()),
    }
}

/// As it would be after a restart: everyone is offline.
pub(crate) fn restarted(mut catalogue: Catalogue) -> Catalogue {
    catalogue.sessions.clear();
    catalogue.last_epoch = 0;
    catalogue.machines.values_mut().for_each(|machine| machine.session = None);
    catalogue.pools.values_mut().for_each(|pool| pool.online = false);
    catalogue
}

/// What must always hold.
pub(crate) fn check(catalogue: &Catalogue) {
    for (name, replicas) in &catalogue.datasets {
        assert!(!replicas.is_empty(), "'{name}' is nowhere");
        assert!(replicas.is_sorted_by(|a, b| a.place < b.place), "'{name}' is not sorted");
        for held in replicas {
            assert!(catalogue.pools[&held.place].datasets.contains(name));
        }
    }
    for (place, pool) in &catalogue.pools {
        let machine = &catalogue.machines[&MachineId::of(place)];
        assert!(!pool.online || machine.session.is_some(), "{place} is online without a session");
        assert!(pool.datasets.iter().all(|name| catalogue.replica(place, name).is_some()));
    }
    assert!(catalogue.owed.keys().all(|release| catalogue.pools.contains_key(&release.place)));
    let mut lineage = Lineage::default();
    for (name, replicas) in &catalogue.datasets {
        replicas.iter().for_each(|held| lineage.add(name, &held.content));
    }
    assert_eq!(catalogue.lineage, lineage);
    let connected: BTreeSet<_> = catalogue.sessions.values().collect();
    let said = catalogue.machines.iter().filter(|(_, machine)| machine.session.is_some());
    assert_eq!(connected, said.map(|(id, _)| id).collect::<BTreeSet<&Arc<MachineId>>>());
    assert_eq!(connected.len(), catalogue.sessions.len(), "a machine has two sessions");
}
