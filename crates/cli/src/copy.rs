//! `cli copy`: the destination's agent plans and owns the transfer; this program watches it, over
//! trackers and destinations that come and go.

mod follow;
mod story;

use std::collections::BTreeMap;
use std::rc::Rc;

use ::transfer::Rate;
use ::transfer::report::Summary;
use ::transfer::wire::{CopyRequest, write_request};
use schema::transfer_capnp::{started, transfer};
use schema::user_capnp::fleet;
use schema::{Failure, Place, outcome};
use sturdyref::SturdyRef;
use tokio_util::sync::CancellationToken;

use self::follow::Running;
use self::story::Story;
use crate::args::Copy;
use crate::command::{Command, Item};
use crate::names::{Wanted, parse};
use crate::output::Destination;
use crate::progress::View;
use crate::tracker::Tracker;
use crate::unless_interrupted;
use crate::watch::to_the_end;

/// Has a dataset received by another machine, or all below it, too.
pub(crate) async fn copy(
    capability: &SturdyRef,
    args: Copy,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let mut wanted = Wanted::parse(&args.dataset, &args.wish, !args.writable)?;
    // To the destination's agent each of them is a transfer by itself.
    let part = |rate: Rate| rate.divided_by(args.wish.at_once());
    wanted.options.limit_rate = wanted.options.limit_rate.map(part);
    let schema::Destination { place, path } = parse("destination", &args.destination)?;
    let copier = Copier { capability, place: &place, wanted: &wanted, cancel: &cancel };
    let destination = &Destination::There(place.clone());
    let target = path.unwrap_or_else(|| wanted.dataset.clone());
    let (wish, wanted, cancel) = (&args.wish, &wanted, cancel.clone());
    let own = BTreeMap::new();
    let command = Command { capability, wish, wanted, destination, target, own, cancel };
    command.run(async |item, mut view| copier.transfer(item, &mut view).await).await
}

/// Has others receive.
struct Copier<'a> {
    capability: &'a SturdyRef,
    place: &'a Place,
    wanted: &'a Wanted,
    cancel: &'a CancellationToken,
}

impl Copier<'_> {
    async fn transfer(&self, item: Item, view: &mut View) -> Result<Summary, Failure> {
        let request = CopyRequest {
            destination: schema::Destination {
                place: self.place.clone(),
                path: (item.target != item.dataset).then_some(item.target),
            },
            dataset: item.dataset,
            from: self.wanted.from.clone(),
            snapshot: self.wanted.snapshot.clone(),
            dry_run: self.wanted.dry_run,
            options: self.wanted.options,
        };
        let begun = async {
            let (tracker, started) =
                Tracker::connect_within(self.capability, self.wanted.patience, |fleet| {
                    start(fleet, &request)
                })
                .await?;
            let started = started
                .await
                .map_err(|error| Failure::from_exception("copy", &request.dataset, &error))??;
            Ok((tracker, started))
        };
        let (tracker, started) = unless_interrupted(self.cancel, begun).await?;
        let story = Rc::new(Story::default());
        let watched = story.watch();
        let running = Running { capability: self.capability.clone(), request, story };
        let follow = running.follow(tracker, started, self.cancel.clone());
        to_the_end(watched, tokio::task::spawn_local(follow), view).await
    }
}

/// A transfer at its destination.
struct Started {
    /// To find it again by.
    id: String,
    transfer: transfer::Client,
}

/// It has been asked for when this returns.
fn start(
    fleet: &fleet::Client,
    request: &CopyRequest,
) -> impl Future<Output = capnp::Result<Result<Started, Failure>>> + use<> {
    let mut call = fleet.copy_request();
    write_request(call.get().init_request(), request);
    let answer = call.send().promise;
    async { read_started(outcome::read(answer.await?.get()?.get_outcome()?)?) }
}

fn read_started(
    started: Result<started::Reader<'_>, Failure>,
) -> capnp::Result<Result<Started, Failure>> {
    match started {
        Ok(started) => Ok(Ok(Started {
            id: started.get_id()?.to_string()?,
            transfer: started.get_transfer()?,
        })),
        Err(failure) => Ok(Err(failure)),
    }
}
