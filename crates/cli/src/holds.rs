//! `cli holds`: which snapshots agents keep from being destroyed, and for which transfers.

mod print;
mod release;

use std::cell::RefCell;
use std::rc::Rc;

use capnp_rpc::new_client;
use program::say;
use schema::hold::Unasked;
use schema::hold_capnp::hold_sink;
use schema::user_capnp::fleet;
use schema::{Failure, Hold, Place, outcome};
use sturdyref::SturdyRef;
use zfs::{Escaped, SnapshotName};

use self::release::Release;
use crate::args::Holds;
use crate::output::to_stdout;
use crate::tracker::Tracker;

/// A hold at a place of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    place: Place,
    snapshot: SnapshotName,
    tag: String,
    destination: String,
    since: i64,
    last_used: i64,
}

/// All that could be listed, and what could not.
struct Listed {
    /// By place, snapshot and tag.
    holds: Vec<Held>,
    /// Whose holds are not among them.
    unasked: Vec<Unasked>,
}

/// Lists what is held, or lets go of some of it.
pub(crate) async fn holds(capability: &SturdyRef, args: Holds) -> anyhow::Result<()> {
    let release =
        args.release.map(|tag| Release::parse(tag, args.snapshot.as_deref())).transpose()?;
    let (tracker, listed) = Tracker::connect_asking(capability, list).await?;
    let Listed { holds, unasked } = listed.await?;
    for Unasked { place, reason } in &unasked {
        say(format_args!("{}: its holds are not known: {}", Escaped(place), Escaped(reason)));
    }
    match release {
        Some(release) => release.carry_out(&tracker, &holds, &unasked).await?,
        None if args.json => to_stdout(&print::json(&holds)?)?,
        None => to_stdout(print::lines(&holds).as_bytes())?,
    }
    tracker.connection.close().await;
    Ok(())
}

/// They have been asked for when this returns.
fn list(fleet: &fleet::Client) -> impl Future<Output = Result<Listed, Failure>> + use<> {
    let holds = Rc::new(RefCell::new(Vec::new()));
    let mut request = fleet.holds_request();
    request.get().set_sink(new_client(Collector { holds: holds.clone() }));
    let answer = request.send().promise;
    let listing = async {
        match outcome::read(answer.await?.get()?.get_outcome()?)? {
            Ok(listed) => Unasked::read_all(listed).map(Ok),
            Err(failure) => Ok(Err(failure)),
        }
    };
    async move {
        let unasked = listing.await;
        let unasked =
            unasked.map_err(|error| Failure::from_exception("list the holds", "", &error))??;
        let mut holds = holds.take();
        holds.sort_by_cached_key(|held: &Held| {
            (held.place.clone(), held.snapshot.to_string(), held.tag.clone())
        });
        Ok(Listed { holds, unasked })
    }
}

/// Gathers the holds that the tracker streams.
struct Collector {
    holds: Rc<RefCell<Vec<Held>>>,
}

impl hold_sink::Server for Collector {
    async fn write(self: Rc<Self>, params: hold_sink::WriteParams) -> capnp::Result<()> {
        for reader in params.get()?.get_holds()? {
            let Hold { place, snapshot, tag, destination, since, last_used } = Hold::read(reader)?;
            let place =
                place.ok_or_else(|| capnp::Error::failed("a hold that is nowhere".to_owned()))?;
            let held = Held { place, snapshot, tag, destination, since, last_used };
            self.holds.borrow_mut().push(held);
        }
        Ok(())
    }

    async fn done(
        self: Rc<Self>,
        _: hold_sink::DoneParams,
        _: hold_sink::DoneResults,
    ) -> capnp::Result<()> {
        Ok(())
    }
}

impl Held {
    /// `location\machine\pool/path@snapshot`: its place and name in one.
    fn subject(&self) -> String {
        format!("{}\\{}\\{}", self.place.location, self.place.machine, self.snapshot)
    }
}

#[cfg(test)]
fn example(subject: &str, tag: &str) -> Held {
    let mut parts = subject.splitn(3, '\\');
    let mut part = || parts.next().unwrap();
    let (location, machine, snapshot) = (part(), part(), part());
    let snapshot: SnapshotName = snapshot.parse().unwrap();
    Held {
        place: Place {
            location: location.parse().unwrap(),
            machine: machine.parse().unwrap(),
            pool: snapshot.dataset().pool().clone(),
        },
        snapshot,
        tag: tag.to_owned(),
        destination: r"dc\n\pond/x".to_owned(),
        since: 0,
        last_used: 60,
    }
}
