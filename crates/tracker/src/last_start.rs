//! What `tracker forget` and `tracker reissue` need to know of the tracker that uses a state
//! folder: how it was started last. Holds no secret.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schema::Location;
use serde::{Deserialize, Serialize};
use sturdyref::{Auth, SecretKey};

use crate::issuer::Issuer;

const FILE: &str = "last-start.toml";

/// How the tracker was started last.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LastStart {
    /// Where to dial it on this machine.
    pub(crate) local_address: String,
    /// The address that capabilities name.
    pub(crate) public_address: String,
    pub(crate) secret_key_file: PathBuf,
    pub(crate) tls: bool,
    pub(crate) cap_dir: PathBuf,
    pub(crate) locations: BTreeSet<Location>,
    /// Of admin.cap: a running tracker's catalogue can't be read by anyone else.
    pub(crate) admin_generation: u32,
}

impl LastStart {
    /// Reads the note that a tracker left in its state folder.
    pub(crate) fn read(state: &Path) -> Result<Self> {
        let path = state.join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => anyhow::bail!(
                "no tracker has run with the state folder {}\nGive the tracker's --state-dir.",
                state.display()
            ),
            other => other.with_context(|| format!("cannot read {}", path.display()))?,
        };
        toml::from_str(&text).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Leaves the note, whole or not at all.
    pub(crate) fn write(&self, state: &Path) -> Result<()> {
        let path = state.join(FILE);
        let temporary = path.with_extension("toml.new");
        let text = toml::to_string(self)?;
        let write = || {
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// What makes the tracker's capabilities. The key must be there already.
    pub(crate) fn issuer(&self) -> Result<Issuer> {
        let file = &self.secret_key_file;
        fs::metadata(file).with_context(|| format!("cannot read the key {}", file.display()))?;
        let key = SecretKey::load_or_create(file)?;
        Ok(Issuer {
            auth: if self.tls { Auth::Tls(key.fingerprint()) } else { Auth::Insecure },
            key,
            address: self.public_address.parse()?,
            cap_dir: self.cap_dir.clone(),
            locations: self.locations.clone(),
        })
    }
}
