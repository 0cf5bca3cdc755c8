//! All properties and holds of all that a machine's pools hold, to show that nothing else has
//! changed.

use std::collections::{BTreeMap, BTreeSet};

/// Those that follow from what others do in the same pool, or from reading.
const VOLATILE: [&str; 13] = [
    "available",
    "compressratio",
    "logicalreferenced",
    "logicalused",
    "refcompressratio",
    "referenced",
    "snapshots_changed",
    "used",
    "usedbychildren",
    "usedbydataset",
    "usedbyrefreservation",
    "usedbysnapshots",
    "written",
];

/// By dataset, snapshot or bookmark: property to value and source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, BTreeMap<String, String>>);

impl Properties {
    /// Takes in what `zfs get -Hp -o name,property,value,source all` printed.
    pub(crate) fn add(&mut self, printed: &str) {
        for line in printed.lines() {
            let Some((name, rest)) = line.split_once('\t') else { panic!("no property: {line}") };
            let Some((property, value)) = rest.split_once('\t') else { panic!("{line}") };
            if !VOLATILE.contains(&property) {
                let of = self.0.entry(name.to_owned()).or_default();
                of.insert(property.to_owned(), value.to_owned());
            }
        }
    }

    /// Takes in what `zfs holds -H` printed, as a property that is no property: snapshot to tags.
    pub(crate) fn add_holds(&mut self, printed: &str) {
        for line in printed.lines() {
            let mut fields = line.split('\t');
            let (Some(name), Some(tag)) = (fields.next(), fields.next()) else { panic!("{line}") };
            let tags =
                self.0.entry(name.to_owned()).or_default().entry("holds".into()).or_default();
            tags.push_str(&format!("{tag}\n"));
        }
    }

    /// The snapshots that are held.
    pub fn held(&self) -> Vec<&str> {
        let is_held = |name: &&str| self.value(name, "userrefs").is_some_and(|refs| refs != "0");
        self.names().into_iter().filter(is_held).collect()
    }

    /// A property's value.
    pub fn value(&self, name: &str, property: &str) -> Option<&str> {
        let (value, _source) = self.0.get(name)?.get(property)?.split_once('\t')?;
        Some(value)
    }

    /// The datasets, snapshots and bookmarks there are.
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// The name and property of all that isn't as it was `before`, of what is there at both times.
    pub fn changed_since<'a>(&'a self, before: &'a Self) -> Vec<(&'a str, &'a str)> {
        let mut changed = Vec::new();
        for (name, properties) in &self.0 {
            let Some(old) = before.0.get(name) else { continue };
            let keys: BTreeSet<&String> = properties.keys().chain(old.keys()).collect();
            let differs = |key: &&String| properties.get(*key) != old.get(*key);
            changed.extend(keys.into_iter().filter(differs).map(|key| (&name[..], &key[..])));
        }
        changed
    }

    /// Exactly these are there that weren't `before`; all else is as it was, to the last property.
    #[track_caller]
    pub fn assert_only_new(&self, before: &Self, new: &[&str]) {
        let mut rest = self.clone();
        for name in new {
            assert!(!before.0.contains_key(*name), "{name} was there before");
            assert!(rest.0.remove(*name).is_some(), "there is no {name}: {:?}", self.names());
        }
        assert_eq!(rest.names(), before.names(), "other datasets came or went");
        for (name, properties) in &rest.0 {
            let changed: Vec<_> = properties
                .iter()
                .filter(|(key, value)| before.0[name].get(*key) != Some(value))
                .collect();
            let lost: Vec<_> =
                before.0[name].keys().filter(|key| !properties.contains_key(*key)).collect();
            assert!(
                changed.is_empty() && lost.is_empty(),
                "{name} has changed: {changed:?}; lost {lost:?}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(printed: &str) -> Properties {
        let mut properties = Properties::default();
        properties.add(printed);
        properties
    }

    const BEFORE: &str = "tank\tused\t1\t-\ntank\tcanmount\ton\tdefault\n";

    #[test]
    fn what_follows_from_what_is_new_is_no_change() {
        let after =
            properties("tank\tused\t9\t-\ntank\tcanmount\ton\tdefault\ntank/a\ttype\tx\t-\n");
        after.assert_only_new(&properties(BEFORE), &["tank/a"]);
    }

    #[test]
    #[should_panic(expected = "tank has changed")]
    fn a_changed_source_is_a_change() {
        let after = properties("tank\tcanmount\ton\tlocal\n");
        after.assert_only_new(&properties(BEFORE), &[]);
    }

    #[test]
    #[should_panic(expected = "tank@s has changed")]
    fn another_hold_is_a_change() {
        let held = |tag: &str| {
            let mut held = properties("tank@s\tuserrefs\t1\t-\ntank@t\tuserrefs\t0\t-\n");
            assert_eq!(held.held(), ["tank@s"]);
            held.add_holds(&format!("tank@s\t{tag}\tFri Jan  1 00:00 2027\n"));
            held
        };
        held("mine").assert_only_new(&held("mine"), &[]);
        held("another").assert_only_new(&held("mine"), &[]);
    }

    #[test]
    #[should_panic(expected = "other datasets came or went")]
    fn more_than_was_to_come_is_a_change() {
        let after = properties(&format!("{BEFORE}tank/a\ttype\tx\t-\n"));
        after.assert_only_new(&properties(BEFORE), &[]);
    }
}
