use super::*;
use crate::plan::examples::replica;

fn off(replica: Replica) -> Replica {
    Replica { online: false, ..replica }
}

fn called(name: &str, replica: Replica) -> Replica {
    Replica { name: name.parse().unwrap(), ..replica }
}

/// The destination itself, in wishes that `except` it.
fn destination(mut replica: Replica) -> Replica {
    replica.properties.guid = Guid(77);
    replica
}

/// The GUID, "new at MACHINE" or the failure's code.
fn chosen(replicas: &[Replica], from: Option<&str>, snapshot: Option<&str>) -> String {
    let from = from.map(|machine| format!(r"dc\{machine}\tank").parse().unwrap());
    let snapshot = snapshot.map(|label| label.parse().unwrap());
    let dataset = "a".parse().unwrap();
    let wish = Wish {
        dataset: &dataset,
        from: from.as_ref(),
        snapshot: snapshot.as_ref(),
        except: Some(Guid(77)),
    };
    match choose(replicas, wish) {
        Ok(Chosen { goal, warnings }) => {
            let goal = match goal {
                Goal::Existing(snapshot) => snapshot.guid.to_string(),
                Goal::New { at } => format!("new at {}", at.machine),
            };
            format!("{goal}{}", if warnings.is_empty() { "" } else { " warned" })
        }
        Err(failure) => format!("{:?}", failure.code),
    }
}

#[test]
fn the_newest_snapshot_that_is_online_is_chosen() {
    let old = || replica("m1", &[(1, 10)]);
    let new = || replica("m2", &[(1, 10), (2, 20)]);
    let also_new = || replica("m3", &[(1, 10), (2, 20)]);
    for (replicas, expected) in [
        (vec![old(), new(), also_new()], "2"),
        (vec![old(), off(new()), also_new()], "2"),
        (vec![old(), off(new()), off(also_new())], "1 warned"),
        (vec![off(old()), off(new())], "Offline"),
        (vec![], "NoSuchDataset"),
    ] {
        assert_eq!(chosen(&replicas, None, None), expected, "{replicas:?}");
    }
}

#[test]
fn a_relative_serves_a_snapshot_but_has_no_say_in_which() {
    let mine = || replica("m1", &[(1, 10), (2, 20)]);
    let clone = || called("b", replica("m2", &[(1, 10), (9, 90)]));
    let backup = || called("backup/a", replica("m3", &[(1, 10), (2, 20)]));
    for (replicas, from, snapshot, expected) in [
        (vec![mine(), clone()], None, None, "2"),
        (vec![off(mine()), clone()], None, None, "1 warned"),
        (vec![off(mine()), backup(), clone()], None, None, "2"),
        (vec![off(mine()), off(backup())], None, None, "Offline"),
        (vec![off(mine()), backup()], None, Some("s2"), "2"),
        (vec![off(mine()), clone()], None, Some("s2"), "Offline"),
        (vec![mine(), clone()], None, Some("s9"), "NoSuchDataset"),
        (vec![mine(), clone()], Some("m2"), None, "1"),
        (vec![mine(), clone()], Some("m2"), Some("s2"), "NoSuchDataset"),
        (vec![mine(), clone()], Some("m2"), Some("s1"), "1"),
        (vec![clone()], None, None, "NoSuchDataset"),
    ] {
        assert_eq!(
            chosen(&replicas, from, snapshot),
            expected,
            "{from:?} {snapshot:?} {replicas:?}"
        );
    }
}

#[test]
fn a_snapshot_bears_its_label_under_the_wished_name() {
    let mut relative = called("b", replica("m1", &[(1, 10)]));
    relative.snapshots[0].label = "renamed".parse().unwrap();
    let dataset = "a".parse().unwrap();
    let wish = Wish { dataset: &dataset, from: None, snapshot: None, except: None };
    let goal = choose(&[relative, off(replica("m2", &[(1, 10)]))], wish).unwrap().goal;
    let Goal::Existing(snapshot) = goal else { panic!("{goal:?}") };
    assert_eq!(snapshot.label.as_str(), "s1");
}

#[test]
fn of_several_labels_the_one_at_an_online_replica_is_told() {
    let mut renamed = replica("m2", &[(1, 10)]);
    renamed.snapshots[0].label = "renamed".parse().unwrap();
    let dataset = "a".parse().unwrap();
    let wish = Wish { dataset: &dataset, from: None, snapshot: None, except: None };
    for replicas in [
        [off(replica("m1", &[(1, 10)])), renamed.clone()],
        [renamed.clone(), replica("m3", &[(1, 10)])],
    ] {
        let goal = choose(&replicas, wish).unwrap().goal;
        assert_eq!(goal, Goal::Existing(renamed.snapshots[0].clone()));
    }
}

#[test]
fn the_destination_itself_neither_chooses_nor_serves() {
    let here = || destination(replica("here", &[(1, 10), (2, 20)]));
    let there = || replica("there", &[(1, 10)]);
    for (replicas, from, expected) in [
        (vec![here(), there()], None, "1"),
        (vec![here(), off(there())], None, "Offline"),
        (vec![here(), off(replica("there", &[(1, 10), (2, 20)]))], None, "Offline"),
        (vec![here()], None, "NoSuchDataset"),
        (vec![here(), there()], Some("here"), "NoSuchPlace"),
        (vec![destination(replica("here", &[(7, 70)])), there()], None, "1"),
        (
            vec![destination(replica("here", &[(7, 70)])), replica("there", &[])],
            None,
            "new at there",
        ),
        // Only through the destination is it known that the two hold the same data.
        (vec![here(), there(), replica("elsewhere", &[(2, 20)])], None, "2"),
    ] {
        assert_eq!(chosen(&replicas, from, None), expected, "{from:?} {replicas:?}");
    }
}

#[test]
fn createtxg_orders_within_a_pool_whatever_the_clock_said() {
    // The clock was set back between the two.
    assert_eq!(chosen(&[replica("m1", &[(1, 20), (2, 10)])], None, None), "2");
}

#[test]
fn createtxg_says_nothing_across_pools() {
    // Taken within a second; the copy of the first came into a pool that is far on.
    let mut copy = replica("m2", &[(1, 10)]);
    copy.snapshots[0].createtxg = 1000;
    let source = || replica("m1", &[(1, 10), (2, 10)]);
    assert_eq!(chosen(&[source(), copy.clone()], None, None), "2");
    assert_eq!(chosen(&[copy, source()], None, None), "2");
}

#[test]
fn the_same_name_is_not_the_same_data() {
    let ours = || replica("m1", &[(1, 10)]);
    let theirs = || replica("m2", &[(7, 70)]);
    assert_eq!(chosen(&[ours(), theirs()], None, None), "Ambiguous");
    assert_eq!(chosen(&[ours(), off(theirs())], None, None), "Ambiguous");
    assert_eq!(chosen(&[ours(), theirs()], Some("m1"), None), "1");
    // One without snapshots can't be told from any other; it is only left aside.
    assert_eq!(chosen(&[ours(), replica("m2", &[])], None, None), "1");
}

#[test]
fn from_pins_the_source() {
    let replicas =
        [replica("m1", &[(1, 10)]), replica("m2", &[(1, 10), (2, 20)]), replica("m3", &[])];
    assert_eq!(chosen(&replicas, Some("m1"), None), "1");
    assert_eq!(chosen(&replicas, Some("m3"), None), "Refused");
    assert_eq!(chosen(&replicas, Some("m9"), None), "NoSuchPlace");
    assert_eq!(chosen(&[off(replica("m1", &[(1, 1)]))], Some("m1"), None), "Offline");
    // Of several there, the one of the wished name.
    let other = called("Other", replica("m2", &[(1, 10)]));
    assert_eq!(chosen(&[other, replicas[1].clone()], Some("m2"), None), "2");
}

#[test]
fn a_snapshot_may_be_named() {
    let replicas = [replica("m1", &[(1, 10), (2, 20)]), off(replica("m2", &[(2, 20), (3, 30)]))];
    assert_eq!(chosen(&replicas, None, Some("s1")), "1");
    assert_eq!(chosen(&replicas, None, Some("s3")), "Offline");
    assert_eq!(chosen(&replicas, None, Some("s9")), "NoSuchDataset");
    let mut renamed = replica("m2", &[(1, 10), (2, 20)]);
    renamed.snapshots[0].label = "s2".parse().unwrap();
    renamed.snapshots.pop();
    assert_eq!(chosen(&[replicas[0].clone(), renamed], None, Some("s2")), "Ambiguous");
}

#[test]
fn a_snapshot_is_taken_only_where_none_is_known() {
    assert_eq!(chosen(&[replica("m1", &[])], None, None), "new at m1");
    assert_eq!(chosen(&[off(replica("m1", &[]))], None, None), "Offline");
    assert_eq!(chosen(&[replica("m1", &[]), off(replica("m2", &[(1, 1)]))], None, None), "Offline");
    assert_eq!(chosen(&[replica("m1", &[]), replica("m2", &[])], None, None), "Ambiguous");
    assert_eq!(chosen(&[replica("m1", &[]), replica("m2", &[])], Some("m2"), None), "new at m2");
    assert_eq!(chosen(&[replica("m1", &[])], None, Some("s1")), "NoSuchDataset");
    let mut bookmarked = replica("m1", &[]);
    bookmarked.bookmarks = replica("m1", &[(1, 1)]).snapshots;
    assert_eq!(chosen(&[bookmarked], None, None), "NoSuchDataset");
}
