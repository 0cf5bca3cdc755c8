@0x8e73b1c05d92f477;
# What an agent gives the tracker at registration: never restored from outside.

using Answer = import "outcome.capnp";
using Dataset = import "dataset.capnp";
using Broker = import "broker.capnp";
using Transfer = import "transfer.capnp";

interface Agent {
  offer @0 (pool :Text, dataset :Text, receiver :Data, maySnapshot :Bool) -> (outcome :Answer.Outcome(Ticket));
  # Mints a ticket for one dataset, to be read by the one peer that shows the key with the
  # fingerprint `receiver` (empty without TLS); 60 s to its first use, dead with its connection.

  start @1 (request :Transfer.CopyRequest, broker :Broker.Broker) -> (outcome :Answer.Outcome(Transfer.Started));
  # Receives a dataset. The agent plans and owns the transfer.

  attach @2 (id :Text) -> (outcome :Answer.Outcome(Transfer.Started));
  # A transfer that was started before, under way or ended lately.

  replaced @3 (by :Text);
  # Another connection of the same identity has registered; this session's words count no more.
}

struct Ticket {
  uris @0 :List(Text);
  # Sturdyrefs of a Source, the most direct first. Secret.
  dialler @1 :Broker.Dialler;
}
