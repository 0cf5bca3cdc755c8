//! `tracker forget` and `tracker reissue`: on the state folder, or through the tracker that has it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use catalogue::{MachineId, Role};
use program::say;
use program::state::StateFolder;
use schema::user_capnp::admin;
use schema::{Failure, outcome};
use sturdyref::{Connection, Identity, Security, connect};

use crate::failures;
use crate::issuer::Grant;
use crate::last_start::LastStart;
use crate::run::open_store;

/// How long the running tracker may take to answer the call.
const DEADLINE: Duration = Duration::from_secs(5);

/// Who has the state folder.
enum Access {
    /// We do.
    Folder(StateFolder),
    /// A running tracker does; this is the way to it.
    Tracker(Connection),
}

/// Finds out who has the folder. `last` is how the tracker was started last.
async fn access(state: &Path, last: &LastStart) -> Result<Access> {
    if let Some(folder) = StateFolder::try_open(state)? {
        return Ok(Access::Folder(folder));
    }
    let mut issuer = last.issuer()?;
    issuer.address = last.local_address.parse()?;
    let grant = Grant { role: Role::Admin, generation: last.admin_generation };
    let admin = issuer.capability(issuer.id(&grant));
    let security = Security::Tls(Identity::ephemeral()?);
    let connection = connect(&admin, &security, DEADLINE).await.with_context(|| {
        format!("cannot reach the tracker that uses the state folder {}", state.display())
    })?;
    Ok(Access::Tracker(connection))
}

/// Removes a machine and all that it held, and frees its name.
pub(crate) async fn forget(machine: &MachineId, state: &Path) -> Result<()> {
    let last = LastStart::read(state)?;
    match access(state, &last).await? {
        Access::Folder(folder) => {
            let (store, mut catalogue) = open_store(folder.path())?;
            let (_, changes) = catalogue
                .forget(machine)
                .map_err(|error| failures::no_such_machine(machine, &error))?;
            store.write(changes).await?;
        }
        Access::Tracker(connection) => {
            let mut request = connection.target::<admin::Client>().forget_request();
            request.get().set_location(machine.location.as_str());
            request.get().set_machine(machine.machine.as_str());
            let answer = request.send().promise.await;
            let answer = answer.map_err(|error| lost("forget", machine, &error))?;
            outcome::read(answer.get()?.get_outcome()?)??;
        }
    }
    say(format_args!("forgot {machine}"));
    Ok(())
}

/// Voids a role's capability file, and writes the next.
pub(crate) async fn reissue(role: &Role, state: &Path) -> Result<()> {
    let last = LastStart::read(state)?;
    let file = match access(state, &last).await? {
        Access::Folder(folder) => {
            let issuer = last.issuer()?;
            issuer.check_reissue(role)?;
            let (store, mut catalogue) = open_store(folder.path())?;
            store.write(catalogue.issue(role)).await?;
            let Some(generation) = catalogue.generation(role) else {
                bail!("'{role}' was not issued");
            };
            issuer.write(&Grant { role: role.clone(), generation })?
        }
        Access::Tracker(connection) => {
            let mut request = connection.target::<admin::Client>().reissue_request();
            request.get().set_name(role.to_string());
            let answer = request.send().promise.await;
            let answer = answer.map_err(|error| lost("reissue", role, &error))?;
            let reissued = outcome::read(answer.get()?.get_outcome()?)??;
            reissued.get_file()?.to_string()?.into()
        }
    };
    say(format_args!("wrote {}; the one before it is void", file.display()));
    Ok(())
}

fn lost(operation: &str, subject: impl std::fmt::Display, error: &capnp::Error) -> Failure {
    Failure::from_exception(operation, subject, error)
}
