@0xf61d84a92c07be88;
# What a LOCATION.cap stands for: the right to be believed about that location.

using Answer = import "outcome.capnp";
using Dataset = import "dataset.capnp";
using Agent = import "agent.capnp".Agent;

interface Location {
  register @0 (hello :Answer.Hello, registration :Registration) -> (outcome :Answer.Outcome(Registered));
  # Announces a machine. Under TLS the agent's key is what the connection showed; a machine's name
  # belongs to the key that registered it first, until `tracker forget`.
}

struct Registration {
  machine @0 :Text;
  identity @1 :Data;
  # The fingerprint of the agent's own key, 32 bytes; must be the connection's, under TLS.
  pools @2 :List(Text);
  # All that this agent answers for. One that is no longer among them is removed.
  agent @3 :Agent;
}

struct Registered {
  location @0 :Text;
  session @1 :Session;
}

interface Session {
  # A registered machine's line to the tracker. Dropping it, or the connection, makes it offline.

  heartbeat @0 (sending :UInt32);
  # Every 5 s; 15 s without one ends the connection. `sending`: how many streams the
  # machine sends, or is waited for to send.

  poolState @1 (pool :Text, state :PoolState);
  # What the pool holds stays as it is.

  update @2 (pool :Text, kind :UpdateKind) -> (outcome :Answer.Outcome(Update));
  # Replaces or changes one pool's content, once the sink is ended.
}

enum PoolState {
  online @0;
  unavailable @1;
  # Exported, failed, or its listing failed.
}

enum UpdateKind {
  replace @0;
  # The datasets are all that the pool holds.
  change @1;
  # The datasets are new or changed; what isn't named stays.
}

struct Update {
  sink @0 :UpdateSink;
}

interface UpdateSink {
  # Dropped before `end`, nothing has changed.

  write @0 (datasets :List(Dataset.Dataset), removed :List(Text)) -> stream;
  # In messages of at most 1 MiB.

  end @1 () -> (outcome :Answer.Outcome(Answer.Nothing));
}
