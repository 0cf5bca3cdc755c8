@0xbd40e6f3185c2a99;
# What user.cap and admin.cap stand for.

using Answer = import "outcome.capnp";
using Dataset = import "dataset.capnp";
using Broker = import "broker.capnp".Broker;
using Transfer = import "transfer.capnp";

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

  attach @3 (destination :Dataset.Place, id :Text) -> (outcome :Answer.Outcome(Transfer.Started));
  # A transfer started by `copy`, after the connection to the tracker was lost.
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
