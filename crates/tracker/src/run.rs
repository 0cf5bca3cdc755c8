//! Running: from the arguments to a listening tracker, and to its end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result};
use catalogue::{Catalogue, Role, Store};
use program::listen::listen;
use program::say;
use program::state::StateFolder;
use schema::{Code, Failure, Location};
use sturdyref::{Address, Auth, Identity, SecretKey, Security, capfile};

use crate::args::Run;
use crate::chores::{chores, do_chores};
use crate::issuer::{Grant, Issuer};
use crate::last_start::LastStart;
use crate::restorer::FrontDesk;
use crate::tracker::Tracker;

/// The catalogue's file in the state folder.
pub(crate) const CATALOGUE: &str = "catalogue.redb";

/// Arguments that fit each other.
#[derive(Debug)]
pub(crate) struct Settings {
    listen: Address,
    public: Option<Address>,
    locations: BTreeSet<Location>,
    key_file: PathBuf,
    tls: bool,
    cap_dir: PathBuf,
    state: PathBuf,
}

impl Settings {
    /// Refuses what can't work together, with status 2.
    pub(crate) fn check(run: Run) -> Result<Self> {
        let usage = |subject: &dyn std::fmt::Display, reason: &str, remedy: &str| {
            Failure::new(Code::Usage, "use", subject, reason, remedy)
        };
        let public = run.capnp_public_address;
        // Optional only because `forget` and `reissue` do without.
        let listen = run.capnp_listen_address.context("--capnp-listen-address is missing")?;
        let mut locations = BTreeSet::new();
        for location in run.locations {
            if let Some(twice) = locations.replace(location) {
                let remedy = "Name each location once in --locations.";
                return Err(usage(&twice, "the location is named twice", remedy).into());
            }
        }
        if public.is_none() && listen.is_wildcard() {
            let reason = "capability files can't name an address that stands for all addresses";
            let remedy =
                "Give --capnp-public-address tcp:NAME:PORT too, by which machines reach this one.";
            return Err(usage(&listen, reason, remedy).into());
        }
        if let Some(public) = &public
            && (public.is_wildcard() || matches!(public, Address::Tcp { port: 0, .. }))
        {
            let reason = "nobody can dial such a public address";
            let remedy =
                "Give --capnp-public-address tcp:NAME:PORT, by which machines reach this one.";
            return Err(usage(public, reason, remedy).into());
        }
        let state = std::path::absolute(run.state.folder()?)?;
        let key_file = match run.capnp_secret_key_file {
            Some(file) => std::path::absolute(file)?,
            None => state.join("secret-key.pem"),
        };
        let cap_dir = std::path::absolute(run.cap_dir)?;
        let tls = !run.capnp_disable_tls;
        Ok(Self { listen, public, locations, key_file, tls, cap_dir, state })
    }
}

/// Serves until a signal comes.
pub(crate) async fn run(settings: Settings) -> Result<()> {
    let closing = program::shutdown::token()?;
    if let Err(error) = sturdyref::raise_nofile_limit() {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let state = StateFolder::open(&settings.state)?;
    let (store, mut catalogue) = open_store(state.path())?;
    let key = SecretKey::load_or_create(&settings.key_file)?;
    let security = if settings.tls {
        Security::Tls(Identity::new(&key)?)
    } else {
        tracing::warn!("TLS is disabled: whoever sees the traffic can take the capabilities");
        Security::Insecure
    };
    let listener = listen(&settings.listen, security)?;
    let local = listener.local_address().clone();
    let issuer = Issuer {
        auth: if settings.tls { Auth::Tls(key.fingerprint()) } else { Auth::Insecure },
        key,
        address: settings.public.clone().unwrap_or_else(|| local.clone()),
        cap_dir: settings.cap_dir.clone(),
        locations: settings.locations.clone(),
    };
    issue(&issuer, &store, &mut catalogue).await?;
    LastStart {
        local_address: dialled_locally(&local).to_string(),
        public_address: issuer.address.to_string(),
        secret_key_file: settings.key_file,
        tls: settings.tls,
        cap_dir: settings.cap_dir,
        locations: settings.locations,
        admin_generation: catalogue.generation(&Role::Admin).unwrap_or_default(),
    }
    .write(state.path())?;

    let (begin, queue) = chores();
    let opened = (store, catalogue);
    let tracker = Rc::new(Tracker::new(opened, issuer, begin, closing.clone(), settings.state));
    let doing = tokio::task::spawn_local(do_chores(queue));
    say(format_args!("tracker listening on {local}"));
    listener.serve(Rc::new(FrontDesk(tracker.clone())), closing).await?;
    tracker.end_all().await;
    doing.abort();
    match tracker.take_failure() {
        Some(error) => {
            Err(error).context("the tracker ends, since it can't remember what it is told")
        }
        None => Ok(()),
    }
}

/// Opens the catalogue of a state folder that is ours.
pub(crate) fn open_store(state: &Path) -> Result<(Store, Catalogue), catalogue::OpenError> {
    Store::open(&state.join(CATALOGUE))
}

/// Issues what was never issued, and writes the capability files that are missing or outdated.
async fn issue(issuer: &Issuer, store: &Store, catalogue: &mut Catalogue) -> Result<()> {
    let new: Vec<Role> =
        issuer.roles().filter(|role| catalogue.generation(role).is_none()).collect();
    let changes = new.iter().flat_map(|role| catalogue.issue(role)).collect();
    store.write(changes).await?;
    for role in issuer.roles() {
        let generation = catalogue.generation(&role).unwrap_or_default();
        let path = issuer.path(&role);
        let before = capfile::read(&path).ok();
        let grant = Grant { role, generation };
        let kept = before == Some(issuer.capability(issuer.id(&grant)));
        issuer.write(&grant)?;
        say(format_args!("{} {}", if kept { "kept" } else { "wrote" }, path.display()));
    }
    Ok(())
}

/// Where this machine itself reaches a listener.
fn dialled_locally(address: &Address) -> Address {
    match address {
        Address::Tcp { host, port } if address.is_wildcard() => {
            let host = if host.contains(':') { "::1" } else { "127.0.0.1" };
            Address::Tcp { host: host.to_owned(), port: *port }
        }
        _ => address.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_dialled_on_loopback_where_all_addresses_are_listened_on() {
        for (listening, dialled) in [
            ("tcp:0.0.0.0:7", "tcp:127.0.0.1:7"),
            ("tcp:[::]:7", "tcp:[::1]:7"),
            ("tcp:192.0.2.1:7", "tcp:192.0.2.1:7"),
            ("unix:/run/socket", "unix:/run/socket"),
        ] {
            assert_eq!(dialled_locally(&listening.parse().unwrap()).to_string(), dialled);
        }
    }
}
