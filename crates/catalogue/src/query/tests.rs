use super::*;
use crate::lookup::LookupError;
use crate::session::Update;
use crate::testing::*;
use crate::{Epoch, Identity};

fn add(catalogue: &mut Catalogue, at: &str, names: &[&str]) -> Epoch {
    let place = place(at);
    let id = crate::MachineId::of(&place);
    let pools = [place.pool.clone()].into();
    let epoch = catalogue.register(&id, Identity([1; 32]), &pools, 1).unwrap().epoch;
    catalogue.update(epoch, &place.pool, Update::Replace(datasets(names)), 1).unwrap();
    epoch
}

/// Two locations that share a dataset.
fn fleet() -> Catalogue {
    let mut catalogue = Catalogue::default();
    add(&mut catalogue, r"dc-02\m\tank", &["a", "a/b", "two words", "x.y"]);
    add(&mut catalogue, r"dc-01\m\tank", &["a/b", "a/b/c", "ab"]);
    catalogue
}

fn listed(query: &Query) -> Vec<String> {
    let catalogue = fleet();
    catalogue.list(query, None, 5).map(|r| format!("{} {}", r.name, r.place.location)).collect()
}

#[test]
fn a_pattern_is_a_name_or_a_glob_in_which_a_star_crosses_slashes() {
    for (pattern, names) in [
        ("a", &["a dc-02"][..]),
        ("a/b", &["a/b dc-01", "a/b dc-02"]),
        ("a*", &["a dc-02", "a/b dc-01", "a/b dc-02", "a/b/c dc-01", "ab dc-01"]),
        ("a/*", &["a/b dc-01", "a/b dc-02", "a/b/c dc-01"]),
        ("*c", &["a/b/c dc-01"]),
        ("a?b", &["a/b dc-01", "a/b dc-02"]),
        ("{x.y,two*}", &["two words dc-02", "x.y dc-02"]),
        ("[t-x]*", &["two words dc-02", "x.y dc-02"]),
        ("x?", &[]),
        ("X.Y", &[]),
        ("nowhere", &[]),
    ] {
        assert_eq!(listed(&Query::new(pattern, None).unwrap()), names, "{pattern}");
    }
    assert_eq!(listed(&Query::new("", None).unwrap()), listed(&Query::all()));
    assert_eq!(listed(&Query::all()).len(), 7);
}

#[test]
fn a_location_narrows() {
    let query = Query::new("a*", Some("dc-01".parse().unwrap())).unwrap();
    assert_eq!(listed(&query), ["a/b dc-01", "a/b/c dc-01", "ab dc-01"]);
}

#[test]
fn what_is_neither_a_name_nor_a_glob_is_refused() {
    for pattern in ["a;b", "../x", "a//b", "%recv", "[", "{a", "a\\"] {
        assert!(Query::new(pattern, None).is_err(), "{pattern}");
    }
}

#[test]
fn pages_follow_each_other_also_when_what_they_ended_with_is_gone() {
    let catalogue = fleet();
    for pattern in ["", "a*", "a/b"] {
        let query = Query::new(pattern, None).unwrap();
        let whole: Vec<_> = catalogue.list(&query, None, 5).collect();
        let mut paged: Vec<schema::Replica> = Vec::new();
        loop {
            let after = paged.last().map(|last| (last.name.clone(), last.place.clone()));
            let after = after.as_ref().map(|(name, place)| (name, place));
            let Some(next) = catalogue.list(&query, after, 5).next() else { break };
            paged.push(next);
            assert!(paged.len() <= whole.len(), "a page has no end");
        }
        assert_eq!(paged, whole, "{pattern}");
    }
    let (gone, somewhere) = (path("aa"), place(r"dc\m\tank"));
    let all = Query::all();
    let next = catalogue.list(&all, Some((&gone, &somewhere)), 5).next().unwrap();
    assert_eq!(next.name, path("ab"));
}

#[test]
fn planners_get_every_snapshot() {
    let catalogue = fleet();
    let replicas = catalogue.replicas(&path("a/b"), 5);
    let places: Vec<_> = replicas.iter().map(|replica| replica.place.to_string()).collect();
    assert_eq!(places, [r"dc-01\m\tank", r"dc-02\m\tank"]);
    assert_eq!(replicas[0].snapshots, *content(&guids_of("a/b")).snapshots);
    assert_eq!((replicas[0].online, replicas[0].last_seen), (true, 5));
    assert_eq!(catalogue.replicas(&path("nowhere"), 5), []);
}

/// Some datasets with snapshots of these GUIDs and, below zero, bookmarks.
fn told(catalogue: &mut Catalogue, at: &str, datasets: &[(&str, &[i64])]) {
    let entries = |guids: &[i64], kept: fn(&&i64) -> bool| {
        let kept: Vec<_> = guids.iter().filter(kept).map(|guid| guid.unsigned_abs()).collect();
        content(&kept).snapshots
    };
    let dataset = |&(name, guids): &(&str, &[i64])| {
        let bookmarks = entries(guids, |guid| **guid < 0);
        let snapshots = entries(guids, |guid| **guid > 0);
        (path(name), crate::Content { snapshots, bookmarks, ..content(&[]) })
    };
    let epoch = add(catalogue, at, &[]);
    let update = Update::Replace(datasets.iter().map(dataset).collect());
    catalogue.update(epoch, &place(at).pool, update, 1).unwrap();
}

/// Replicas of `a` under its own name and others, and datasets that are none.
fn relatives() -> Catalogue {
    let mut catalogue = Catalogue::default();
    told(&mut catalogue, r"dc\m1\tank", &[("a", &[1, 2]), ("other", &[7]), ("z", &[2, 3])]);
    told(&mut catalogue, r"dc\m2\tank", &[("a", &[9]), ("backup/a", &[1]), ("other", &[-2])]);
    told(&mut catalogue, r"dc\m3\tank", &[("a", &[-4]), ("b", &[4]), ("c", &[-4]), ("z", &[3])]);
    told(&mut catalogue, r"dc\m4\tank", &[("empty", &[]), ("z", &[7, 8])]);
    catalogue
}

#[test]
fn a_datasets_relatives_are_those_that_share_a_guid_with_it_whatever_their_name() {
    let replicas = relatives().replicas(&path("a"), 5);
    let shown: Vec<_> =
        replicas.iter().map(|r| format!("{} {}", r.place.machine, r.name)).collect();
    let (own, others) = shown.split_at(3);
    assert_eq!(own, ["m1 a", "m2 a", "m3 a"]);
    // Not the z of m3, which shares a GUID with another z alone, nor the other of m1.
    assert_eq!(others, ["m1 z", "m2 backup/a", "m2 other", "m3 b", "m3 c"]);
    let other = &replicas[5];
    assert_eq!((other.snapshots.len(), other.bookmarks[0].guid), (0, Guid(2)));
}

#[test]
fn what_is_listed_for_a_name_is_a_replica_and_nothing_else() {
    let catalogue = relatives();
    for name in ["a", "b", "z", "other", "empty"].map(path) {
        let listed = catalogue.replicas(&name, 5);
        for replica in catalogue.list(&Query::all(), None, 5) {
            let same = |r: &Replica| (&r.place, &r.name) == (&replica.place, &replica.name);
            let is_listed = listed.iter().any(same);
            let is_replica = catalogue.is_replica(&replica.place, &replica.name, &name);
            assert_eq!(is_replica, is_listed, "{} at {} for {name}", replica.name, replica.place);
        }
    }
    assert!(!catalogue.is_replica(&place(r"dc\m4\tank"), &path("a"), &path("a")));
    assert!(!catalogue.is_replica(&place(r"dc\m9\tank"), &path("a"), &path("a")));
}

#[test]
fn a_place_is_found_or_the_reason_told() {
    let mut catalogue = fleet();
    let epoch = add(&mut catalogue, r"dc-03\m\tank", &[]);
    assert_eq!(catalogue.find_online(&place(r"dc-03\m\tank")), Ok(epoch));
    let LookupError::NoSuchPlace { near } =
        catalogue.find_online(&place(r"dc-3\m\tank")).unwrap_err()
    else {
        panic!("an unknown place was found")
    };
    assert_eq!(near[0], place(r"dc-03\m\tank"));
    catalogue.set_pool_state(epoch, &pool("tank"), false, 7).unwrap();
    assert_eq!(
        catalogue.find_online(&place(r"dc-03\m\tank")),
        Err(LookupError::PoolUnavailable { last_seen: Some(7) })
    );
    catalogue.disconnect(epoch, 9);
    assert_eq!(
        catalogue.find_online(&place(r"dc-03\m\tank")),
        Err(LookupError::MachineOffline { machine: "m".parse().unwrap(), last_seen: 9 })
    );
}

#[test]
fn looking_up_one_name_among_many_does_not_scan() {
    let mut catalogue = Catalogue::default();
    let names: Vec<String> = (0..20_000).map(|n| format!("d{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for machine in 0..5 {
        add(&mut catalogue, &format!(r"dc\m{machine}\tank"), &names);
    }
    let started = std::time::Instant::now();
    let query = Query::new("d777", None).unwrap();
    for _ in 0..1000 {
        assert_eq!(catalogue.list(&query, None, 5).count(), 5);
        assert_eq!(catalogue.replicas(&path("d777"), 5).len(), 5);
    }
    // A scan of all would take a thousand times as long; milliseconds are usual.
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}
