//! `cli download`: this machine is the receiver, and so it plans and owns the transfer.

use program::say;
use schema::{Code, Failure, outcome};
use sturdyref::{SturdyRef, Worker};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transfer::broker::Broker;
use transfer::job::{self, Job, Tools};
use transfer::report::Status;
use transfer::zfs_failure;
use zfs::{DatasetName, DatasetPath, PoolName, Zfs};

use crate::args::Download;
use crate::names::{Wanted, parse};
use crate::output::Destination;
use crate::tracker::{Tracker, speaks_tls};
use crate::unless_interrupted;
use crate::watch::to_the_end;

/// Receives a dataset into a pool of this machine.
pub(crate) async fn download(
    capability: &SturdyRef,
    args: Download,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let Wanted { dataset, from, snapshot } = Wanted::parse(&args.dataset, &args.wish)?;
    let zfs = Zfs::new(args.zfs, args.zpool).with_launcher();
    let prepared = async {
        let target = target(&zfs, args.to.as_deref(), &dataset).await?;
        let tracker = Tracker::connect(capability).await?;
        let broker = broker(&tracker, dataset.clone()).await?;
        Ok((target, tracker, broker))
    };
    // The connection is held until the end: the broker lives on it.
    let (target, _tracker, broker) = unless_interrupted(&cancel, prepared).await?;
    let job = Job {
        id: job::new_id(),
        dataset,
        target,
        from,
        snapshot,
        near: None,
        dry_run: args.wish.dry_run,
        program: "cli",
    };
    let (status, watched) = watch::channel(Status::default());
    let tools = Tools { zfs, broker, tls: speaks_tls(capability), status, cancel };
    // A thread of its own for the data: the tracker's connection stays responsive beside it.
    let worker = Worker::spawn("receive")?;
    worker.run(move || job::run(job, tools));
    to_the_end(watched, &Destination::Here, &args.wish).await
}

/// What the dataset becomes here: what `--to` says, else its own name in the only pool.
async fn target(
    zfs: &Zfs,
    to: Option<&str>,
    dataset: &DatasetPath,
) -> Result<DatasetName, Failure> {
    let pools = zfs.pools().await.map_err(|error| zfs_failure(&error))?;
    let names: Vec<&str> = pools.iter().map(|pool| pool.name.as_str()).collect();
    let refuse = |code, reason: String, remedy: &str| {
        Err(Failure::new(code, "download", dataset, reason, remedy))
    };
    let given: Option<DatasetName> = to.map(|text| parse("argument of --to", text)).transpose()?;
    let pool = match (&given, pools.as_slice()) {
        (Some(given), pools) if pools.iter().any(|pool| pool.name == *given.pool()) => given.pool(),
        (Some(given), _) => {
            let reason =
                format!("there is no pool '{}' here; there is: {}", given.pool(), list(&names));
            return refuse(
                Code::NoSuchPlace,
                reason,
                "Name a pool of this machine with --to POOL.",
            );
        }
        (None, [only]) => {
            say(format_args!("into {}, the only pool of this machine", only.name));
            &only.name
        }
        (None, []) => {
            let reason = "this machine has no pool to receive into".to_owned();
            return refuse(Code::NoSuchPlace, reason, "Create or import a pool.");
        }
        (None, _) => {
            let reason = format!("this machine has several pools: {}", list(&names));
            return refuse(Code::Ambiguous, reason, "Say which with --to POOL.");
        }
    };
    match given.as_ref().and_then(DatasetName::path) {
        Some(path) => named(pool, path),
        None => named(pool, dataset),
    }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn named(pool: &PoolName, path: &DatasetPath) -> Result<DatasetName, Failure> {
    DatasetName::new(pool.clone(), path.clone()).map_err(|error| {
        Failure::new(
            Code::Usage,
            "download",
            path,
            error,
            "Give a shorter name with --to POOL/PATH.",
        )
    })
}

async fn broker(tracker: &Tracker, dataset: DatasetPath) -> Result<Broker, Failure> {
    let asked = async {
        let mut request = tracker.fleet.dataset_request();
        request.get().set_name(dataset.as_str());
        let answer = request.send().promise.await?;
        match outcome::read(answer.get()?.get_outcome()?)? {
            Ok(brokered) => brokered.get_broker().map(Ok),
            Err(failure) => Ok(Err(failure)),
        }
    };
    let client =
        asked.await.map_err(|error| Failure::from_exception("look up", &dataset, &error))??;
    Ok(Broker::new(client, dataset))
}
