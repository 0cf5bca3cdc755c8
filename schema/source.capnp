@0xa7d5e81b60c2f944;
# One dataset, to be read by one receiver.

using Answer = import "outcome.capnp";
using Dataset = import "dataset.capnp";
using ByteStream = import "byte-stream.capnp".ByteStream;

interface Source {
  # What a ticket stands for. However the receiver came by it (dialled, dialled by the sender,
  # relayed), it is used in the same way. Dead with its connection.

  open @0 (hello :Answer.Hello) -> (outcome :Answer.Outcome(Dataset.Dataset), takesTurns :Bool);
  # The dataset as it is now, without its snapshots. `takesTurns`: its machine sends only so many at
  # once, so `turn` comes before whatever is done there for a stream.

  takeSnapshot @1 () -> (outcome :Answer.Outcome(Dataset.Snapshot));
  # Takes zatlas-<UTC time>. Refused where the ticket doesn't allow it, or where one exists.

  estimate @2 (request :SendRequest) -> (outcome :Answer.Outcome(Estimate));
  # By `zfs send -nvP`.

  send @3 (request :SendRequest, sink :ByteStream) -> (outcome :Answer.Outcome(Sent));
  # Writes the stream into the sink and ends it. The answer comes when `zfs send` has exited;
  # the sink is ended only after it exited with 0.

  hold @4 (snapshot :Dataset.Snapshot, transfer :Text, destination :Text) -> (outcome :Answer.Outcome(Answer.Nothing));
  # Keeps the snapshot from being destroyed until the transfer is finished, or for 7 days.

  finish @5 (snapshot :Dataset.Snapshot, transfer :Text) -> (outcome :Answer.Outcome(Answer.Nothing));
  # The snapshot has arrived. It is bookmarked (zatlas-<guid>), so that an increment can start from it
  # when it is gone here; what was held of this dataset for the transfer is let go.

  settings @6 () -> (outcome :Answer.Outcome(Settings));
  # The dataset's own properties, so far as they may be carried to another machine.

  turn @7 (told :UInt32) -> (outcome :Answer.Outcome(Turn));
  # Takes a place in the machine's queue, at the first call, and answers once the place is another
  # than `told` (at first: than any number that could be), or after 10 s. The number never rises
  # while the place is kept. It is left with the capability, and after 2 minutes of its turn in which
  # there was no call; `send` waits for its turn, too.

  sent @8 () -> (outcome :Answer.Outcome(Sent));
  # How much of the last stream has been given to the connection, at once: a receiver to which less
  # has come knows that it is the way's fault, and not a `zfs send` that has nothing to say yet.
}

struct Turn {
  ahead @0 :UInt32;
  # How many transfers must end before this one may send; 0: it may.
}

struct SendRequest {
  # One stream: one snapshot, whole or from a base.

  snapshot @0 :Dataset.Snapshot;
  # Chosen by GUID; the name is checked against it.
  raw @1 :Bool;
  # Encrypted data as it is on disk (`zfs send -w`).
  base @2 :Dataset.Snapshot;
  # What an increment starts from; null for a whole snapshot. Chosen by GUID like the snapshot.
  baseIsBookmark @3 :Bool;
  largeBlocks @4 :Bool;
  # Blocks above 128 KiB are not split (-L).
  compressed @5 :Bool;
  # Blocks as they are compressed on disk (-c).
  token @6 :Text;
  # Goes on where the receive that this resume token is of was cut; of the fields above only
  # `snapshot` counts then. Empty: from the beginning.
  decrypt @7 :Bool;
  # Encrypted data may be sent in the clear: someone has asked for that.
  limitRate @8 :UInt64;
  # Bytes per second that the receiver will take at most, to be sent evenly; 0: as they come.
}

struct Settings {
  list @0 :List(Setting);
}

struct Setting {
  name @0 :Text;
  value @1 :Text;
}

struct Estimate {
  bytes @0 :UInt64;
  # 0: not known.
}

struct Sent {
  bytes @0 :UInt64;
}
