//! `zfs send -n`: tells the size without sending. Only data counts, so it falls a little short, as the real one
//! does.

use anyhow::Result;

use super::source::Source;
use crate::options::Options;
use crate::property::human;
use crate::state::Pool;
use crate::stream::synthetic;

/// Bytes of a record's header.
const RECORD: u64 = 312;

/// Prints what sending would take, as `-v` and `-P` ask.
pub(super) fn print(pool: &Pool, source: &Source, options: &Options) -> Result<()> {
    let bytes = bytes(pool, source)?;
    let name = &source.name;
    if options.has('P') {
        match &source.base {
            Some(base) => println!("incremental\t{}\t{name}\t{bytes}", base.name),
            None => println!("full\t{name}\t{bytes}"),
        }
        println!("size\t{bytes}");
    } else if options.has('v') {
        let size = human("size", &bytes.to_string());
        let what = match &source.base {
            Some(base) => format!("send from {} to {name}", base.name),
            None => format!("full send of {name}"),
        };
        println!("{what} estimated size is {size}\ntotal estimated size is {size}");
    }
    Ok(())
}

fn bytes(pool: &Pool, source: &Source) -> Result<u64> {
    let before = source.base.as_ref().map(|base| pool.data(base.id));
    let mut bytes = 2 * RECORD;
    if let Some(length) = synthetic::asked()? {
        return Ok(bytes + synthetic::size(length));
    }
    for (_, offset, change) in super::rest(source, &pool.data(source.snapshot.id), before)? {
        for block in change.blocks()?.into_iter().flat_map(|blocks| blocks.starting_at(offset)) {
            bytes += RECORD + block?.1.len() as u64;
        }
    }
    Ok(bytes)
}
