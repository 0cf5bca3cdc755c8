//! The output of `zfs list`: one listing of datasets and one of their snapshots and bookmarks.
//!
//! The two listings are two commands, not one transaction: a dataset made between them brings
//! snapshots of a dataset that the first listing doesn't have, and these are dropped. The next
//! scan has both.

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
fn is_internal(name: &str) -> bool {
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
