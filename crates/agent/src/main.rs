//! The agent: one on each machine with pools.
//!
//! It dials the tracker and keeps it told of its pools ([`inventory`], [`follow`], [`sync`],
//! [`uplink`]); at the tracker's request ([`control`]) it makes [`tickets`] for those who may read a
//! dataset ([`dialler`] where they can't reach it), lets go of what none came back for ([`holding`]),
//! and owns the [`transfers`] into this machine. It trusts the tracker no further than its
//! own flags: no pool but those of `--zpools` is ever read or written.

mod args;
mod control;
mod dialler;
mod follow;
mod holding;
mod inventory;
mod sync;
mod tickets;
mod transfers;
mod uplink;
mod whereabouts;

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use program::listen::listen;
use program::state::{StateFolder, default_folder};
use program::{capability, config, exit, log, shutdown};

use sturdyref::{Auth, Identity, SecretKey, Security};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};
use transfer::dial::sending;
use transfer::entrance::auth;
use transfer::holds::Holds;
use transfer::job::Permits;
use transfer::outgoing::Tasks;
use transfer::zfs_failure;
use zfs::Zfs;
use zfs::process::launcher;

use crate::args::Args;
use crate::inventory::Inventory;
use crate::tickets::Tickets;
use crate::transfers::Transfers;
use crate::uplink::Uplink;

/// How long processes and connections may take to end after SIGTERM.
const LAST_WORDS: Duration = Duration::from_secs(8);
/// What is answered when the last transfer has ended leaves within this time.
const ANSWERS_LEAVE: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    launcher::run_if_asked();
    let args = config::parse::<Args>();
    log::init("info");
    exit::report(start(args))
}

fn start(args: Args) -> Result<()> {
    if let Err(error) = sturdyref::raise_nofile_limit() {
        tracing::warn!(%error, "cannot raise the number of open files");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = LocalSet::new().block_on(&runtime, run(args));
    // A name that is being looked up on the blocking pool isn't waited for.
    runtime.shutdown_background();
    result
}

async fn run(args: Args) -> Result<()> {
    args.check()?;
    let traffic = args.traffic();
    let tracker = capability::read(&args.connect)?;
    let state_dir = match args.state_dir {
        Some(folder) => folder,
        None => default_folder(&format!("agent/{}", args.name))?,
    };
    let state = StateFolder::open(&state_dir)?;
    let key = SecretKey::load_or_create(state.path().join("key.pem"))?;
    let security = match tracker.auth {
        Auth::Tls(_) => Security::Tls(Identity::new(&key)?),
        Auth::Insecure => Security::Insecure,
    };
    let zfs = Zfs::new(args.zfs, args.zpool).with_launcher();
    check_pools(&zfs, &args.zpools).await?;

    let limits = sending(args.memory);
    let listener = listen(&args.capnp_listen_address, security.clone())?;
    let listener = listener.with_limits(limits.clone());
    let listening = listener.local_address().clone();
    let stopping = shutdown::token()?;
    let tasks = Tasks { shutdown: stopping.clone(), ..Tasks::default() };
    let book = state.path().join("holds.json");
    let holds = Holds::open(zfs.clone(), &args.name, book)?;
    let tickets =
        Tickets::new(zfs.clone(), auth(&security), tasks.clone(), holds.clone(), traffic.clone());
    let serving = tokio::task::spawn_local(listener.serve(tickets.clone(), stopping.clone()));

    tokio::task::spawn_local(holding::expire(holds.clone(), args.zpools.clone()));
    let inventory = Inventory::new(args.zpools);
    tokio::task::spawn_local(follow::follow(zfs.clone(), inventory.clone()));
    let entrance = tickets.entrance(security.clone());
    let uplink = Uplink {
        security,
        limits,
        identity: key.fingerprint(),
        machine: args.name,
        public: args.capnp_public_address,
        listening,
        inventory,
        tickets,
        transfers: Transfers::new(zfs, entrance, tasks.clone(), traffic.clone()),
        to_send: traffic.to_send,
        holds,
        permits: Permits { rollback: args.allow_rollback, reserve: args.reserve },
        tasks: tasks.clone(),
        connect: args.connect,
        tracker: RefCell::new(tracker),
    };
    let stop = async {
        stopping.cancelled().await;
        tracing::info!("stopping");
        tasks.tracker.close();
        timeout(LAST_WORDS, async {
            tasks.tracker.wait().await;
            let served = serving.await;
            sleep(ANSWERS_LEAVE).await;
            served
        })
        .await
    };
    // The line to the tracker is held to the end: whoever watches a transfer is to hear of its end.
    let stopped = tokio::select! {
        () = uplink.run() => return Ok(()),
        stopped = stop => stopped,
    };
    match stopped {
        Ok(served) => served?.context("cannot serve connections"),
        Err(_) => bail!("processes or connections were still there after {LAST_WORDS:?}"),
    }
}

/// Says which pools are missing; an agent without any has nothing to do.
async fn check_pools(zfs: &Zfs, wanted: &[zfs::PoolName]) -> Result<()> {
    let found = zfs.pools().await.map_err(|error| zfs_failure(&error))?;
    let is_there = |pool: &&zfs::PoolName| found.iter().any(|found| found.name == **pool);
    for missing in wanted.iter().filter(|pool| !is_there(pool)) {
        tracing::warn!("there is no pool '{missing}' now; it is followed should it be imported");
    }
    if !wanted.iter().any(|pool| is_there(&pool)) {
        let known: Vec<String> = found.iter().map(|pool| pool.name.to_string()).collect();
        bail!(
            "none of the pools of --zpools exists; {}\nImport one, or name others.",
            if known.is_empty() {
                "there are none at all".into()
            } else {
                format!("there are: {}", known.join(", "))
            }
        );
    }
    Ok(())
}
