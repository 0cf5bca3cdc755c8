//! The names of pools, datasets, snapshots and bookmarks, as types.
//!
//! Parsed once, where they enter the program; a value of these types is always safe to pass to
//! `zfs`: a full name begins with its pool's letter, so it can't be taken for an option.
//! The rules are those of OpenZFS's `zfs_namecheck.c`, but for `%`, which ZFS keeps to itself.

mod labelled;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::escape::{Escaped, shorten};

pub use labelled::{Base, BookmarkName, SnapshotName};

/// A full name, `pool/path@snapshot`, has fewer bytes than this (`ZFS_MAX_DATASET_NAME_LEN`).
pub const MAX_NAME_LEN: usize = 256;
/// A path has fewer components than this (`zfs_max_dataset_nesting`).
pub const MAX_DEPTH: usize = 50;

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a valid {what}: {why}", shorten(.text))]
pub struct NameError {
    what: &'static str,
    text: String,
    why: String,
}

fn check(what: &'static str, text: &str, rule: Result<(), String>) -> Result<(), NameError> {
    rule.map_err(|why| NameError { what, text: text.to_owned(), why })
}

fn check_length(text: &str) -> Result<(), String> {
    if text.len() < MAX_NAME_LEN {
        return Ok(());
    }
    Err(format!("it has {} bytes, ZFS allows {}", text.len(), MAX_NAME_LEN - 1))
}

fn check_characters(text: &str) -> Result<(), String> {
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.: ".contains(*c))) {
        Some(c) => Err(format!("'{}' is not allowed in it", Escaped(&c.to_string()))),
        None => Ok(()),
    }
}

fn check_component(text: &str) -> Result<(), String> {
    match text {
        "" => Err("a part of it is empty".to_owned()),
        "." | ".." => Err(format!("'{text}' is not allowed as a part of it")),
        _ => check_characters(text),
    }
}

fn check_path(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    check_length(text)?;
    let depth = text.split('/').count();
    if depth >= MAX_DEPTH {
        return Err(format!("it is {depth} levels deep, ZFS allows {}", MAX_DEPTH - 1));
    }
    text.split('/').try_for_each(check_component)
}

fn check_pool(text: &str) -> Result<(), String> {
    match text.chars().next() {
        None => return Err("it is empty".to_owned()),
        Some(c) if !c.is_ascii_alphabetic() => return Err("it must begin with a letter".to_owned()),
        Some(_) => check_length(text)?,
    }
    check_characters(text)
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check($what, text, $check(text))?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// A pool's name: `tank-01`.
    PoolName,
    "pool name",
    check_pool
);
name_type!(
    /// A dataset's path below its pool: `a/b` for `tank/a/b`. Never empty.
    DatasetPath,
    "dataset name",
    check_path
);
name_type!(
    /// A snapshot's or bookmark's own name, the part behind the `@` or `#`.
    SnapshotLabel,
    "snapshot name",
    check_label
);

fn check_label(text: &str) -> Result<(), String> {
    check_length(text)?;
    check_component(text)
}

impl DatasetPath {
    /// The path one level up, `None` at the level just below the pool.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }
}

/// A dataset's full name: `tank` (the pool's root) or `tank/a/b`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatasetName {
    pool: PoolName,
    path: Option<DatasetPath>,
}

impl DatasetName {
    /// The root dataset of a pool.
    pub fn root(pool: PoolName) -> Self {
        Self { pool, path: None }
    }

    /// The dataset `path` of `pool`. The two may each be legal and yet be too long together.
    pub fn new(pool: PoolName, path: DatasetPath) -> Result<Self, NameError> {
        let name = Self { pool, path: Some(path) };
        let text = name.to_string();
        check("dataset name", &text, check_path(&text))?;
        Ok(name)
    }

    /// The pool.
    pub fn pool(&self) -> &PoolName {
        &self.pool
    }

    /// The path below the pool, `None` for the pool's root.
    pub fn path(&self) -> Option<&DatasetPath> {
        self.path.as_ref()
    }

    /// The dataset one level up, `None` for a pool's root.
    pub fn parent(&self) -> Option<Self> {
        let path = self.path.as_ref()?;
        Some(Self { pool: self.pool.clone(), path: path.parent() })
    }

    /// The snapshot `label` of this dataset.
    pub fn at(&self, label: SnapshotLabel) -> Result<SnapshotName, NameError> {
        SnapshotName::new(self.clone(), label)
    }

    /// The bookmark `label` of this dataset.
    pub fn bookmark(&self, label: SnapshotLabel) -> Result<BookmarkName, NameError> {
        BookmarkName::new(self.clone(), label)
    }
}

impl FromStr for DatasetName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check("dataset name", text, check_path(text))?;
        let (pool, path) = match text.split_once('/') {
            Some((pool, path)) => (pool, Some(path.parse()?)),
            None => (text, None),
        };
        Ok(Self { pool: pool.parse()?, path })
    }
}

impl TryFrom<String> for DatasetName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<DatasetName> for String {
    fn from(name: DatasetName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}/{path}", self.pool),
            None => write!(f, "{}", self.pool),
        }
    }
}

/// A name that may be passed to `zfs`: it begins with its pool's letter.
pub trait FullName: fmt::Display + sealed::Sealed {}

impl FullName for DatasetName {}
impl FullName for SnapshotName {}
impl FullName for BookmarkName {}
impl FullName for Base {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::DatasetName {}
    impl Sealed for super::SnapshotName {}
    impl Sealed for super::BookmarkName {}
    impl Sealed for super::Base {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_zfs_takes_are_taken() {
        for text in
            ["a", "a/b", "2024-data", ".cache", "-rf", "two words", " lead", "a:b_c.d", "..."]
        {
            assert_eq!(text.parse::<DatasetPath>().unwrap().as_str(), text);
        }
        for text in ["tank", "tank/-rf", "tank/ x/.y", "T-1_2.3:4 5"] {
            assert_eq!(text.parse::<DatasetName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn names_that_zfs_refuses_are_refused_with_a_reason() {
        let long = "x".repeat(300);
        let deep = vec!["d"; MAX_DEPTH].join("/");
        for (text, why) in [
            ("", "it is empty"),
            ("a;b", "';' is not allowed"),
            ("../x", "'..' is not allowed"),
            ("a/./b", "'.' is not allowed"),
            ("a//b", "part of it is empty"),
            ("/a", "part of it is empty"),
            ("a/", "part of it is empty"),
            ("%recv", "'%' is not allowed"),
            ("a@b", "'@' is not allowed"),
            ("a#b", "'#' is not allowed"),
            ("a\\b", "'\\' is not allowed"),
            ("ä", "'ä' is not allowed"),
            ("\x1b[2J", r"'\u{1b}' is not allowed"),
            (&long, "it has 300 bytes, ZFS allows 255"),
            (&deep, "50 levels deep"),
        ] {
            let error = text.parse::<DatasetPath>().unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
            assert!(error.len() < 200 && !error.contains('\x1b'), "{error}");
        }
        for text in ["2tank", "-rf", ".x", "", "a/b", " tank"] {
            text.parse::<PoolName>().unwrap_err();
        }
    }

    #[test]
    fn two_legal_parts_can_be_too_long_together() {
        let path: DatasetPath = "x".repeat(250).parse().unwrap();
        let name = DatasetName::new("tank".parse().unwrap(), path).unwrap();
        assert!(name.at("s".repeat(10).parse().unwrap()).is_err());
        assert!(name.bookmark("s".repeat(10).parse().unwrap()).is_err());
        let pool = "t".repeat(10).parse().unwrap();
        assert!(DatasetName::new(pool, "x".repeat(250).parse().unwrap()).is_err());
    }

    #[test]
    fn parents_end_at_the_pool() {
        let name: DatasetName = "tank/a/b".parse().unwrap();
        let chain: Vec<_> = std::iter::successors(name.parent(), DatasetName::parent)
            .map(|d| d.to_string())
            .collect();
        assert_eq!(chain, ["tank/a", "tank"]);
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_itself_and_cannot_be_an_option(text in "\\PC{0,40}|[a-z]{1,3}(/[-a-z. ]{1,5}){0,4}") {
            if let Ok(name) = text.parse::<DatasetName>() {
                prop_assert_eq!(name.to_string(), text.clone());
                prop_assert!(text.starts_with(|c: char| c.is_ascii_alphabetic()));
            }
        }
    }
}
