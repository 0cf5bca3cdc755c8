//! Who can serve a snapshot, best first. Knows nothing of what the destination has.

use schema::{Location, Place, Replica};
use zfs::{DatasetPath, Guid};

/// The online replicas that hold the snapshot `goal`, best first: at the receiver's own location,
/// then the least busy, then by place and name.
///
/// `from` leaves only what is at that place; `except` leaves out the dataset of that own GUID.
pub fn sources<'a>(
    replicas: &'a [Replica],
    goal: Guid,
    from: Option<&Place>,
    near: Option<&Location>,
    except: Option<Guid>,
) -> Vec<&'a Replica> {
    let mut sources = holders(replicas, goal, from, except);
    sources.retain(|replica| replica.online);
    sources.sort_by_key(|replica| {
        (Some(&replica.place.location) != near, replica.sending, &replica.place, &replica.name)
    });
    sources
}

/// Has one come first where this transfer's turn has come: elsewhere it would be waited for anew.
pub fn with_turn_first(sources: &mut [&Replica], (place, name): (&Place, &DatasetPath)) {
    sources.sort_by_key(|replica| (&replica.place, &replica.name) != (place, name));
}

/// Those that hold it and are offline, by place and name.
pub fn away<'a>(
    replicas: &'a [Replica],
    goal: Guid,
    from: Option<&Place>,
    except: Option<Guid>,
) -> Vec<&'a Replica> {
    let mut away = holders(replicas, goal, from, except);
    away.retain(|replica| !replica.online);
    away.sort_by_key(|replica| (&replica.place, &replica.name));
    away
}

fn holders<'a>(
    replicas: &'a [Replica],
    goal: Guid,
    from: Option<&Place>,
    except: Option<Guid>,
) -> Vec<&'a Replica> {
    let holds = |replica: &&Replica| {
        replica.snapshots.iter().any(|snapshot| snapshot.guid == goal)
            && from.is_none_or(|from| replica.place == *from)
            && Some(replica.properties.guid) != except
    };
    replicas.iter().filter(holds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::examples::replica;

    fn at(location: &str, machine: &str, sending: u32) -> Replica {
        let mut replica = replica(machine, &[(1, 10)]);
        replica.place.location = location.parse().unwrap();
        replica.sending = sending;
        replica
    }

    fn machines(replicas: Vec<&Replica>) -> Vec<&str> {
        replicas.into_iter().map(|replica| replica.place.machine.as_str()).collect()
    }

    #[test]
    fn the_nearest_comes_first_then_the_least_busy() {
        let replicas =
            [at("far", "a", 0), at("near", "b", 3), at("near", "d", 1), at("far", "c", 0)];
        let near = "near".parse().unwrap();
        assert_eq!(
            machines(sources(&replicas, Guid(1), None, Some(&near), None)),
            ["d", "b", "a", "c"]
        );
        assert_eq!(machines(sources(&replicas, Guid(1), None, None, None)), ["a", "c", "d", "b"]);
    }

    #[test]
    fn a_turn_that_has_come_outweighs_all_and_changes_nothing_else() {
        let replicas = [at("near", "a", 0), at("near", "b", 1), at("far", "c", 9)];
        let near = "near".parse().unwrap();
        let mut found = sources(&replicas, Guid(1), None, Some(&near), None);
        with_turn_first(&mut found, (&replicas[2].place, &replicas[2].name));
        assert_eq!(machines(found), ["c", "a", "b"]);
    }

    #[test]
    fn only_who_holds_the_snapshot_and_is_online_serves_it() {
        let mut off = at("far", "off", 0);
        off.online = false;
        let mut destination = at("far", "destination", 0);
        destination.properties.guid = Guid(77);
        let replicas =
            [off, replica("lacks-it", &[(2, 20)]), at("far", "holds-it", 0), destination];
        let except = Some(Guid(77));
        assert_eq!(machines(sources(&replicas, Guid(1), None, None, except)), ["holds-it"]);
        assert_eq!(machines(away(&replicas, Guid(1), None, except)), ["off"]);
        let from = &replicas[1].place;
        assert!(sources(&replicas, Guid(1), Some(from), None, None).is_empty());
        assert!(away(&replicas, Guid(1), Some(from), None).is_empty());
    }
}
