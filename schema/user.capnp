@0xbd40e6f3185c2a99;
# What user.cap and admin.cap stand for.

using Answer = import "outcome.capnp";
using Dataset = import "dataset.capnp";
using Broker = import "broker.capnp".Broker;
using Transfer = import "transfer.capnp";
using Hold = import "hold.capnp";

interface User {
  open @0 (hello :Answer.Hello) -> (outcome :Answer.Outcome(Opened));
}

struct Opened {
  fleet @0 :Fleet;
}

interface Fleet {
  list @0 (query :Query, sink :Dataset.ReplicaSink) -> (outcome :Answer.Outcome(Answer.Nothing));
  # Every replica that fits the query. The answer comes when the sink has taken all.

  dataset @1 (name :Text) -> (outcome :Answer.Outcome(Brokered));
  # The dataset of this name, to be received by the caller.

  copy @2 (request :Transfer.CopyRequest) -> (outcome :Answer.Outcome(Transfer.Started));
  # Has the destination's agent receive it. Dropping the Transfer cancels it.

  attach @3 (destination :Dataset.Place, id :Text, dataset :Text) -> (outcome :Answer.Outcome(Transfer.Started));
  # A transfer of `dataset` started by `copy`, after the connection to the tracker was lost. Fails
  # with noSuchTransfer where the destination doesn't know it: it has been started anew.
  # Refused where it is of another dataset.

  holds @4 (sink :Hold.HoldSink) -> (outcome :Answer.Outcome(Hold.Listed));
  # What the online agents hold.

  release @5 (place :Dataset.Place, snapshot :Text, tag :Text) -> (outcome :Answer.Outcome(Answer.Nothing));
  # Lets go of one hold; the snapshot is named in full.
}

struct Query {
  pattern @0 :Text;
  # A glob over dataset names, in which * also matches /; empty: all.
  location @1 :Text;
  # Only replicas there; empty: everywhere.
}

struct Brokered {
  broker @0 :Broker;
}

interface Admin extends(User) {
  # All that a user may, and administration.

  forget @0 (location :Text, machine :Text) -> (outcome :Answer.Outcome(Answer.Nothing));
  # Removes a machine and all that it held from the catalogue, and frees its name.

  reissue @1 (name :Text) -> (outcome :Answer.Outcome(Reissued));
  # Voids the .cap file of a location, of "user" or of "admin", and writes a new one.
}

struct Reissued {
  file @0 :Text;
  # The path of the new file, on the tracker's machine.
}
