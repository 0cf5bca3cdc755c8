//! What must hold after every transfer, however it ended.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::{Properties, until};

use crate::model::{self, Replica};
use crate::world::World;

/// What a transfer may have changed.
pub(crate) struct Allowed<'a> {
    pub(crate) node: usize,
    /// The targets' names.
    pub(crate) targets: Vec<String>,
    pub(crate) before: &'a [Properties],
}

impl World {
    /// Nobody is at work any more.
    pub(crate) fn check_silence(&self) {
        until("the end of all zfs processes", || {
            self.nodes.iter().all(|node| node.machine.strays().is_empty()).then_some(())
        });
    }

    /// Nothing has come, gone or changed but what the transfer is for.
    #[track_caller]
    pub(crate) fn check_changes(&self, allowed: &Allowed<'_>, after: &[Properties]) {
        for (number, (before, after)) in allowed.before.iter().zip(after).enumerate() {
            let lost: Vec<_> = {
                let there: BTreeSet<_> = after.names().into_iter().collect();
                before.names().into_iter().filter(|name| !there.contains(name)).collect()
            };
            assert!(lost.is_empty(), "lost on machine {number}: {lost:?}");
            let old: BTreeSet<_> = before.names().into_iter().collect();
            for name in after.names().into_iter().filter(|name| !old.contains(name)) {
                let is_bookmark = name.contains("#zatlas-");
                let is_targets = number == allowed.node && allowed.may_make(name);
                assert!(is_bookmark || is_targets, "new on machine {number}: {name}");
            }
            for (name, property) in after.changed_since(before) {
                // What is set on a dataset holds for its snapshots, too.
                let dataset = name.split('@').next().unwrap_or_default();
                let is_target = allowed.targets.iter().any(|target| target == dataset);
                let is_mark = property.starts_with("zatlas:") || property == "receive_resume_token";
                // Holds are judged for themselves.
                let is_hold = ["userrefs", "holds"].contains(&property);
                assert!(
                    is_hold || is_target && is_mark,
                    "on machine {number} {property} of {name} has changed from {:?} to {:?}",
                    before.value(name, property),
                    after.value(name, property)
                );
            }
        }
    }

    /// What has come as a whole is marked as ours, mounted by nobody's doing but its user's, and
    /// read-only if it is a copy or below one.
    #[track_caller]
    pub(crate) fn check_settings(&self, allowed: &Allowed<'_>, after: &Properties, copied: bool) {
        let before = &allowed.before[allowed.node];
        let is_new = |target: &&String| before.value(target, "guid").is_none();
        for target in allowed.targets.iter().filter(is_new) {
            assert_eq!(after.value(target, "canmount"), Some("noauto"), "{target}");
            let (parent, _) = target.rsplit_once('/').expect("below a pool");
            let inherits = after.value(parent, "readonly") == Some("on");
            let readonly = if copied || inherits { "on" } else { "off" };
            assert_eq!(after.value(target, "readonly"), Some(readonly), "{target}");
            assert!(after.value(target, "zatlas:transfer").is_some(), "{target}");
        }
    }

    /// Every snapshot that has arrived holds what it held where it was taken.
    #[track_caller]
    pub(crate) fn check_contents(&self, allowed: &Allowed<'_>, after: &[Properties]) {
        let (node, before) = (&self.nodes[allowed.node], &allowed.before[allowed.node]);
        let after = &after[allowed.node];
        for name in after.names() {
            let is_new = before.value(name, "guid").is_none();
            if is_new && name.contains('@') && !is_partial(after, name) {
                let guid = after.value(name, "guid").unwrap().parse::<u64>().unwrap();
                let truth = self.truth.get(&guid);
                let truth = truth.unwrap_or_else(|| panic!("nobody ever took {name}, {guid}"));
                assert!(node.machine.contents(name) == *truth, "{name} holds something else");
            }
        }
    }

    /// Nothing is held any more; who was away when it was to let go hears of that only now.
    pub(crate) fn check_nothing_held(&self) {
        until("nothing held", || self.held().is_empty().then_some(()));
    }

    /// Nothing is held for these any more. Who was away when the transfer was done hears of that only
    /// now.
    pub(crate) fn check_released(&self, targets: &[String]) {
        until(&format!("nothing held for {targets:?}"), || {
            let listed = self.listed_holds();
            let is_for = |hold: &Value| {
                let destination = hold["destination"].as_str().unwrap();
                targets.iter().any(|target| destination.ends_with(target))
            };
            (!listed.iter().any(is_for)).then_some(())
        });
    }

    fn listed_holds(&self) -> Vec<Value> {
        let ran = self.nodes[0].machine.cli(&["holds", "--json"]).ok();
        serde_json::from_str(&ran.stdout).expect("a list")
    }

    /// Nothing of ours is held but what `cli holds` lists.
    #[track_caller]
    pub(crate) fn check_holds(&self) {
        let listed = self.listed_holds();
        let listed: BTreeSet<(&str, &str)> = listed
            .iter()
            .map(|hold| (hold["snapshot"].as_str().unwrap(), hold["tag"].as_str().unwrap()))
            .collect();
        // After that, since more may be let go of meanwhile.
        let held = self.held();
        if !held.is_empty() {
            eprintln!("  held: {held:?}");
        }
        for (snapshot, tag) in &held {
            assert!(
                listed.contains(&(snapshot.as_str(), tag.as_str())),
                "{tag} on {snapshot} is held, and `cli holds` lists only {listed:?}"
            );
        }
    }

    /// All holds: snapshot and tag.
    fn held(&self) -> Vec<(String, String)> {
        let mut held = Vec::new();
        for node in &self.nodes {
            let snapshots =
                node.machine.zfs(&["list", "-Hr", "-t", "snapshot", "-o", "name", &node.pool]);
            let snapshots: Vec<&str> = snapshots.lines().collect();
            if snapshots.is_empty() {
                continue;
            }
            let holds = node.machine.zfs(&[&["holds", "-H"], &snapshots[..]].concat());
            held.extend(holds.lines().map(|line| {
                let mut fields = line.split('\t').map(str::to_owned);
                (fields.next().unwrap(), fields.next().unwrap())
            }));
        }
        held
    }

    /// All datasets there are.
    pub(crate) fn replicas(&self, all: &[Properties]) -> Vec<Replica> {
        model::replicas(&self.nodes, all)
    }
}

impl Allowed<'_> {
    /// A target, its snapshots and its parents.
    fn may_make(&self, name: &str) -> bool {
        self.targets.iter().any(|target| {
            name == target
                || name.strip_prefix(target.as_str()).is_some_and(|rest| rest.starts_with('@'))
                || target.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

/// A snapshot that is still being received.
fn is_partial(properties: &Properties, snapshot: &str) -> bool {
    let (dataset, _) = snapshot.split_once('@').unwrap();
    properties.value(dataset, "inconsistent") == Some("1")
}
