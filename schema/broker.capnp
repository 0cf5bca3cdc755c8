@0xd2b6f93e7015a855;
# The right to plan with, and to read, one dataset of the fleet.

using Answer = import "outcome.capnp";
using Dataset = import "dataset.capnp";

interface Broker {
  # Handed to whoever receives: to the cli for a download, to the destination's agent for a copy.

  replicas @0 (sink :Dataset.ReplicaSink) -> (outcome :Answer.Outcome(Answer.Nothing));
  # Every known replica, online or off, with all its snapshots and bookmarks: the datasets of this
  # name, and those of other names that share the GUID of a snapshot with one of them.

  reach @1 (place :Dataset.Place, dataset :Text, receiver :Data, maySnapshot :Bool) -> (outcome :Answer.Outcome(Offer));
  # Asks the agent at `place` for a ticket for `dataset`, its path below that pool. `receiver` is the fingerprint (SHA-256 of the public
  # key, 32 bytes) of the key that the receiver's data connection will show; empty without TLS.
  # A Broker for one dataset reaches the replicas that it lists and no others.

  release @2 (transfer :Text) -> (outcome :Answer.Outcome(Answer.Nothing));
  # Has every machine with a replica let go of what it holds for this transfer: those that are
  # offline, as soon as they are back.
}

struct Offer {
  uris @0 :List(Text);
  # Sturdyrefs of a Source, the most direct first: to be dialled in this order. Secret.
  rendezvous @1 :Rendezvous;
  # For when none of them can be reached.
}

interface Rendezvous {
  relay @0 () -> (outcome :Answer.Outcome(Relay));
  # Has the sender meet the receiver at the tracker.

  dialReceiver @1 (uris :List(Text)) -> (outcome :Answer.Outcome(Answer.Nothing));
  # Has the sender dial the receiver, which awaits it: once, and before `relay`. For `uris` see Dialler. Of these only
  # those are passed on at which the receiver can be, by where it comes from.
}

struct Relay {
  uri @0 :Text;
  # The sturdyref of a Source at the tracker, which passes everything on. Secret.
}

interface Dialler {
  # The sender's end of an offer: it dials out, where it can't be dialled.

  dial @0 (uri :Text) -> (outcome :Answer.Outcome(Answer.Nothing));
  # Restores a Meeting at `uri`, at the tracker, on a data connection of its own and brings the
  # Source there.

  dialReceiver @1 (uris :List(Text)) -> (outcome :Answer.Outcome(Answer.Nothing));
  # The same at the receiver. `uris` are sturdyrefs of one Meeting, to be dialled in this order; only
  # those count that pin the key that the offer is for, and are somewhere that others could dial, too. Secret.
}

interface Meeting {
  # Where a sender that dialled out hands over its Source.

  bring @0 (source :import "source.capnp".Source);
}
