//! `zfs get`.

use anyhow::Result;

use super::options;
use crate::failure::Failure;
use crate::list::{Depth, Types, select};
use crate::name;
use crate::property::{Native, Source, View, human, is_user_property, scope};
use crate::state::{Node, Root};
use crate::table::{self, Column};
use crate::usage;

const FIELDS: [&str; 4] = ["name", "property", "value", "source"];
const SOURCES: [&str; 6] = ["local", "default", "inherited", "received", "temporary", "none"];

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = &mut options("get", arguments, "d:o:s:rt:Hp")?;
    let wrong = |complaint: String| usage::zfs("get", &complaint);
    if options.operands.is_empty() {
        return Err(wrong("missing property argument".to_owned()));
    }
    let properties = options.operands.remove(0);
    let types = options.value('t').map_or(Ok(Types::ALL), Types::read).map_err(wrong)?;
    let depth = Depth::read(options, types).map_err(wrong)?;
    let fields = words(options.value('o'), &FIELDS)
        .map_err(|bad| wrong(format!("invalid column name '{bad}'")))?;
    let sources = words(options.value('s'), &SOURCES)
        .map_err(|bad| wrong(format!("invalid source '{bad}'")))?;
    let asked = Asked::read(&properties)
        .map_err(|bad| wrong(format!("bad property list: invalid property '{bad}'")))?;

    let selection = select(&Root::open()?, &options.operands, types, depth, types)?;
    let mut rows = Vec::new();
    for pool in selection.pools.values() {
        let view = View::new(pool);
        for name in selection.names.iter().filter(|name| name::pool(name) == pool.name) {
            let Some(node) = pool.get(name) else { continue };
            for (property, value, source) in asked.values(&view, name, node)? {
                if !sources.contains(&source.class()) {
                    continue;
                }
                let value = if options.has('p') { value } else { human(&property, &value) };
                let field = |field: &&str| match *field {
                    "name" => name.clone(),
                    "property" => property.clone(),
                    "value" => value.clone(),
                    _ => source.text(),
                };
                rows.push(fields.iter().map(field).collect());
            }
        }
    }
    let columns: Vec<_> =
        fields.iter().map(|field| Column { title: field.to_uppercase(), right: false }).collect();
    table::print(&columns, &rows, options.has('H'))?;
    if selection.failed { Err(Failure::silent()) } else { Ok(()) }
}

/// The words of a list, all of which must be known; all known ones without a list or by `all`.
fn words(list: Option<&str>, known: &[&'static str]) -> Result<Vec<&'static str>, String> {
    let Some(list) = list.filter(|list| *list != "all") else { return Ok(known.to_vec()) };
    list.split(',')
        .map(|word| known.iter().find(|known| **known == word).copied().ok_or(word.to_owned()))
        .collect()
}

/// The properties asked for.
enum Asked {
    All,
    These(Vec<String>),
}

impl Asked {
    fn read(list: &str) -> Result<Self, String> {
        if list == "all" {
            return Ok(Self::All);
        }
        let name = |word: &str| match Native::find(word) {
            Some(native) => Ok(native.name.to_owned()),
            None if is_user_property(word) => Ok(word.to_owned()),
            None => Err(word.to_owned()),
        };
        list.split(',').map(name).collect::<Result<_, _>>().map(Self::These)
    }

    fn values(
        &self,
        view: &View<'_>,
        name: &str,
        node: &Node,
    ) -> Result<Vec<(String, String, Source)>> {
        let mut values = Vec::new();
        match self {
            Self::These(properties) => {
                for property in properties {
                    let (value, source) = view
                        .value(name, node, property)?
                        .unwrap_or(("-".to_owned(), Source::Fixed));
                    values.push((property.clone(), value, source));
                }
            }
            Self::All => {
                let native = Native::all()
                    .filter(|native| native.applies(scope(node)))
                    .map(|native| native.name.to_owned());
                for property in native.chain(view.user_properties(name, node)) {
                    if let Some((value, source)) = view.value(name, node, &property)? {
                        values.push((property, value, source));
                    }
                }
            }
        }
        Ok(values)
    }
}
