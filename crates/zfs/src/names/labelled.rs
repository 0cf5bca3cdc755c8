//! Names of what is of a dataset: its snapshots and bookmarks.

use std::fmt;
use std::str::FromStr;

use super::{DatasetName, NameError, SnapshotLabel, check, check_length};

macro_rules! labelled_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $separator:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            dataset: DatasetName,
            label: SnapshotLabel,
        }

        impl $name {
            /// The two may each be legal and yet be too long together.
            pub(super) fn new(dataset: DatasetName, label: SnapshotLabel) -> Result<Self, NameError> {
                let name = Self { dataset, label };
                let text = name.to_string();
                check($what, &text, check_length(&text))?;
                Ok(name)
            }

            /// The dataset that it is of.
            pub fn dataset(&self) -> &DatasetName {
                &self.dataset
            }

            /// Its own name, the part behind the dataset's.
            pub fn label(&self) -> &SnapshotLabel {
                &self.label
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                match text.split_once($separator) {
                    Some((dataset, label)) => Self::new(dataset.parse()?, label.parse()?),
                    None => Err(NameError {
                        what: $what,
                        text: text.to_owned(),
                        why: format!("there is no '{}' in it", $separator),
                    }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}{}", self.dataset, $separator, self.label)
            }
        }
    };
}

labelled_name!(
    /// A snapshot's full name: `tank/a@monday`.
    SnapshotName,
    "snapshot name",
    '@'
);
labelled_name!(
    /// A bookmark's full name: `tank/a#monday`.
    BookmarkName,
    "bookmark name",
    '#'
);

/// What an increment starts from: a snapshot, or the bookmark that is left of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Base {
    /// It is still there.
    Snapshot(SnapshotName),
    /// It may be gone; its bookmark is enough to send what came after it.
    Bookmark(BookmarkName),
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapshot(name) => name.fmt(f),
            Self::Bookmark(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_and_a_bookmark_are_a_dataset_a_sign_and_a_label() {
        let snapshot: SnapshotName = "tank/a b@two words".parse().unwrap();
        assert_eq!(snapshot.dataset().to_string(), "tank/a b");
        assert_eq!(snapshot.label().as_str(), "two words");
        assert_eq!(snapshot.to_string(), "tank/a b@two words");
        let bookmark: BookmarkName = "tank/a b#two words".parse().unwrap();
        assert_eq!(bookmark, snapshot.dataset().bookmark(snapshot.label().clone()).unwrap());
        assert_eq!(Base::Bookmark(bookmark).to_string(), "tank/a b#two words");
        for text in ["tank/a", "tank/a#b", "tank/a@", "@b", "-rf@b", "tank/a@b@c", "tank/a@b#c"] {
            text.parse::<SnapshotName>().unwrap_err();
        }
        for text in ["tank/a", "tank/a@b", "tank/a#", "#b", "tank/a#b/c"] {
            text.parse::<BookmarkName>().unwrap_err();
        }
    }
}
