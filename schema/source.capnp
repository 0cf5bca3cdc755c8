@0xa7d5e81b60c2f944;
# One dataset, to be read by one receiver.

using Answer = import "outcome.capnp";
using Dataset = import "dataset.capnp";
using ByteStream = import "byte-stream.capnp".ByteStream;

interface Source {
  # What a ticket stands for. However the receiver came by it (dialled, dialled by the sender,
  # relayed), it is used in the same way. Dead with its connection.

  open @0 (hello :Answer.Hello) -> (outcome :Answer.Outcome(Dataset.Dataset));
  # The dataset as it is now, without its snapshots.

  takeSnapshot @1 () -> (outcome :Answer.Outcome(Dataset.Snapshot));
  # Takes zatlas-<UTC time>. Refused where the ticket doesn't allow it, or where one exists.

  estimate @2 (request :SendRequest) -> (outcome :Answer.Outcome(Estimate));
  # By `zfs send -nvP`.

  send @3 (request :SendRequest, sink :ByteStream) -> (outcome :Answer.Outcome(Sent));
  # Writes the stream into the sink and ends it. The answer comes when `zfs send` has exited;
  # the sink is ended only after it exited with 0.
}

struct SendRequest {
  # One stream: one snapshot, whole. (A step of an incremental plan adds its base.)

  snapshot @0 :Dataset.Snapshot;
  # Chosen by GUID; the name is checked against it.
  raw @1 :Bool;
  # Encrypted data as it is on disk (`zfs send -w`).
}

struct Estimate {
  bytes @0 :UInt64;
  # 0: not known.
}

struct Sent {
  bytes @0 :UInt64;
}
