//! A property's value and where it comes from: worked out, set here, inherited, or the default.

pub(crate) mod catalogue;
mod computed;
mod edit;
mod text;

use std::cell::OnceCell;

use anyhow::Result;

pub(crate) use catalogue::Native;
pub(crate) use edit::{assignment, check, is_user_property, parse_size};
pub(crate) use text::{date, human};

use crate::name;
use crate::sizes::Sizes;
use crate::state::{Dataset, Node, Pool};

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// It can't be set: `-`.
    Fixed,
    Default,
    Local,
    Inherited(String),
}

impl Source {
    /// As `zfs get` prints it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Fixed => "-".to_owned(),
            Self::Default => "default".to_owned(),
            Self::Local => "local".to_owned(),
            Self::Inherited(from) => format!("inherited from {from}"),
        }
    }

    /// As `zfs get -s` selects it.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Fixed => "none",
            Self::Default => "default",
            Self::Local => "local",
            Self::Inherited(_) => "inherited",
        }
    }
}

/// A pool, as one looks at its properties.
pub(crate) struct View<'a> {
    pub(crate) pool: &'a Pool,
    sizes: OnceCell<Sizes>,
}

impl<'a> View<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool, sizes: OnceCell::new() }
    }

    /// The exact value of a property (as with `-p`) and its source; none where it has none.
    pub(crate) fn value(
        &self,
        on: &str,
        node: &Node,
        property: &str,
    ) -> Result<Option<(String, Source)>> {
        if is_user_property(property) {
            return Ok(self.set_or_inherited(on, node, property, true));
        }
        let Some(native) = Native::find(property).filter(|native| native.applies(scope(node)))
        else {
            return Ok(None);
        };
        match native.name {
            "mountpoint" => Ok(Some(self.mountpoint(on, node))),
            "volsize" => Ok(node.volsize().map(|size| (size.to_string(), Source::Local))),
            _ => match native.default {
                None => Ok(self.computed(on, node, native)?.map(|value| (value, Source::Fixed))),
                Some(default) => Ok(Some(
                    self.set_or_inherited(on, node, native.name, native.is_inherited())
                        .unwrap_or_else(|| (default.to_owned(), Source::Default)),
                )),
            },
        }
    }

    /// The user properties that something has, its own and inherited ones, sorted.
    pub(crate) fn user_properties(&self, on: &str, node: &Node) -> Vec<String> {
        let Some(own) = node.properties() else { return Vec::new() };
        let mut names: Vec<_> = own.keys().filter(|name| is_user_property(name)).cloned().collect();
        for ancestor in ancestors(on) {
            let inherited = self
                .pool
                .dataset(ancestor)
                .into_iter()
                .flat_map(|dataset| dataset.properties.keys());
            names.extend(inherited.filter(|name| is_user_property(name)).cloned());
        }
        names.sort();
        names.dedup();
        names
    }

    fn set_or_inherited(
        &self,
        on: &str,
        node: &Node,
        property: &str,
        inherited: bool,
    ) -> Option<(String, Source)> {
        if let Some(value) = node.properties()?.get(property) {
            return Some((value.clone(), Source::Local));
        }
        ancestors(on).filter(|_| inherited).find_map(|ancestor| {
            let value = self.pool.dataset(ancestor)?.properties.get(property)?;
            Some((value.clone(), Source::Inherited(ancestor.to_owned())))
        })
    }

    fn mountpoint(&self, on: &str, node: &Node) -> (String, Source) {
        match self.set_or_inherited(on, node, "mountpoint", true) {
            Some((path, Source::Inherited(from))) if path.starts_with('/') => (
                format!("{}{}", path.trim_end_matches('/'), &on[from.len()..]),
                Source::Inherited(from),
            ),
            Some(set) => set,
            None => (format!("/{on}"), Source::Default),
        }
    }

    /// Whether a filesystem is mounted when nothing stands against it.
    pub(crate) fn mounts_by_itself(&self, on: &str, dataset: &Dataset) -> Result<bool> {
        let node = Node::Dataset(dataset.clone());
        let value = |property| {
            Ok::<_, anyhow::Error>(self.value(on, &node, property)?.map(|(value, _)| value))
        };
        Ok(value("canmount")?.as_deref() == Some("on")
            && value("mountpoint")?.is_some_and(|path| path.starts_with('/'))
            && !dataset.is_inconsistent())
    }

    pub(super) fn sizes(&self) -> Result<&Sizes> {
        if let Some(sizes) = self.sizes.get() {
            return Ok(sizes);
        }
        let sizes = Sizes::of(self.pool)?;
        Ok(self.sizes.get_or_init(|| sizes))
    }
}

/// The kind of thing, in the catalogue's letters.
pub(crate) fn scope(node: &Node) -> char {
    match node {
        Node::Dataset(Dataset { volsize: None, .. }) => 'f',
        Node::Dataset(_) => 'v',
        Node::Snapshot(snapshot) if snapshot.volsize.is_none() => 's',
        Node::Snapshot(_) => 'w',
        Node::Bookmark(_) => 'b',
    }
}

/// What a name inherits from, nearest first: a snapshot's dataset, then the datasets above.
fn ancestors(on: &str) -> impl Iterator<Item = &str> {
    let dataset = name::dataset(on);
    let first = if dataset == on { name::parent(on) } else { Some(dataset) };
    std::iter::successors(first, |dataset| name::parent(dataset))
}
