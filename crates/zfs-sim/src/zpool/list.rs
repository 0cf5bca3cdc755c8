//! `zpool list`.

use anyhow::Result;

use super::options;
use crate::failure::Failure;
use crate::property::human;
use crate::sizes::Sizes;
use crate::state::{Access, Pool, Root};
use crate::table::{self, Column};
use crate::usage;

const COLUMNS: [&str; 11] = [
    "name",
    "size",
    "allocated",
    "free",
    "checkpoint",
    "expandsize",
    "fragmentation",
    "capacity",
    "dedupratio",
    "health",
    "altroot",
];

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("list", arguments, "gHLo:pPT:vj")?;
    let mut columns = Vec::new();
    for word in options.values('o').flat_map(|list| list.split(',')) {
        columns.push(property(word).ok_or_else(|| {
            usage::zpool("list", &format!("bad property list: invalid property '{word}'"))
        })?);
    }
    if columns.is_empty() {
        columns.extend(COLUMNS);
    }
    let root = Root::open()?;
    let names = if options.operands.is_empty() { root.pools()? } else { options.operands.clone() };
    let mut rows = Vec::new();
    let mut complaints = Vec::new();
    for name in names {
        match root.pool(&name, Access::Read)? {
            Some(pool) => rows.push(measured(&pool, &columns, options.has('p'))?),
            None => complaints.push(format!("cannot open '{name}': no such pool")),
        }
    }
    let none = rows.is_empty();
    if none && options.operands.is_empty() && !options.has('H') {
        println!("no pools available");
    }
    let headings: Vec<_> = columns.iter().map(|column| heading(column)).collect();
    table::print(&headings, &rows, options.has('H'))?;
    // The real one forgives a pool that is missing, when another is there.
    if none && !complaints.is_empty() {
        return Err(Failure::error(complaints.join("\n")));
    }
    for complaint in complaints {
        eprintln!("{complaint}");
    }
    Ok(())
}

fn property(word: &str) -> Option<&'static str> {
    let word = match word {
        "alloc" => "allocated",
        "cap" => "capacity",
        "dedup" => "dedupratio",
        "frag" => "fragmentation",
        other => other,
    };
    COLUMNS
        .iter()
        .chain(&["guid", "freeing", "leaked", "readonly"])
        .find(|known| **known == word)
        .copied()
}

fn heading(property: &str) -> Column {
    let title = match property {
        "allocated" => "ALLOC".to_owned(),
        "checkpoint" => "CKPOINT".to_owned(),
        "expandsize" => "EXPANDSZ".to_owned(),
        "fragmentation" => "FRAG".to_owned(),
        "capacity" => "CAP".to_owned(),
        "dedupratio" => "DEDUP".to_owned(),
        other => other.to_uppercase(),
    };
    Column { title, right: !matches!(property, "name" | "altroot") }
}

/// The values of some of a pool's properties.
pub(super) fn measured(pool: &Pool, columns: &[&str], exact: bool) -> Result<Vec<String>> {
    let sizes = Sizes::of(pool)?;
    let allocated = sizes.of_dataset(&pool.name).unwrap_or_default().used;
    let free = pool.size().saturating_sub(allocated);
    let percent = |number: u64| if exact { number.to_string() } else { format!("{number}%") };
    let value = |column: &&str| match *column {
        "name" => pool.name.clone(),
        "guid" | "load_guid" => pool.guid().to_string(),
        "freeing" | "leaked" => "0".to_owned(),
        "readonly" => "off".to_owned(),
        "size" => sized("size", pool.size(), exact),
        "allocated" => sized("allocated", allocated, exact),
        "free" => sized("free", free, exact),
        "fragmentation" => percent(0),
        "capacity" => percent(allocated * 100 / pool.size().max(1)),
        "dedupratio" => if exact { "1.00" } else { "1.00x" }.to_owned(),
        "health" => "ONLINE".to_owned(),
        _ => "-".to_owned(),
    };
    Ok(columns.iter().map(value).collect())
}

fn sized(property: &str, bytes: u64, exact: bool) -> String {
    if exact { bytes.to_string() } else { human(property, &bytes.to_string()) }
}
