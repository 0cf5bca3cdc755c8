//! `zfs send -t`: the rest of an interrupted stream. The snapshots are found by GUID, anywhere in the pool of
//! the token's name; the name is only a hint.

use anyhow::Result;

use super::source::{Base, Source};
use super::{estimate, features, send};
use crate::failure::Failure;
use crate::name;
use crate::nvlist::{Nvlist, Value};
use crate::options::Options;
use crate::state::{Access, Node, Pool, Root, Snapshot};
use crate::stream::Position;
use crate::{token, usage};

pub(super) fn run(options: &Options) -> Result<()> {
    if !options.operands.is_empty() {
        return Err(usage::zfs("send", "too many arguments"));
    }
    if options.has('i') {
        return Err(usage::zfs("send", "invalid flags combined with -t"));
    }
    let corrupt = |why: &str| cannot(&format!("resume token is corrupt{why}"));
    let list = token::decode(options.value('t').unwrap_or_default())
        .map_err(|why| corrupt(&format!(" ({why})")))?;
    if options.has('v') || options.has('n') {
        show(&list);
    }
    let (Some(object), Some(offset), Some(toguid), Some(toname)) =
        (list.number("object"), list.number("offset"), list.number("toguid"), list.text("toname"))
    else {
        return Err(corrupt(""));
    };
    let gone = || cannot(&format!("'{toname}' used in the initial send no longer exists"));
    let pool = Root::open()?.pool(name::pool(toname), Access::Read)?.ok_or_else(gone)?;
    let (name, snapshot) = find(&pool, name::dataset(toname), toguid).ok_or_else(gone)?;
    let base = match list.number("fromguid") {
        Some(fromguid) => Some(base(&pool, &name, fromguid).ok_or_else(|| {
            cannot(&format!("incremental source {fromguid:#x} no longer exists"))
        })?),
        None => None,
    };
    let asked = token::FLAGS.iter().filter(|(_, flag)| list.has(flag));
    let features =
        asked.fold(features(options, snapshot.volsize.is_some()), |all, (bit, _)| all | bit);
    let resume = Some(Position { object, offset });
    let source = Source { name, snapshot, base, features, resume };
    if options.has('n') {
        return estimate::print(&pool, &source, options);
    }
    send(pool, source)
}

fn cannot(why: &str) -> anyhow::Error {
    Failure::with_status(255, format!("cannot resume send: {why}"))
}

/// Prints a token as libnvpair's `nvlist_print` does.
fn show(list: &Nvlist) {
    println!("resume token contents:\nnvlist version: 0");
    for (name, value) in &list.0 {
        match value {
            Value::Flag => println!("\t{name} = 1"),
            Value::Number(number) => println!("\t{name} = {number:#x}"),
            Value::Text(text) => println!("\t{name} = {text}"),
        }
    }
}

/// The snapshot of that GUID, of the dataset that the token names if it has it.
fn find(pool: &Pool, hint: &str, guid: u64) -> Option<(String, Snapshot)> {
    let snapshots = pool.iter().filter_map(|(name, node)| Some((name, node.as_snapshot()?)));
    let mut found: Vec<_> = snapshots.filter(|(_, snapshot)| snapshot.guid == guid).collect();
    found.sort_by_key(|(name, _)| name::dataset(name) != hint);
    found.first().map(|(name, snapshot)| ((*name).to_owned(), (*snapshot).clone()))
}

/// The snapshot of that GUID of the same dataset, or else a bookmark.
fn base(pool: &Pool, of: &str, guid: u64) -> Option<Base> {
    ["@", "#"].iter().find_map(|separator| {
        let prefix = format!("{}{separator}", name::dataset(of));
        let mut named = pool.with_prefix(&prefix).filter(|(_, node)| Node::guid(node) == guid);
        named.find_map(|(name, node)| Base::new(name, node))
    })
}
