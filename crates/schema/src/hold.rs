//! A hold: a snapshot that is kept from being destroyed while a transfer may need it; and how holds
//! are listed.

use capnp::Result;
use zfs::SnapshotName;

use crate::batch::messages;
use crate::hold_capnp::{hold, hold_sink, listed, unasked};
use crate::place::Place;
use crate::wire::{length, parse, read_place, write_place};

/// A hold of ours, as `cli holds` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Where the snapshot is; `None` from the agent itself, whom the tracker knows better.
    pub place: Option<Place>,
    /// What is held.
    pub snapshot: SnapshotName,
    /// `zatlas-<agent>-<transfer>`.
    pub tag: String,
    /// What the transfer makes, as its receiver named it; for people.
    pub destination: String,
    /// Unix time in seconds.
    pub since: i64,
    /// Unix time in seconds when a transfer last asked for it.
    pub last_used: i64,
}

impl Hold {
    /// Reads one from a message.
    pub fn read(reader: hold::Reader<'_>) -> Result<Self> {
        Ok(Self {
            place: if reader.has_place() { Some(read_place(reader.get_place()?)?) } else { None },
            snapshot: parse(reader.get_snapshot()?)?,
            tag: reader.get_tag()?.to_string()?,
            destination: reader.get_destination()?.to_string()?,
            since: reader.get_since(),
            last_used: reader.get_last_used(),
        })
    }

    /// Writes it into a message.
    pub fn write(&self, mut builder: hold::Builder<'_>) {
        if let Some(place) = &self.place {
            write_place(builder.reborrow().init_place(), place);
        }
        builder.set_snapshot(self.snapshot.to_string());
        builder.set_tag(&self.tag);
        builder.set_destination(&self.destination);
        builder.set_since(self.since);
        builder.set_last_used(self.last_used);
    }
}

/// Sends holds into a sink, in messages of bounded size, and waits until it has taken them.
///
/// # Errors
/// The sink is gone, or has refused them.
pub async fn send(sink: &hold_sink::Client, holds: &[Hold]) -> Result<()> {
    let size = |hold: &&Hold| 512 + hold.tag.len() + hold.destination.len();
    for message in messages(holds, size) {
        let mut request = sink.write_request();
        let mut list = request.get().init_holds(length(&message));
        for (index, hold) in (0..).zip(message) {
            hold.write(list.reborrow().get(index));
        }
        request.send().await?;
    }
    sink.done_request().send().promise.await.map(drop)
}

/// Whose holds a listing lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unasked {
    /// `location\machine`, or `location\machine\pool`; from an agent, the pool alone.
    pub place: String,
    /// Why, for people.
    pub reason: String,
}

impl Unasked {
    /// Reads those of a listing.
    pub fn read_all(listed: listed::Reader<'_>) -> Result<Vec<Self>> {
        let read = |reader: unasked::Reader<'_>| {
            let (place, reason) = (reader.get_place()?, reader.get_reason()?);
            Ok(Self { place: place.to_string()?, reason: reason.to_string()? })
        };
        listed.get_unasked()?.iter().map(read).collect()
    }

    /// Writes those of a listing.
    pub fn write_all(builder: listed::Builder<'_>, all: &[Self]) {
        let mut list = builder.init_unasked(length(all));
        for (index, Self { place, reason }) in (0..).zip(all) {
            let mut unasked = list.reborrow().get(index);
            unasked.set_place(place);
            unasked.set_reason(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_asked_survives_the_wire() {
        let unasked = |place: &str| Unasked { place: place.into(), reason: "it is away".into() };
        let all = [unasked(r"dc\m"), unasked(r"dc\n\tank")];
        let mut message = capnp::message::Builder::new_default();
        Unasked::write_all(message.init_root(), &all);
        let read = Unasked::read_all(message.get_root_as_reader().unwrap()).unwrap();
        assert_eq!(read, all);
    }

    #[test]
    fn it_survives_the_wire() {
        let of_agent = Hold {
            place: None,
            snapshot: "tank/two words@s".parse().unwrap(),
            tag: "zatlas-m-00".into(),
            destination: r"dc\n\tank/x".into(),
            since: 5,
            last_used: 6,
        };
        let of_tracker = Hold { place: Some(r"dc\m\tank".parse().unwrap()), ..of_agent.clone() };
        for hold in [of_agent, of_tracker] {
            let mut message = capnp::message::Builder::new_default();
            hold.write(message.init_root());
            assert_eq!(Hold::read(message.get_root_as_reader().unwrap()).unwrap(), hold);
        }
    }
}
