@0x8e73b1c05d92f477;
# What an agent gives the tracker at registration: never restored from outside.

using Answer = import "outcome.capnp";
using Dataset = import "dataset.capnp";
using Broker = import "broker.capnp";
using Transfer = import "transfer.capnp";
using Hold = import "hold.capnp";

interface Agent {
  offer @0 (pool :Text, dataset :Text, receiver :Data, maySnapshot :Bool) -> (outcome :Answer.Outcome(Ticket));
  # Mints a ticket for one dataset, to be read by the one peer that shows the key with the
  # fingerprint `receiver` (empty without TLS); 60 s to its first use, dead with its connection.

  start @1 (request :Transfer.CopyRequest, broker :Broker.Broker) -> (outcome :Answer.Outcome(Transfer.Started));
  # Receives a dataset. The agent plans and owns the transfer.

  attach @2 (id :Text, broker :Broker.Broker, dataset :Text) -> (outcome :Answer.Outcome(Transfer.Started));
  # A transfer that was started before, under way or ended lately. It goes on with this broker: the
  # one that it was started with went with the connection. Refused where the transfer is of another
  # dataset than the broker is for.

  replaced @3 (by :Text);
  # Another connection of the same identity has registered; this session's words count no more.

  holds @4 (sink :Hold.HoldSink) -> (outcome :Answer.Outcome(Hold.Listed));
  # What this agent keeps from being destroyed, for transfers that may come back. A pool that can't
  # be listed hides no other.

  release @5 (snapshot :Text, tag :Text) -> (outcome :Answer.Outcome(Answer.Nothing));
  # Lets go of one hold. The snapshot is named in full; the tag must be one of this agent's.

  releaseTransfer @6 (transfer :Text, pool :Text, dataset :Text) -> (outcome :Answer.Outcome(Answer.Nothing));
  # Lets go of all that this agent holds of a dataset for a transfer: it is done, or begins anew.
}

struct Ticket {
  uris @0 :List(Text);
  # Sturdyrefs of a Source, the most direct first. Secret.
  dialler @1 :Broker.Dialler;
}
