//! `cli download`: this machine is the receiver, and so it plans and owns the transfer.

use std::collections::BTreeMap;
use std::convert::Infallible;

use program::say;
use schema::broker_capnp::broker;
use schema::user_capnp::fleet;
use schema::{Code, Failure, outcome};
use sturdyref::{Address, Backoff, SturdyRef, Worker};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use transfer::broker::{Broker, Desk};
use transfer::entrance::Entrance;
use transfer::job::{self, Job, Permits, Reserve, Tools};
use transfer::report::{Status, Summary};
use transfer::{Limits, Traffic, zfs_failure};
use zfs::{Dataset, DatasetName, DatasetPath, Guid, PoolName, Zfs};

use crate::args::Download;
use crate::command::{Command, Item};
use crate::names::{Wanted, parse};
use crate::output::Destination;
use crate::progress::View;
use crate::tracker::{Tracker, may_come_back, speaks_tls};
use crate::unless_interrupted;
use crate::watch::to_the_end;

/// Who runs the command decides over this machine's pools, and `--rollback` is asked for by hand.
const PERMITS: Permits = Permits { rollback: true, reserve: Reserve::Bytes(0) };

/// Receives a dataset into a pool of this machine, or all below it, too.
pub(crate) async fn download(
    capability: &SturdyRef,
    args: Download,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let wanted = Wanted::parse(&args.dataset, &args.wish, args.readonly)?;
    let zfs = Zfs::new(args.zfs, args.zpool).with_launcher();
    let there = async {
        let (pool, target) = target(&zfs, args.to.as_deref(), &wanted.dataset).await?;
        let own = if args.wish.recursion.recursive {
            own(&zfs, &named(&pool, &target)?).await?
        } else {
            BTreeMap::new()
        };
        Ok::<_, Failure>((pool, target, own))
    };
    let (pool, target, own) = unless_interrupted(&cancel, there).await?;
    // All that the command receives, together.
    let limits = Limits::new(wanted.options.limit_rate, None);
    let traffic = Traffic { limits, ..Traffic::default() };
    let receiver = Receiver { capability, zfs, pool, traffic, wanted: &wanted, cancel: &cancel };
    let destination = &Destination::Here;
    let (wish, wanted, cancel) = (&args.wish, &wanted, cancel.clone());
    let command = Command { capability, wish, wanted, destination, target, own, cancel };
    command.run(async |item, mut view| receiver.transfer(item, &mut view).await).await
}

/// Receives what is transferred.
struct Receiver<'a> {
    capability: &'a SturdyRef,
    zfs: Zfs,
    pool: PoolName,
    traffic: Traffic,
    wanted: &'a Wanted,
    cancel: &'a CancellationToken,
}

impl Receiver<'_> {
    async fn transfer(&self, item: Item, view: &mut View) -> Result<Summary, Failure> {
        let target = named(&self.pool, &item.target)?;
        let found = async {
            let (tracker, client) =
                Tracker::connect_within(self.capability, self.wanted.patience, |fleet| {
                    broker(fleet, &item.dataset)
                })
                .await?;
            Ok((tracker, client.await?))
        };
        let (tracker, client) = unless_interrupted(self.cancel, found).await?;
        let (broker, desk) = Broker::new(client, item.dataset.clone());
        let job = Job {
            dataset: item.dataset.clone(),
            machine: host_name(),
            destination: format!("{} {target}", host_name()),
            target,
            from: self.wanted.from.clone(),
            snapshot: self.wanted.snapshot.clone(),
            near: None,
            dry_run: self.wanted.dry_run,
            program: "cli",
            options: self.wanted.options,
            permits: PERMITS,
        };
        let (status, watched) = watch::channel(Status::default());
        let here = watch::Sender::new(tracker.connection.local_address().clone());
        // A thread of its own for the data: the tracker's connection stays responsive beside it.
        let worker = Worker::spawn("receive").map_err(|error| {
            let remedy = "Run the command again when the system is less busy.";
            Failure::new(Code::Failed, "start a thread for", &item.dataset, error, remedy)
        })?;
        let tools = Tools {
            zfs: self.zfs.clone(),
            broker,
            entrance: Entrance::Opened { at: here.subscribe(), tls: speaks_tls(self.capability) },
            worker: worker.clone(),
            traffic: self.traffic.clone(),
            status,
            cancel: self.cancel.clone(),
        };
        let (running, ended) = oneshot::channel::<Infallible>();
        worker.run(move || async move {
            job::run(job, tools).await;
            drop(running);
        });
        let voice = view.voice();
        let tell = |note: &str| voice.note(note);
        tokio::select! {
            outcome = to_the_end(watched, ended, view) => outcome,
            never = stay_connected(self.capability, tracker, &item.dataset, (&desk, &here), tell) => {
                match never {}
            }
        }
    }
}

/// Gives the job the broker, and our address as the tracker sees it, anew over trackers that come and go. The data needs none while it flows
/// directly; the job asks again when it does need one.
async fn stay_connected(
    capability: &SturdyRef,
    mut tracker: Tracker,
    dataset: &DatasetPath,
    (desk, here): (&Desk, &watch::Sender<Address>),
    tell: impl Fn(&str),
) -> Infallible {
    let mut backoff = Backoff::new();
    loop {
        tracker.connection.closed().await;
        tell("looking for the tracker, to which the connection was lost; the transfer goes on");
        let mut warned = false;
        tracker = loop {
            sleep(backoff.next_delay()).await;
            let again = async {
                let ask = |fleet: &_| broker(fleet, dataset);
                let (tracker, client) = Tracker::connect_asking(capability, ask).await?;
                desk.replace(client.await?);
                here.send_replace(tracker.connection.local_address().clone());
                Ok::<_, Failure>(tracker)
            };
            match again.await {
                Ok(again) => break again,
                Err(failure) if !may_come_back(&failure) && !warned => {
                    warned = true;
                    tell(&format!(
                        "warning: the tracker refuses this capability now: {}; the transfer goes on \
                         for as long as it needs no other source",
                        failure.reason
                    ));
                }
                Err(failure) => tracing::debug!(%failure, "the tracker is still away"),
            }
        };
        tell("the tracker is back");
        backoff.reset();
    }
}

/// What this machine calls itself.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What the dataset becomes here: what `--to` says, else its own name in the only pool.
async fn target(
    zfs: &Zfs,
    to: Option<&str>,
    dataset: &DatasetPath,
) -> Result<(PoolName, DatasetPath), Failure> {
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
    let path = given.as_ref().and_then(DatasetName::path).unwrap_or(dataset);
    named(pool, path)?;
    Ok((pool.clone(), path.clone()))
}

/// What is there already under the target's name and below, each dataset by its own GUID.
async fn own(zfs: &Zfs, target: &DatasetName) -> Result<BTreeMap<DatasetPath, Guid>, Failure> {
    let present = zfs.subtree(target).await.map_err(|error| zfs_failure(&error))?;
    let own = |dataset: Dataset| Some((dataset.name.path()?.clone(), dataset.properties.guid));
    Ok(present.unwrap_or_default().into_iter().filter_map(own).collect())
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

/// It has been asked for when this returns.
fn broker(
    fleet: &fleet::Client,
    dataset: &DatasetPath,
) -> impl Future<Output = Result<broker::Client, Failure>> + use<> {
    let mut request = fleet.dataset_request();
    request.get().set_name(dataset.as_str());
    let answer = request.send().promise;
    let dataset = dataset.clone();
    async move {
        let brokered = async {
            match outcome::read(answer.await?.get()?.get_outcome()?)? {
                Ok(brokered) => brokered.get_broker().map(Ok),
                Err(failure) => Ok(Err(failure)),
            }
        };
        brokered.await.map_err(|error| Failure::from_exception("look up", &dataset, &error))?
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use capnp_rpc::new_client;
    use tokio::sync::mpsc;
    use tokio::task::LocalSet;

    use super::*;
    use crate::testing::FakeTracker;

    /// Has a broker for each dataset, and says when it is asked for one.
    struct Brokers(mpsc::UnboundedSender<String>);

    impl fleet::Server for Brokers {
        async fn dataset(
            self: Rc<Self>,
            params: fleet::DatasetParams,
            mut results: fleet::DatasetResults,
        ) -> capnp::Result<()> {
            let name = params.get()?.get_name()?.to_string()?;
            self.0.send(name).map_err(|_| capnp::Error::failed("nobody asks".to_owned()))?;
            outcome::write(results.get().init_outcome(), Ok(()), |mut brokered, ()| {
                brokered.set_broker(new_client(NoBroker));
                Ok(())
            })
        }
    }

    struct NoBroker;
    impl broker::Server for NoBroker {}

    #[tokio::test]
    async fn a_tracker_that_was_restarted_is_asked_for_the_broker_again_and_that_is_told() {
        let (told, mut asked) = mpsc::unbounded_channel();
        let dataset: DatasetPath = "data".parse().unwrap();
        let connected = async {
            let before = FakeTracker::start(new_client(Brokers(told.clone())), None);
            let tracker = Tracker::connect(&before.capability).await.unwrap();
            let client = broker(&tracker.fleet, &dataset).await.unwrap();
            assert_eq!(asked.recv().await.unwrap(), "data");
            let (_broker, desk) = Broker::new(client, dataset.clone());
            let here = watch::Sender::new(tracker.connection.local_address().clone());
            let way = (&desk, &here);
            let capability = before.capability.clone();
            let (tell, mut said) = mpsc::unbounded_channel();
            let tell = |note: &str| tell.send(note.to_owned()).unwrap();
            let again = async {
                let capability = before.stop().await;
                assert!(said.recv().await.unwrap().starts_with("looking for the tracker"));
                // By now it knows this capability no more.
                let void = FakeTracker::start_void(&capability);
                assert!(said.recv().await.unwrap().starts_with("warning: the tracker refuses"));
                let capability = void.stop().await;
                let after = FakeTracker::start(new_client(Brokers(told)), Some(&capability));
                assert_eq!(asked.recv().await.unwrap(), "data");
                assert_eq!(said.recv().await.unwrap(), "the tracker is back");
                after.stop().await;
            };
            tokio::select! {
                () = again => {}
                never = stay_connected(&capability, tracker, &dataset, way, tell) => match never {},
            }
        };
        let deadline = Duration::from_secs(60);
        LocalSet::new().run_until(tokio::time::timeout(deadline, connected)).await.unwrap();
    }
}
