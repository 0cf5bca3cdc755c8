//! A hold: a snapshot that is kept from being destroyed while a transfer may need it.

use capnp::Result;
use zfs::SnapshotName;

use crate::hold_capnp::hold;
use crate::place::Place;
use crate::wire::{parse, read_place, write_place};

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

#[cfg(test)]
mod tests {
    use super::*;

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
