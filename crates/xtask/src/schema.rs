//! `cargo xtask schema`: Rust made from the Cap'n Proto schemas. It is checked in, so that building
//! needs no capnp compiler.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

/// Debian's packages with the compiler, and with `/capnp/stream.capnp`, which `-> stream` imports.
const TOOLS: &str = "capnproto and libcapnp-dev";

/// A folder of schemas, and where the Rust made from them goes.
struct Schemas {
    folder: &'static str,
    generated: &'static str,
    /// The module that holds the made ones, below its crate's root; empty for the root itself.
    module: &'static [&'static str],
}

const SCHEMAS: [Schemas; 3] = [
    Schemas { folder: "schema", generated: "crates/schema/src/generated", module: &["generated"] },
    Schemas {
        folder: "crates/sturdyref/schema",
        generated: "crates/sturdyref/src/generated",
        module: &["generated"],
    },
    Schemas {
        folder: "crates/sturdyref/tests/schema",
        generated: "crates/sturdyref/tests/generated",
        module: &[],
    },
];

#[derive(Args)]
pub(crate) struct Options {
    /// Change nothing; fail if the checked-in files are not what the schemas give
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.check {
        check()?
    } else {
        write()?
    }
    Ok(ExitCode::SUCCESS)
}

fn write() -> Result<()> {
    for schemas in SCHEMAS {
        let generated = schemas.generated;
        let made = generate(&schemas)?;
        let target = crate::root().join(generated);
        fs::create_dir_all(&target).with_context(|| format!("cannot make {generated}"))?;
        for name in different(made.path(), &target)? {
            let (from, to) = (made.path().join(&name), target.join(&name));
            let done =
                if from.exists() { fs::copy(&from, &to).map(drop) } else { fs::remove_file(&to) };
            done.with_context(|| format!("cannot update {generated}/{name}"))?;
            println!("updated {generated}/{name}");
        }
    }
    Ok(())
}

fn check() -> Result<()> {
    let mut stale = Vec::new();
    for schemas in SCHEMAS {
        let generated = schemas.generated;
        let made = generate(&schemas)?;
        let names = different(made.path(), &crate::root().join(generated))?;
        stale.extend(names.into_iter().map(|name| format!("{generated}/{name}")));
    }
    if !stale.is_empty() {
        bail!("not what the schemas give: {}; run `cargo xtask schema`", stale.join(", "));
    }
    Ok(())
}

/// Makes Rust from every schema in the folder, into a temporary one.
fn generate(schemas: &Schemas) -> Result<tempfile::TempDir> {
    let source = crate::root().join(schemas.folder);
    let made = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut compiler = capnpc::CompilerCommand::new();
    compiler
        .src_prefix(&source)
        .import_path("/usr/include")
        .default_parent_module(schemas.module.iter().map(ToString::to_string).collect())
        .output_path(made.path());
    for file in files(&source)?.iter().filter(|name| name.ends_with(".capnp")) {
        compiler.file(source.join(file));
    }
    compiler.run().with_context(|| {
        format!("cannot compile {} (this needs Debian's {TOOLS})", schemas.folder)
    })?;
    Ok(made)
}

/// The names of files that only one of the folders has, or that differ.
fn different(made: &Path, checked_in: &Path) -> Result<Vec<String>> {
    let names: BTreeSet<_> = files(made)?.into_iter().chain(files(checked_in)?).collect();
    let bytes = |folder: &Path, name: &String| fs::read(folder.join(name)).ok();
    Ok(names.into_iter().filter(|name| bytes(made, name) != bytes(checked_in, name)).collect())
}

/// The names of the files in a folder, sorted; none if there is no such folder.
fn files(folder: &Path) -> Result<Vec<String>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let paths: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names: Vec<_> = paths
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_rust_is_what_the_schemas_give() {
        check().unwrap_or_else(|error| panic!("{error:#}"));
    }

    #[test]
    fn a_changed_an_added_and_a_missing_file_differ() {
        let (made, checked_in) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (folder, name, text) in [
            (&made, "same.rs", "1"),
            (&made, "changed.rs", "1"),
            (&made, "added.rs", "1"),
            (&checked_in, "same.rs", "1"),
            (&checked_in, "changed.rs", "2"),
            (&checked_in, "gone.rs", "1"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let names = different(made.path(), checked_in.path()).unwrap();
        assert_eq!(names, ["added.rs", "changed.rs", "gone.rs"]);
    }
}
