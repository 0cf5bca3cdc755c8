//! `zfs create`.

use anyhow::Result;

use crate::failure::Failure;
use crate::name::{self, Kinds};
use crate::options::{Mistake, Options};
use crate::property::{View, assignment, check, parse_size};
use crate::sizes::Sizes;
use crate::state::{Access, Dataset, Node, Pool, Properties, Root, new_guid, now};
use crate::usage;

/// Volumes are whole blocks of this many bytes.
const VOLUME_BLOCK: u64 = 16 << 10;

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = Options::read(arguments, "V:o:psub:nPv").map_err(|mistake| match mistake {
        Mistake::NoArgument(_) => usage::zfs("create", "missing size argument"),
        mistake @ Mistake::Unknown(_) => usage::zfs("create", &mistake.complaint()),
    })?;
    let volume = options.value('V');
    if volume.is_none() && options.has('s') {
        return Err(usage::zfs("create", "'-s' and '-b' can only be used when creating a volume"));
    }
    let volsize = match volume {
        Some(text) => Some(parse_size(text).ok_or_else(|| {
            Failure::error(format!("bad volume size '{text}': bad numeric value '{text}'"))
        })?),
        None => None,
    };
    let mut assignments = Vec::new();
    for argument in options.values('o') {
        let pair = assignment(argument)
            .ok_or_else(|| Failure::error("missing '=' for property=value argument"))?;
        if assignments.iter().any(|(property, _)| *property == pair.0) {
            return Err(Failure::error(format!("property '{}' specified multiple times", pair.0)));
        }
        assignments.push(pair);
    }
    let name = match options.operands.as_slice() {
        [] => {
            let what = if volsize.is_some() {
                "missing volume argument"
            } else {
                "missing filesystem argument"
            };
            return Err(usage::zfs("create", what));
        }
        [name] => name.as_str(),
        _ => return Err(usage::zfs("create", "too many arguments")),
    };
    let cannot = |why: String| Failure::error(format!("cannot create '{name}': {why}"));
    if let Some(complaint) = name::new_complaint(name, Kinds::DATASET) {
        return Err(cannot(complaint));
    }
    if name == name::pool(name) {
        return Err(cannot("missing dataset name".to_owned()));
    }
    let root = Root::open()?;
    let no_pool = || cannot(format!("no such pool '{}'", name::pool(name)));
    let pool = root.pool(name::pool(name), Access::Write)?.ok_or_else(no_pool)?;

    let scope = if volsize.is_some() { 'v' } else { 'f' };
    let mut properties = Properties::new();
    for (property, value) in assignments {
        properties.insert(property.to_owned(), check(property, value, scope).map_err(cannot)?);
    }
    make(pool, name, volsize, properties, &options)
}

fn make(
    mut pool: Pool,
    name: &str,
    volsize: Option<u64>,
    mut properties: Properties,
    options: &Options,
) -> Result<()> {
    let cannot = |why: &str| Failure::error(format!("cannot create '{name}': {why}"));
    if pool.get(name).is_some() {
        return if options.has('p') { Ok(()) } else { Err(cannot("dataset already exists")) };
    }
    if options.has('p') {
        make_parents(&mut pool, name)?;
    }
    match name::parent(name).and_then(|parent| pool.dataset(parent)) {
        None => return Err(cannot("parent does not exist")),
        Some(Dataset { volsize: Some(_), .. }) => return Err(cannot("parent is not a filesystem")),
        Some(_) => {}
    }
    let volsize = volsize.map(|size| size.next_multiple_of(VOLUME_BLOCK));
    if let Some(size) = volsize.filter(|_| !options.has('s')) {
        let reserved = (size / 4 * 5).to_string();
        properties.entry("refreservation".to_owned()).or_insert(reserved);
    }
    let reserved = properties.get("refreservation").and_then(|bytes| bytes.parse().ok());
    if let Some((reserved, parent)) = Option::<u64>::zip(reserved, name::parent(name))
        && reserved > Sizes::of(&pool)?.available(&pool, parent)
    {
        return Err(cannot("out of space"));
    }
    add(&mut pool, name, volsize, properties, !options.has('u'))?;
    pool.commit()
}

/// Makes the datasets above one that don't exist yet.
pub(super) fn make_parents(pool: &mut Pool, name: &str) -> Result<()> {
    let parents: Vec<_> =
        std::iter::successors(name::parent(name), |parent| name::parent(parent)).collect();
    for parent in parents.into_iter().rev().filter(|parent| parent.contains('/')) {
        if pool.get(parent).is_none() {
            add(pool, parent, None, Properties::new(), true)?;
        }
    }
    Ok(())
}

fn add(
    pool: &mut Pool,
    name: &str,
    volsize: Option<u64>,
    properties: Properties,
    mount: bool,
) -> Result<()> {
    let createtxg = pool.next_txg();
    let id = pool.next_id()?;
    pool.history(name, id, "create", "");
    for (property, value) in &properties {
        pool.history(name, id, "set", &format!("{property}={value}"));
    }
    let mut dataset = Dataset {
        id,
        guid: new_guid()?,
        createtxg,
        creation: now(),
        volsize,
        mounted: false,
        properties,
        receiving: None,
        becomes: None,
    };
    dataset.mounted =
        mount && volsize.is_none() && View::new(pool).mounts_by_itself(name, &dataset)?;
    pool.put(name, Node::Dataset(dataset));
    Ok(())
}
