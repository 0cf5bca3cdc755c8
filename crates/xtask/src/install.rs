//! Puts what the tests need onto the machine: Debian packages, where root may, and a Python of our
//! own. What is there already is never touched.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use crate::process;

/// A Debian package, and what shows that it is there: a command, or an absolute path.
#[derive(Clone, Copy)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) proof: &'static str,
}

impl Package {
    fn is_there(self) -> bool {
        let path = env::var_os("PATH").unwrap_or_default();
        // Joining an absolute path gives that path.
        env::split_paths(&path).any(|folder| folder.join(self.proof).exists())
    }
}

/// Installs those of `packages` that are missing.
pub(crate) fn packages(packages: &[Package]) -> Result<()> {
    let missing: Vec<_> = packages.iter().filter(|package| !package.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    apt_install(&names).with_context(|| format!("Debian's {} missing", names.join(", ")))?;
    match missing.iter().find(|package| !package.is_there()) {
        Some(package) => bail!("{} brought no {}", package.name, package.proof),
        None => Ok(()),
    }
}

fn apt_install(names: &[&str]) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("only root can install packages");
    }
    if !process::succeeds(Command::new("apt-get").arg("--version")) {
        bail!("this machine has no apt-get");
    }
    eprintln!("installing {}", names.join(", "));
    apt_get(&["update"])?;
    apt_get(&[&["install", "-y", "--no-install-recommends"], names].concat())
}

/// Runs apt-get; its output is shown only if it fails.
fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.arg("-q").args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    quietly(&mut command)
}

fn quietly(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", process::shown(command)))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}: {}", process::shown(command), output.status, words.trim());
    }
    Ok(())
}

/// What the foreign peer in Python is made of.
const PYTHON_PACKAGES: [&str; 2] = ["pycapnp==2.2.4", "cryptography==50.0.2"];

/// Where Debian keeps the certificates of the authorities that the machine trusts.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A Python with [`PYTHON_PACKAGES`], in an environment of its own in the user's cache folder.
pub(crate) fn python() -> Result<PathBuf> {
    let folder = cache()?.join("zatlas-python");
    let python = folder.join("bin/python");
    // Written last, so that an environment that was cut never looks ready.
    let (ready, wanted) = (folder.join("ready"), PYTHON_PACKAGES.join("\n"));
    if fs::read_to_string(&ready).is_ok_and(|found| found == wanted) && python.exists() {
        return Ok(python);
    }
    if make_environment(&folder).is_err() {
        apt_install(&["python3", "python3-venv"]).context("Debian's python3-venv missing")?;
        make_environment(&folder)?;
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--only-binary=:all:"]).args(PYTHON_PACKAGES);
    // The authorities that this machine trusts, where pip would ask only those that came with it.
    if env::var_os("PIP_CERT").is_none() && Path::new(CERTIFICATES).exists() {
        pip.env("PIP_CERT", CERTIFICATES);
    }
    quietly(&mut pip)?;
    fs::write(&ready, wanted).with_context(|| format!("cannot write {}", ready.display()))?;
    Ok(python)
}

fn make_environment(folder: &Path) -> Result<()> {
    quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))
}

/// The user's cache folder, as XDG has it.
fn cache() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let home = env::home_dir().ok_or_else(|| anyhow!("no home folder to keep a cache in"))?;
    Ok(home.join(".cache"))
}
