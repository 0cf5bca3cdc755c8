use super::*;
use zfs::{Guid, Kind, Properties};

/// An online replica at `dc\MACHINE\tank` with snapshots of these GUIDs and creation times.
pub(crate) fn replica(machine: &str, snapshots: &[(u64, i64)]) -> Replica {
    let snapshots: Vec<Snapshot> = (1..)
        .zip(snapshots)
        .map(|(createtxg, (guid, creation))| Snapshot {
            label: format!("s{guid}").parse().unwrap(),
            guid: Guid(*guid),
            createtxg,
            creation: *creation,
        })
        .collect();
    Replica {
        place: format!(r"dc\{machine}\tank").parse().unwrap(),
        online: true,
        last_seen: 1_700_000_000,
        name: "a".parse().unwrap(),
        properties: Properties {
            kind: Kind::Filesystem,
            guid: Guid(0),
            used: 0,
            referenced: 0,
            written: 0,
            encrypted: false,
            origin: None,
            inconsistent: false,
            resume_token: None,
        },
        snapshot_count: u32::try_from(snapshots.len()).unwrap(),
        newest: snapshots.last().cloned(),
        snapshots,
        bookmarks: Vec::new(),
    }
}

fn off(replica: Replica) -> Replica {
    Replica { online: false, ..replica }
}

/// "MACHINE GUID", "MACHINE new" or the failure's code.
fn chosen(replicas: &[Replica], from: Option<&str>, snapshot: Option<&str>) -> String {
    let from = from.map(|machine| format!(r"dc\{machine}\tank").parse().unwrap());
    let snapshot = snapshot.map(|label| label.parse().unwrap());
    let dataset = "a".parse().unwrap();
    let wish =
        Wish { dataset: &dataset, from: from.as_ref(), snapshot: snapshot.as_ref(), near: None };
    match choose(replicas, wish) {
        Ok(choice) => {
            let snapshot = match choice.snapshot {
                Wanted::Existing(snapshot) => snapshot.guid.to_string(),
                Wanted::New => "new".to_owned(),
            };
            let warned = if choice.warnings.is_empty() { "" } else { " warned" };
            format!("{} {snapshot}{warned}", choice.source.machine)
        }
        Err(failure) => format!("{:?}", failure.code),
    }
}

#[test]
fn the_newest_snapshot_that_is_online_comes_from_the_first_place_that_has_it() {
    let old = || replica("m1", &[(1, 10)]);
    let new = || replica("m2", &[(1, 10), (2, 20)]);
    let also_new = || replica("m3", &[(1, 10), (2, 20)]);
    for (replicas, expected) in [
        (vec![old(), new(), also_new()], "m2 2"),
        (vec![old(), off(new()), also_new()], "m3 2"),
        (vec![old(), off(new()), off(also_new())], "m1 1 warned"),
        (vec![off(old()), off(new())], "Offline"),
        (vec![], "NoSuchDataset"),
    ] {
        assert_eq!(chosen(&replicas, None, None), expected, "{replicas:?}");
    }
}

#[test]
fn a_snapshot_that_was_renamed_is_asked_for_by_the_sources_own_name() {
    let mut renamed = replica("m2", &[(1, 10)]);
    renamed.snapshots[0].label = "renamed".parse().unwrap();
    for replicas in
        [[replica("m1", &[(1, 10)]), renamed.clone()], [renamed.clone(), replica("m1", &[(1, 10)])]]
    {
        let dataset = "a".parse().unwrap();
        let wish = Wish { dataset: &dataset, from: None, snapshot: None, near: None };
        let choice = choose(&replicas, wish).unwrap();
        let source = replicas.iter().find(|replica| replica.place == choice.source).unwrap();
        assert_eq!(choice.snapshot, Wanted::Existing(source.snapshots[0].clone()));
    }
}

#[test]
fn createtxg_orders_within_a_pool_whatever_the_clock_said() {
    // The clock was set back between the two.
    assert_eq!(chosen(&[replica("m1", &[(1, 20), (2, 10)])], None, None), "m1 2");
}

#[test]
fn the_same_name_is_not_the_same_data() {
    let ours = || replica("m1", &[(1, 10)]);
    let theirs = || replica("m2", &[(7, 70)]);
    assert_eq!(chosen(&[ours(), theirs()], None, None), "Ambiguous");
    assert_eq!(chosen(&[ours(), off(theirs())], None, None), "Ambiguous");
    assert_eq!(chosen(&[ours(), theirs()], Some("m1"), None), "m1 1");
    // One without snapshots can't be told from any other; it is only left aside.
    assert_eq!(chosen(&[ours(), replica("m2", &[])], None, None), "m1 1");
}

#[test]
fn from_pins_the_source() {
    let replicas =
        [replica("m1", &[(1, 10)]), replica("m2", &[(1, 10), (2, 20)]), replica("m3", &[])];
    assert_eq!(chosen(&replicas, Some("m1"), None), "m1 1");
    assert_eq!(chosen(&replicas, Some("m3"), None), "Refused");
    assert_eq!(chosen(&replicas, Some("m9"), None), "NoSuchPlace");
    assert_eq!(chosen(&[off(replica("m1", &[(1, 1)]))], Some("m1"), None), "Offline");
}

#[test]
fn a_snapshot_may_be_named() {
    let replicas = [replica("m1", &[(1, 10), (2, 20)]), off(replica("m2", &[(2, 20), (3, 30)]))];
    assert_eq!(chosen(&replicas, None, Some("s1")), "m1 1");
    assert_eq!(chosen(&replicas, None, Some("s3")), "Offline");
    assert_eq!(chosen(&replicas, None, Some("s9")), "NoSuchDataset");
    let mut renamed = replica("m2", &[(1, 10), (2, 20)]);
    renamed.snapshots[0].label = "s2".parse().unwrap();
    renamed.snapshots.pop();
    assert_eq!(chosen(&[replicas[0].clone(), renamed], None, Some("s2")), "Ambiguous");
}

#[test]
fn a_snapshot_is_taken_only_where_none_is_known() {
    assert_eq!(chosen(&[replica("m1", &[])], None, None), "m1 new");
    assert_eq!(chosen(&[off(replica("m1", &[]))], None, None), "Offline");
    assert_eq!(chosen(&[replica("m1", &[]), off(replica("m2", &[(1, 1)]))], None, None), "Offline");
    assert_eq!(chosen(&[replica("m1", &[]), replica("m2", &[])], None, None), "Ambiguous");
    assert_eq!(chosen(&[replica("m1", &[]), replica("m2", &[])], Some("m2"), None), "m2 new");
    assert_eq!(chosen(&[replica("m1", &[])], None, Some("s1")), "NoSuchDataset");
}

#[test]
fn a_source_at_the_receivers_location_is_preferred() {
    let mut near = replica("m9", &[(1, 10)]);
    near.place.location = "dc2".parse().unwrap();
    let (dataset, location) = ("a".parse().unwrap(), "dc2".parse().unwrap());
    let wish = Wish { dataset: &dataset, from: None, snapshot: None, near: Some(&location) };
    let choice = choose(&[replica("m1", &[(1, 10)]), near.clone()], wish).unwrap();
    assert_eq!(choice.source, near.place);
}
