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
    assert_eq!(replicas[0].snapshots, *content(&[1, 2]).snapshots);
    assert_eq!((replicas[0].online, replicas[0].last_seen), (true, 5));
    assert_eq!(catalogue.replicas(&path("nowhere"), 5), []);
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
