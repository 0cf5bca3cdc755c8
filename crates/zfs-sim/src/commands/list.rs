//! `zfs list`.

use std::cmp::Ordering;

use anyhow::Result;

use super::options;
use crate::failure::Failure;
use crate::list::{Depth, Selection, Types, order, select};
use crate::name;
use crate::property::{Native, View, human, is_user_property};
use crate::state::{Node, Root};
use crate::table::{self, Column};
use crate::usage;

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("list", arguments, "Hpd:o:rs:S:t:")?;
    let wrong = |complaint: String| usage::zfs("list", &complaint);
    let types = options.value('t').map_or(Ok(Types::DATASETS), Types::read).map_err(wrong)?;
    let depth = Depth::read(&options, types).map_err(wrong)?;
    let columns = options
        .values('o')
        .flat_map(|list| list.split(','))
        .map(column)
        .collect::<Result<Vec<_>, _>>();
    let columns =
        columns.map_err(|bad| wrong(format!("bad property list: invalid property '{bad}'")))?;
    let columns = match columns.is_empty() {
        true => {
            ["name", "used", "available", "referenced", "mountpoint"].map(str::to_owned).to_vec()
        }
        false => columns,
    };
    let keys = options.each().filter(|(option, _)| "sS".contains(*option));
    let keys = keys
        .map(|(option, property)| Ok((column(property)?, option == 'S')))
        .collect::<Result<Vec<_>, String>>();
    let keys = keys.map_err(|bad| wrong(format!("invalid property '{bad}'")))?;

    let named = match options.value('t') {
        Some(_) => types,
        None => Types { snapshot: true, ..types },
    };
    let selection = select(&Root::open()?, &options.operands, types, depth, named)?;
    let mut rows = rows(&selection, &columns, &keys)?;
    rows.sort_by(|left, right| compare(left, right, &keys));
    let exact = options.has('p');
    let text = |row: Row| {
        let shown = row.values.into_iter().zip(&columns);
        shown
            .map(|(value, property)| {
                value.map_or(
                    "-".to_owned(),
                    |value| if exact { value } else { human(property, &value) },
                )
            })
            .collect()
    };
    let lines: Vec<Vec<String>> = rows.into_iter().map(text).collect();
    table::print(
        &columns.iter().map(|column| heading(column)).collect::<Vec<_>>(),
        &lines,
        options.has('H'),
    )?;
    if selection.failed { Err(Failure::silent()) } else { Ok(()) }
}

/// A property's full name; the error is a name that is none.
fn column(name: &str) -> Result<String, String> {
    match Native::find(name) {
        Some(native) => Ok(native.name.to_owned()),
        None if is_user_property(name) => Ok(name.to_owned()),
        None => Err(name.to_owned()),
    }
}

fn heading(property: &str) -> Column {
    let right = matches!(
        property,
        "used"
            | "available"
            | "referenced"
            | "written"
            | "volsize"
            | "usedbysnapshots"
            | "usedbydataset"
            | "usedbychildren"
            | "usedbyrefreservation"
            | "compressratio"
            | "createtxg"
            | "guid"
            | "userrefs"
    );
    let title = match property {
        "available" => "AVAIL".to_owned(),
        "referenced" => "REFER".to_owned(),
        other => other.to_uppercase(),
    };
    Column { title, right }
}

struct Row {
    name: String,
    txg: Option<u64>,
    /// By column.
    values: Vec<Option<String>>,
    /// By sort key.
    keys: Vec<Option<String>>,
}

fn rows(selection: &Selection, columns: &[String], keys: &[(String, bool)]) -> Result<Vec<Row>> {
    let mut rows = Vec::with_capacity(selection.names.len());
    for pool in selection.pools.values() {
        let view = View::new(pool);
        for name in selection.names.iter().filter(|name| name::pool(name) == pool.name) {
            let Some(node) = pool.get(name) else { continue };
            let value = |property: &String| {
                Ok::<_, anyhow::Error>(view.value(name, node, property)?.map(|(value, _)| value))
            };
            rows.push(Row {
                name: name.clone(),
                txg: Some(Node::createtxg(node)),
                values: columns.iter().map(value).collect::<Result<_>>()?,
                keys: keys.iter().map(|(property, _)| value(property)).collect::<Result<_>>()?,
            });
        }
    }
    Ok(rows)
}

/// By the sort keys, what lacks a value last; then as always.
fn compare(left: &Row, right: &Row, keys: &[(String, bool)]) -> Ordering {
    let by_name = || {
        order(&left.name, &right.name, |name| if name == left.name { left.txg } else { right.txg })
    };
    for ((ours, theirs), (property, reverse)) in left.keys.iter().zip(&right.keys).zip(keys) {
        let by_value = match (ours, theirs) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => return Ordering::Greater,
            (Some(_), None) => return Ordering::Less,
            _ if property == "name" => by_name(),
            (Some(ours), Some(theirs)) => match (ours.parse::<u64>(), theirs.parse::<u64>()) {
                (Ok(ours), Ok(theirs)) => ours.cmp(&theirs),
                _ => ours.cmp(theirs),
            },
        };
        if by_value.is_ne() {
            return if *reverse { by_value.reverse() } else { by_value };
        }
    }
    by_name()
}
