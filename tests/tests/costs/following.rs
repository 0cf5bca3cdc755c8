//! What it costs an agent to follow a change.

use serde_json::Value;
use tests::{Fleet, Tree, until};

use crate::scene::{noted, settle, take_notes};

#[test]
fn a_change_costs_two_listings_of_its_dataset_alone() {
    let fleet = Fleet::start();
    let mut machine = fleet.machine("machine", &["tank"]);
    // What happened before it starts would be listed again, so it is cleared; and only then noted, so
    // that nothing that happens later is.
    take_notes(&mut machine, r#""$ZPOOL" events -c >&2; note "$@""#);
    for name in ["tank/data", "tank/other"] {
        machine.create(name, Tree { seed: 1, bytes: 1 << 10 }, "one");
    }
    machine.start_agent("datacenter-01", &[]);
    let has = |count: u64| {
        let shown = fleet.show(&["data", "--json"]).stdout;
        let shown: Value = serde_json::from_str(&shown).ok()?;
        (shown[0]["replicas"][0]["snapshots"] == count).then_some(())
    };
    until("the first listing", || has(1));
    settle(&machine);
    let before = noted(&machine).len();
    machine.zfs(&["snapshot", "tank/data@two"]);
    until("the second snapshot", || has(2));
    let lists = noted(&machine).split_off(before);
    let [datasets, snapshots] = lists.as_slice() else { panic!("{lists:#?}") };
    for (list, what) in [(datasets, "-t filesystem,volume "), (snapshots, "-t snapshot,bookmark ")]
    {
        assert!(list.starts_with("zfs list ") && list.contains(what), "{list}");
        assert!(list.ends_with(" tank/data") && !list.contains(" -r "), "{list}");
    }
}
