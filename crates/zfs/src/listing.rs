//! The output of `zfs list`: one listing of datasets and one of their snapshots and bookmarks.
//!
//! The two listings are two commands, not one transaction. What is made or renamed between them
//! brings snapshots of a dataset that the first listing doesn't have: these are dropped. What is
//! destroyed between them stays, without snapshots. The next scan is right.

use std::collections::HashMap;
use std::str::FromStr;

use crate::dataset::{Dataset, Kind, Properties, Snapshot};
use crate::escape::Escaped;
use crate::names::{DatasetName, NameError};
use crate::output::{UnexpectedLine, fields};

/// The columns of a listing of datasets: `zfs list -Hp -t filesystem,volume -o ...`.
pub const DATASET_COLUMNS: [&str; 10] = [
    "name",
    "type",
    "guid",
    "used",
    "referenced",
    "written",
    "encryptionroot",
    "origin",
    "inconsistent",
    "receive_resume_token",
];

/// The columns of a listing of snapshots: `zfs list -Hp -t snapshot,bookmark -o ...`.
pub const SNAPSHOT_COLUMNS: [&str; 4] = ["name", "guid", "createtxg", "creation"];

/// Datasets as their lines come in: all of the first listing, then all of the second.
#[derive(Debug, Default)]
pub struct Listing {
    datasets: Vec<Dataset>,
    index: HashMap<String, usize>,
}

impl Listing {
    /// Takes a line of the listing of datasets (columns: [`DATASET_COLUMNS`]).
    pub fn dataset_line(&mut self, line: &str) -> Result<(), UnexpectedLine> {
        let [
            name,
            kind,
            guid,
            used,
            referenced,
            written,
            encryption_root,
            origin,
            inconsistent,
            token,
        ] = fields(line, &DATASET_COLUMNS)?;
        if is_internal(name) {
            return Ok(());
        }
        let kind = match kind {
            "filesystem" => Kind::Filesystem,
            "volume" => Kind::Volume,
            _ => return Err(UnexpectedLine::new(line, "the type 'filesystem' or 'volume'")),
        };
        let properties = Properties {
            kind,
            guid: number(line, "guid", guid)?,
            used: number(line, "used", used)?,
            referenced: number(line, "referenced", referenced)?,
            written: number(line, "written", written)?,
            encrypted: optional(encryption_root).is_some(),
            origin: optional(origin),
            inconsistent: number::<u64>(line, "inconsistent", inconsistent)? != 0,
            resume_token: optional(token),
        };
        self.index.insert(name.to_owned(), self.datasets.len());
        self.datasets.push(Dataset {
            name: self::name(line, name)?,
            properties,
            snapshots: Vec::new(),
            bookmarks: Vec::new(),
        });
        Ok(())
    }

    /// Takes a line of the listing of snapshots (columns: [`SNAPSHOT_COLUMNS`]).
    pub fn snapshot_line(&mut self, line: &str) -> Result<(), UnexpectedLine> {
        let [full_name, guid, createtxg, creation] = fields(line, &SNAPSHOT_COLUMNS)?;
        if is_internal(full_name) {
            return Ok(());
        }
        let Some(at) = full_name.find(['@', '#']) else {
            return Err(UnexpectedLine::new(line, "a name with '@' or '#'"));
        };
        let (dataset, label) = (&full_name[..at], &full_name[at + 1..]);
        let snapshot = Snapshot {
            label: self::name(line, label)?,
            guid: number(line, "guid", guid)?,
            createtxg: number(line, "createtxg", createtxg)?,
            creation: number(line, "creation", creation)?,
        };
        if let Some(&position) = self.index.get(dataset) {
            let owner = &mut self.datasets[position];
            let is_snapshot = full_name[at..].starts_with('@');
            if is_snapshot { &mut owner.snapshots } else { &mut owner.bookmarks }.push(snapshot);
        } else {
            self::name::<DatasetName>(line, dataset)?;
        }
        Ok(())
    }

    /// The datasets in the order of their listing, the pool's root among them if it was listed.
    pub fn finish(mut self) -> Vec<Dataset> {
        for dataset in &mut self.datasets {
            dataset.snapshots.sort_by_key(|snapshot| snapshot.createtxg);
            dataset.bookmarks.sort_by_key(|bookmark| bookmark.createtxg);
        }
        self.datasets
    }
}

/// Parses two whole listings.
pub fn parse(datasets: &str, snapshots: &str) -> Result<Vec<Dataset>, UnexpectedLine> {
    let mut listing = Listing::default();
    datasets.lines().try_for_each(|line| listing.dataset_line(line))?;
    snapshots.lines().try_for_each(|line| listing.snapshot_line(line))?;
    Ok(listing.finish())
}

/// Whether ZFS keeps the dataset to itself: `tank/a/%recv`, an increment on its way.
pub(crate) fn is_internal(name: &str) -> bool {
    name.contains('%')
}

fn optional(field: &str) -> Option<String> {
    (field != "-").then(|| field.to_owned())
}

fn number<T: FromStr>(line: &str, column: &str, field: &str) -> Result<T, UnexpectedLine> {
    field.parse().map_err(|_| {
        UnexpectedLine::new(line, format!("a number as {column}, not '{}'", Escaped(field)))
    })
}

fn name<T: FromStr<Err = NameError>>(line: &str, text: &str) -> Result<T, UnexpectedLine> {
    text.parse().map_err(|error: NameError| UnexpectedLine::new(line, format!("a name ({error})")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Guid;

    // What OpenZFS 2.3.2 printed.
    const DATASETS: &str = include_str!("../tests/fixtures/datasets.tsv");
    const SNAPSHOTS: &str = include_str!("../tests/fixtures/snapshots.tsv");
    const PARTIAL: &str = include_str!("../tests/fixtures/partial.tsv");

    fn find<'a>(datasets: &'a [Dataset], name: &str) -> &'a Dataset {
        datasets.iter().find(|dataset| dataset.name.to_string() == name).unwrap()
    }

    fn labels(snapshots: &[Snapshot]) -> Vec<&str> {
        snapshots.iter().map(|snapshot| snapshot.label.as_str()).collect()
    }

    #[test]
    fn a_real_pool_is_listed_in_the_order_of_zfs_root_first() {
        let datasets = parse(DATASETS, SNAPSHOTS).unwrap();
        let names: Vec<_> = datasets.iter().map(|dataset| dataset.name.to_string()).collect();
        assert_eq!(
            names,
            [
                "tank",
                "tank/ lead",
                "tank/-rf",
                "tank/-rf/deep",
                "tank/.cache",
                "tank/2024-data",
                "tank/a clone",
                "tank/enc",
                "tank/enc/child",
                "tank/fs",
                "tank/vol"
            ]
        );
    }

    #[test]
    fn each_property_comes_from_its_column() {
        let datasets = parse(DATASETS, SNAPSHOTS).unwrap();
        assert_eq!(
            find(&datasets, "tank/fs").properties,
            Properties {
                kind: Kind::Filesystem,
                guid: Guid(10731715930228034267),
                used: 10537984,
                referenced: 10522624,
                written: 0,
                encrypted: false,
                origin: None,
                inconsistent: false,
                resume_token: None,
            }
        );
        assert_eq!(find(&datasets, "tank/vol").properties.kind, Kind::Volume);
        assert!(find(&datasets, "tank/enc/child").properties.encrypted);
        let clone = &find(&datasets, "tank/a clone").properties;
        assert_eq!(clone.origin.as_deref(), Some("tank/fs@one"));
    }

    #[test]
    fn an_unfinished_first_receive_is_inconsistent_and_an_unfinished_increment_is_not() {
        let datasets = parse(PARTIAL, "").unwrap();
        for (name, inconsistent, has_token) in
            [("dest", false, false), ("dest/fs", true, true), ("dest/two", false, true)]
        {
            let properties = &find(&datasets, name).properties;
            assert_eq!(properties.inconsistent, inconsistent, "{name}");
            assert_eq!(properties.resume_token.is_some(), has_token, "{name}");
        }
    }

    #[test]
    fn snapshots_and_bookmarks_are_kept_apart_each_in_the_order_of_createtxg() {
        let datasets = parse(DATASETS, SNAPSHOTS).unwrap();
        let fs = find(&datasets, "tank/fs");
        assert_eq!(labels(&fs.snapshots), ["one", "two words", "three"]);
        assert_eq!(labels(&fs.bookmarks), ["mark", "Am"]);
        assert_eq!(
            fs.snapshots[0],
            Snapshot {
                label: "one".parse().unwrap(),
                guid: Guid(7255504215695184223),
                createtxg: 8,
                creation: 1795347033,
            }
        );
        assert_eq!(fs.bookmarks[0].guid, fs.snapshots[0].guid);
        assert_eq!(labels(&find(&datasets, "tank/ lead").snapshots), [" lead"]);
    }

    #[test]
    fn snapshots_of_a_dataset_that_came_after_the_first_listing_are_dropped() {
        let listed = parse(DATASETS, "tank/new@s\t1\t2\t3\n").unwrap();
        assert!(listed.iter().all(|dataset| dataset.snapshots.is_empty()));
    }

    #[test]
    fn what_zfs_keeps_to_itself_is_skipped() {
        let dataset = "tank/a/%recv\tfilesystem\t1\t2\t3\t4\t-\t-\t1\t-\n";
        assert_eq!(parse(dataset, "tank/a/%recv@s\t1\t2\t3\n").unwrap(), []);
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error_that_shows_it() {
        let good = DATASETS.lines().nth(1).unwrap();
        let cut = &good[..good.len() - 2];
        for (line, expected) in [
            ("\n", "10 fields"),
            (cut, "10 fields between tabs: name, type, guid"),
            (&format!("{good}\tmore"), "10 fields"),
            (&good.replace("filesystem", "snapshot"), "'filesystem' or 'volume'"),
            (&good.replace("\t24576", "\t-"), "a number as used, not '-'"),
            (&good.replace("tank/", "tank/\x1b[2J"), r"\u{1b}[2J"),
        ] {
            let error = parse(line, "").unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\x1b'), "{line:?}: {error}");
        }
        for (line, expected) in [
            ("tank/fs@s\t1\t2", "4 fields"),
            ("tank/fs\t1\t2\t3", "'@' or '#'"),
            ("tank/fs@s\t18446744073709551616\t2\t3", "a number as guid"),
            ("tank/fs@s\t1\tx\t3", "a number as createtxg"),
            ("tank/fs@a@b\t1\t2\t3", "a name ("),
            ("cannot open 'x'@\t1\t2\t3", "a name ("),
        ] {
            let error = parse(DATASETS, line).unwrap_err().to_string();
            assert!(error.contains(expected), "{line:?}: {error}");
        }
    }
}
