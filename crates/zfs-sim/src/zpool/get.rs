//! `zpool get`.

use anyhow::Result;

use super::list::measured;
use super::options;
use crate::failure::Failure;
use crate::property::human;
use crate::state::{Access, Pool, Root};
use crate::table::{self, Column};
use crate::usage;

const FIELDS: [&str; 4] = ["name", "property", "value", "source"];

/// Properties in the order of `zpool get all`, their values (none for what is measured) and sources.
const PROPERTIES: [(&str, Option<&str>, &str); 37] = [
    ("size", None, "-"),
    ("capacity", None, "-"),
    ("altroot", Some("-"), "default"),
    ("health", None, "-"),
    ("guid", None, "-"),
    ("version", Some("-"), "default"),
    ("bootfs", Some("-"), "default"),
    ("delegation", Some("on"), "default"),
    ("autoreplace", Some("off"), "default"),
    ("cachefile", Some("-"), "default"),
    ("failmode", Some("wait"), "default"),
    ("listsnapshots", Some("off"), "default"),
    ("autoexpand", Some("off"), "default"),
    ("dedupratio", None, "-"),
    ("free", None, "-"),
    ("allocated", None, "-"),
    ("readonly", Some("off"), "-"),
    ("ashift", Some("0"), "default"),
    ("comment", Some("-"), "default"),
    ("expandsize", Some("-"), "-"),
    ("freeing", Some("0"), "-"),
    ("fragmentation", None, "-"),
    ("leaked", Some("0"), "-"),
    ("multihost", Some("off"), "default"),
    ("checkpoint", Some("-"), "-"),
    ("load_guid", None, "-"),
    ("autotrim", Some("off"), "default"),
    ("compatibility", Some("off"), "default"),
    ("bcloneused", Some("0"), "-"),
    ("bclonesaved", Some("0"), "-"),
    ("bcloneratio", Some("1.00"), "-"),
    ("dedup_table_size", Some("0"), "-"),
    ("dedup_table_quota", Some("auto"), "default"),
    ("last_scrubbed_txg", Some("0"), "-"),
    ("name", None, "-"),
    ("maxblocksize", Some("16777216"), "-"),
    ("maxdnodesize", Some("16384"), "-"),
];
/// The last of those aren't shown by `all`.
const HIDDEN: usize = 3;

/// The features of a new pool, in the order of `zpool get all`, and whether they are in use.
const FEATURES: [(&str, bool); 44] = [
    ("async_destroy", false),
    ("empty_bpobj", false),
    ("lz4_compress", true),
    ("multi_vdev_crash_dump", false),
    ("spacemap_histogram", true),
    ("enabled_txg", true),
    ("hole_birth", true),
    ("extensible_dataset", false),
    ("embedded_data", true),
    ("bookmarks", false),
    ("filesystem_limits", false),
    ("large_blocks", false),
    ("large_dnode", false),
    ("sha512", false),
    ("skein", false),
    ("edonr", false),
    ("userobj_accounting", false),
    ("encryption", false),
    ("project_quota", false),
    ("device_removal", false),
    ("obsolete_counts", false),
    ("zpool_checkpoint", false),
    ("spacemap_v2", true),
    ("allocation_classes", false),
    ("resilver_defer", false),
    ("bookmark_v2", false),
    ("redaction_bookmarks", false),
    ("redacted_datasets", false),
    ("bookmark_written", false),
    ("log_spacemap", true),
    ("livelist", false),
    ("device_rebuild", false),
    ("zstd_compress", false),
    ("draid", false),
    ("zilsaxattr", false),
    ("head_errlog", true),
    ("blake3", false),
    ("block_cloning", false),
    ("vdev_zaps_v2", true),
    ("redaction_list_spill", false),
    ("raidz_expansion", false),
    ("fast_dedup", false),
    ("longname", false),
    ("large_microzap", false),
];

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = &mut options("get", arguments, "Hpo:j")?;
    let wrong = |complaint: &str| usage::zpool("get", complaint);
    if options.operands.is_empty() {
        return Err(wrong("missing property argument"));
    }
    let list = options.operands.remove(0);
    let asked = asked(&list)
        .map_err(|bad| wrong(&format!("bad property list: invalid property '{bad}'")))?;
    let fields: Vec<_> = match options.value('o').filter(|list| *list != "all") {
        None => FIELDS.to_vec(),
        Some(list) => list
            .split(',')
            .map(|word| FIELDS.into_iter().find(|field| *field == word).ok_or(word))
            .collect::<Result<_, _>>()
            .map_err(|bad| wrong(&format!("invalid column name '{bad}'")))?,
    };
    let root = Root::open()?;
    let mut names = options.operands.clone();
    if names.is_empty() {
        names = root.pools()?;
    }
    names.sort();
    let mut rows = Vec::new();
    let mut failed = false;
    for name in names {
        let Some(pool) = root.pool(&name, Access::Read)? else {
            eprintln!("Cannot get properties of {name}: no such pool available.");
            failed = true;
            continue;
        };
        for property in &asked {
            let (value, source) = value(&pool, property, options.has('p'))?;
            let field = |field: &&str| match *field {
                "name" => name.clone(),
                "property" => property.clone(),
                "value" => value.clone(),
                _ => source.to_owned(),
            };
            rows.push(fields.iter().map(field).collect::<Vec<_>>());
        }
    }
    let columns: Vec<_> =
        fields.iter().map(|field| Column { title: field.to_uppercase(), right: false }).collect();
    table::print(&columns, &rows, options.has('H'))?;
    if failed { Err(Failure::silent()) } else { Ok(()) }
}

/// The full names of what a list asks for; the error is a name that is none.
fn asked(list: &str) -> Result<Vec<String>, String> {
    let features = FEATURES.iter().map(|(feature, _)| format!("feature@{feature}"));
    if list == "all" {
        let shown = PROPERTIES[..PROPERTIES.len() - HIDDEN].iter();
        return Ok(shown.map(|(name, ..)| (*name).to_owned()).chain(features).collect());
    }
    let known: Vec<_> =
        PROPERTIES.iter().map(|(name, ..)| (*name).to_owned()).chain(features).collect();
    let find = |word: &str| {
        let word = match word {
            "alloc" => "allocated",
            "cap" => "capacity",
            "frag" => "fragmentation",
            other => other,
        };
        known.iter().find(|name| *name == word).cloned().ok_or_else(|| word.to_owned())
    };
    list.split(',').map(find).collect()
}

fn value(pool: &Pool, property: &str, exact: bool) -> Result<(String, &'static str)> {
    if let Some(feature) = property.strip_prefix("feature@") {
        let active = FEATURES.iter().any(|(name, active)| *name == feature && *active);
        return Ok((if active { "active" } else { "enabled" }.to_owned(), "local"));
    }
    let row = PROPERTIES.iter().find(|(name, ..)| *name == property);
    Ok(match row {
        Some((_, Some(value), source)) => {
            (if exact { (*value).to_owned() } else { human(property, value) }, *source)
        }
        Some((.., source)) => (measured(pool, &[property], exact)?.remove(0), *source),
        None => ("-".to_owned(), "-"),
    })
}
