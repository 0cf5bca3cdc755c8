//! What is in the file: a table for each kind of record, keyed by its name as text, with values in
//! postcard's format; and the format's number.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError,
    WriteTransaction,
};
use schema::Place;
use schema::place::parse_machine;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zfs::DatasetPath;

use super::{FORMAT, OpenError};
use crate::change::Change;
use crate::model::{Catalogue, MachineId};
use crate::release::Release;

type Definition = TableDefinition<'static, &'static str, &'static [u8]>;
type Records<'t> = Table<'t, &'static str, &'static [u8]>;

/// `format`: its number.
const META: TableDefinition<'_, &str, u32> = TableDefinition::new("meta");
/// `user`, `admin` or a location's name: the generation.
const GENERATIONS: TableDefinition<'_, &str, u32> = TableDefinition::new("generations");
/// `location\machine`: a `MachineRecord`.
const MACHINES: Definition = TableDefinition::new("machines");
/// `location\machine\pool`: a `PoolRecord`.
const POOLS: Definition = TableDefinition::new("pools");
/// `location\machine\pool\path`: a `Content`. No name holds a backslash.
const DATASETS: Definition = TableDefinition::new("datasets");
/// `location\machine\pool\path\transfer`: since when the place is to be told of the release, in
/// Unix seconds. The earliest files lack it.
const OWED: TableDefinition<'_, &str, i64> = TableDefinition::new("owed");

fn dataset_key(place: &Place, path: &DatasetPath) -> String {
    format!("{place}\\{path}")
}

fn release_key(Release { place, dataset, transfer }: &Release) -> String {
    format!("{}\\{transfer}", dataset_key(place, dataset))
}

pub(super) fn make(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert("format", FORMAT)?;
    Tables::open(&transaction)?;
    Ok(transaction.commit()?)
}

/// Writes changes in one transaction. It is durable on return.
pub(super) fn write<'a>(
    database: &Database,
    changes: impl Iterator<Item = &'a Change>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::open(&transaction)?;
    for change in changes {
        tables.write(change)?;
    }
    drop(tables);
    Ok(transaction.commit()?)
}

struct Tables<'t> {
    generations: Table<'t, &'static str, u32>,
    machines: Records<'t>,
    pools: Records<'t>,
    datasets: Records<'t>,
    owed: Table<'t, &'static str, i64>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            generations: transaction.open_table(GENERATIONS)?,
            machines: transaction.open_table(MACHINES)?,
            pools: transaction.open_table(POOLS)?,
            datasets: transaction.open_table(DATASETS)?,
            owed: transaction.open_table(OWED)?,
        })
    }

    fn write(&mut self, change: &Change) -> Result<(), redb::Error> {
        match change {
            Change::Generation(role, generation) => {
                self.generations.insert(role.to_string().as_str(), generation)?;
            }
            Change::Machine(id, record) => put(&mut self.machines, id, record)?,
            Change::MachineGone(id) => {
                self.machines.remove(id.to_string().as_str())?;
            }
            Change::Pool(place, record) => put(&mut self.pools, place, record)?,
            Change::PoolGone(place) => {
                self.pools.remove(place.to_string().as_str())?;
                // All keys that begin with the place and a backslash; `]` comes next in ASCII.
                let (first, end) = (format!("{place}\\"), format!("{place}]"));
                self.datasets.retain_in(first.as_str()..end.as_str(), |_, _| false)?;
                self.owed.retain_in(first.as_str()..end.as_str(), |_, _| false)?;
            }
            Change::Dataset(place, path, content) => {
                put(&mut self.datasets, dataset_key(place, path), &**content)?;
            }
            Change::DatasetGone(place, path) => {
                self.datasets.remove(dataset_key(place, path).as_str())?;
            }
            Change::Owed(release, since) => {
                self.owed.insert(release_key(release).as_str(), since)?;
            }
            Change::Released(release) => {
                self.owed.remove(release_key(release).as_str())?;
            }
        }
        Ok(())
    }
}

fn put(
    table: &mut Records<'_>,
    key: impl Display,
    value: &impl Serialize,
) -> Result<(), redb::Error> {
    let value = postcard::to_stdvec(value)
        .map_err(|error| redb::Error::Io(std::io::Error::other(error)))?;
    table.insert(key.to_string().as_str(), value.as_slice())?;
    Ok(())
}

/// Reads the whole catalogue; everyone is offline in it.
pub(super) fn load(database: &Database, path: &Path) -> Result<Catalogue, OpenError> {
    let damaged = |why: String| OpenError::Damaged { path: path.to_owned(), why };
    let transaction = database.begin_read().map_err(|error| damaged(error.to_string()))?;
    let format = format(&transaction).map_err(|error| damaged(error.to_string()))?;
    match format {
        Some(FORMAT) => {}
        Some(format) if format > FORMAT => {
            return Err(OpenError::Newer { path: path.to_owned(), format });
        }
        _ => return Err(damaged("it doesn't tell its format".to_owned())),
    }
    let mut catalogue = Catalogue::default();
    read(&transaction, &mut catalogue).map_err(damaged)?;
    Ok(catalogue)
}

fn format(transaction: &ReadTransaction) -> Result<Option<u32>, redb::Error> {
    Ok(transaction.open_table(META)?.get("format")?.map(|format| format.value()))
}

fn read(transaction: &ReadTransaction, catalogue: &mut Catalogue) -> Result<(), String> {
    let generations = transaction.open_table(GENERATIONS).map_err(text)?;
    for entry in generations.iter().map_err(text)? {
        let (role, generation) = entry.map_err(text)?;
        catalogue
            .apply(Change::Generation(role.value().parse().map_err(text)?, generation.value()));
    }
    records(transaction, MACHINES, |key, record| {
        let (location, machine) = parse_machine(key).map_err(text)?;
        catalogue.apply(Change::Machine(Arc::new(MachineId { location, machine }), record));
        Ok(())
    })?;
    records(transaction, POOLS, |key, record| {
        catalogue.apply(Change::Pool(Arc::new(key.parse().map_err(text)?), record));
        Ok(())
    })?;
    // Keys are sorted, so one place follows another.
    let mut last: Option<Arc<Place>> = None;
    records(transaction, DATASETS, |key, content| {
        let (place, path) = key.rsplit_once('\\').ok_or("a dataset's key has no place")?;
        let place: Place = place.parse().map_err(text)?;
        let place = match &last {
            Some(last) if **last == place => Arc::clone(last),
            _ => Arc::clone(last.insert(Arc::new(place))),
        };
        let path = Arc::new(path.parse().map_err(text)?);
        catalogue.apply(Change::Dataset(place, path, Arc::new(content)));
        Ok(())
    })?;
    read_owed(transaction, catalogue)
}

fn read_owed(transaction: &ReadTransaction, catalogue: &mut Catalogue) -> Result<(), String> {
    let owed = match transaction.open_table(OWED) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        owed => owed.map_err(text)?,
    };
    for entry in owed.iter().map_err(text)? {
        let (key, since) = entry.map_err(text)?;
        let mut parts = key.value().rsplitn(3, '\\');
        let (Some(transfer), Some(dataset), Some(place)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err("a release's key is too short".to_owned());
        };
        let release = Release {
            place: Arc::new(place.parse().map_err(text)?),
            dataset: Arc::new(dataset.parse().map_err(text)?),
            transfer: transfer.parse().map_err(text)?,
        };
        catalogue.apply(Change::Owed(release, since.value()));
    }
    Ok(())
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// Passes every record of a table on.
fn records<T: DeserializeOwned>(
    transaction: &ReadTransaction,
    definition: Definition,
    mut each: impl FnMut(&str, T) -> Result<(), String>,
) -> Result<(), String> {
    let table = transaction.open_table(definition).map_err(text)?;
    for entry in table.iter().map_err(text)? {
        let (key, value) = entry.map_err(text)?;
        let value = postcard::from_bytes(value.value())
            .map_err(|error| format!("the record of '{}': {error}", key.value()))?;
        each(key.value(), value)?;
    }
    Ok(())
}
