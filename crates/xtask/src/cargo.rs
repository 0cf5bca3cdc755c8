//! Runs cargo in the workspace, and finds what it built.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::process;

/// Everything is built by this one set of arguments, so that features, and with them the
/// compiled dependencies, are the same in each stage.
pub(crate) const EVERYTHING: [&str; 2] = ["--workspace", "--all-targets"];

/// A cargo command at the repository's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(crate::root());
    command
}

/// The executables that the workspace builds, by the names of package and target.
pub(crate) struct Executables {
    programs: BTreeMap<String, PathBuf>,
    tests: BTreeMap<(String, String), PathBuf>,
}

impl Executables {
    /// Builds what isn't built yet.
    pub(crate) fn build() -> Result<Self> {
        Self::build_with(&EVERYTHING)
    }

    /// Builds the programs of these packages, and nothing else.
    pub(crate) fn build_programs(packages: &[&str]) -> Result<Self> {
        Self::build_with(&programs(packages))
    }

    /// The same as they are released, and in a folder of their own.
    pub(crate) fn build_release(packages: &[&str]) -> Result<Self> {
        Self::build_with(&[&["--release"], programs(packages).as_slice()].concat())
    }

    /// The tests of a package, compiled as it is released.
    pub(crate) fn build_release_tests(package: &str) -> Result<Self> {
        Self::build_with(&["--release", "--tests", "--package", package])
    }

    /// Those that were built before, into this folder.
    pub(crate) fn found_in(folder: &Path) -> Result<Self> {
        let entries = std::fs::read_dir(folder);
        let entries = entries.with_context(|| format!("cannot read {}", folder.display()))?;
        let paths = entries.map(|entry| Ok(entry?.path().canonicalize()?));
        let named = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, path)
        };
        let programs = paths.collect::<Result<Vec<_>>>()?.into_iter().map(named).collect();
        Ok(Self { programs, tests: BTreeMap::new() })
    }

    fn build_with(arguments: &[&str]) -> Result<Self> {
        let mut command = cargo(&["build", "--message-format=json-render-diagnostics"]);
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output().context("cannot start cargo")?;
        if !output.status.success() {
            bail!("{} failed: {}", process::shown(&command), output.status);
        }
        let messages = String::from_utf8(output.stdout).context("cargo's messages")?;
        let mut found = Self { programs: BTreeMap::new(), tests: BTreeMap::new() };
        for line in messages.lines() {
            found.note(&serde_json::from_str(line).context("cargo's messages")?);
        }
        Ok(found)
    }

    /// The program of this name.
    pub(crate) fn program(&self, name: &str) -> Result<&PathBuf> {
        self.programs.get(name).ok_or_else(|| anyhow!("the workspace has no program {name}"))
    }

    /// The integration test of this name in this package, or the unit tests of the library of this name.
    pub(crate) fn test(&self, package: &str, name: &str) -> Result<&PathBuf> {
        let key = (package.to_owned(), name.to_owned());
        self.tests.get(&key).ok_or_else(|| anyhow!("package {package} has no test {name}"))
    }

    /// Takes in one of cargo's messages (<https://doc.rust-lang.org/cargo/reference/external-tools.html>).
    fn note(&mut self, message: &Value) {
        let Some(executable) = message["executable"].as_str() else { return };
        let target = &message["target"];
        let name = target["name"].as_str().unwrap_or_default().to_owned();
        let package = package_name(message["package_id"].as_str().unwrap_or_default());
        match target["kind"][0].as_str() {
            Some("bin") if message["profile"]["test"] == false => {
                self.programs.insert(name, executable.into());
            }
            Some("test" | "lib") => {
                self.tests.insert((package, name), executable.into());
            }
            _ => {}
        }
    }
}

fn programs<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    let packages = packages.iter().flat_map(|package| ["--package", *package]);
    ["--bins"].into_iter().chain(packages).collect()
}

/// The package of `path+file:///folder/NAME#VERSION` or `path+file:///folder#NAME@VERSION`.
fn package_name(id: &str) -> String {
    let (url, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    let name = match fragment.split_once('@') {
        Some((name, _)) => name,
        None => url.rsplit('/').next().unwrap_or(url),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_after_its_folder_or_before_its_version() {
        assert_eq!(package_name("path+file:///src/crates/zfs-sim#0.1.0"), "zfs-sim");
        assert_eq!(package_name("path+file:///src/end-to-end#tests@0.1.0"), "tests");
    }

    #[test]
    fn unit_tests_of_a_program_are_not_the_program() {
        let mut found = Executables { programs: BTreeMap::new(), tests: BTreeMap::new() };
        for (kind, name, test, path) in [
            ("bin", "agent", true, "/a"),
            ("bin", "agent", false, "/b"),
            ("test", "starting", true, "/c"),
            ("lib", "agent", true, "/d"),
        ] {
            found.note(&serde_json::json!({
                "package_id": "path+file:///src/crates/agent#0.1.0",
                "target": { "name": name, "kind": [kind] },
                "profile": { "test": test },
                "executable": path,
            }));
        }
        assert_eq!(found.program("agent").unwrap(), &PathBuf::from("/b"));
        assert_eq!(found.test("agent", "starting").unwrap(), &PathBuf::from("/c"));
        assert_eq!(found.test("agent", "agent").unwrap(), &PathBuf::from("/d"));
        assert!(found.program("tracker").is_err());
    }
}
