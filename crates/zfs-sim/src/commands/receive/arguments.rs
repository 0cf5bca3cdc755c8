//! Where a receive goes and which properties it sets: what the command line says, checked.

use anyhow::Result;

use crate::failure::Failure;
use crate::name::{self, Kinds};
use crate::options::Options;
use crate::property::{Native, assignment, check, is_user_property};
use crate::state::Properties;
use crate::stream::Begin;
use crate::usage;

use super::cannot;

/// The dataset and the short name of the snapshot that will be made.
pub(super) struct Destination {
    pub(super) dataset: String,
    pub(super) snapshot: String,
}

impl Destination {
    /// The snapshot is called what the sender calls it, unless the command line says otherwise.
    pub(super) fn read(name: &str, begin: &Begin) -> Result<Self> {
        let sent = begin.toname.split_once('@').map_or("", |(_, snapshot)| snapshot);
        let (dataset, snapshot) = name.split_once('@').unwrap_or((name, sent));
        let whole = format!("{dataset}@{snapshot}");
        if name::complaint(&whole, Kinds::SNAPSHOT).is_some() {
            return Err(Failure::error("cannot receive: invalid name"));
        }
        if whole.contains('%') {
            return Err(Failure::error(format!("{}: invalid backup stream", cannot(begin))));
        }
        Ok(Self { dataset: dataset.to_owned(), snapshot: snapshot.to_owned() })
    }
}

/// `-o` and `-x`.
pub(super) struct Overrides {
    set: Vec<(String, String)>,
    excluded: Vec<String>,
}

impl Overrides {
    pub(super) fn read(options: &Options) -> Result<Self> {
        let mut overrides = Self { set: Vec::new(), excluded: Vec::new() };
        for (option, argument) in options.each() {
            let property = match option {
                'o' => {
                    let (property, value) = assignment(argument).ok_or_else(|| {
                        usage::zfs("receive", "missing '=' for property=value argument")
                    })?;
                    overrides.set.push((property.to_owned(), value.to_owned()));
                    property
                }
                'x' => {
                    overrides.excluded.push(argument.to_owned());
                    argument
                }
                _ => continue,
            };
            let given =
                overrides.set.iter().map(|(property, _)| property).chain(&overrides.excluded);
            if given.filter(|given| *given == property).count() > 1 {
                return Err(usage::zfs(
                    "receive",
                    &format!("property '{property}' specified multiple times"),
                ));
            }
        }
        Ok(overrides)
    }

    /// What to set on the dataset. Tells of exclusions that make no sense there.
    pub(super) fn properties(&self, dataset: &str, begin: &Begin) -> Result<Properties> {
        let scope = if begin.is_volume { 'v' } else { 'f' };
        let cannot = cannot(begin);
        let invalid = |property: &str| {
            Failure::error(format!("cannot receive: cannot receive: invalid property '{property}'"))
        };
        let given = self.set.iter().map(|(property, _)| property).chain(&self.excluded);
        for property in given.filter(|property| !is_user_property(property)) {
            if property == "volsize" || !Native::find(property).is_some_and(Native::is_editable) {
                return Err(invalid(property));
            }
        }
        let mut properties = Properties::new();
        for (property, value) in &self.set {
            if !is_user_property(property)
                && !Native::find(property).is_some_and(|native| native.applies(scope))
            {
                let why = format!("property '{property}' does not apply to datasets of this type");
                return Err(Failure::error(format!("{cannot}: {why}")));
            }
            let value = check(property, value, scope).map_err(|why| {
                Failure::error(format!("{cannot}: {why}\n{cannot}: invalid property value"))
            })?;
            properties.insert(property.clone(), value);
        }
        for property in self.excluded.iter().filter(|property| !is_user_property(property)) {
            if !Native::find(property).is_some_and(|native| native.applies(scope)) {
                eprintln!(
                    "Warning: {dataset}: property '{property}' does not apply to datasets of this type"
                );
            }
        }
        Ok(properties)
    }
}
