@0xd9153a7be2640cf1;
# Snapshots that are kept from being destroyed while a transfer may need them.

using Dataset = import "dataset.capnp";

struct Hold {
  place @0 :Dataset.Place;
  # Where the snapshot is; set by the tracker.
  snapshot @1 :Text;
  # In full: pool/path@name.
  tag @2 :Text;
  # zatlas-<agent>-<transfer>.
  destination @3 :Text;
  # What the transfer makes, for people: location\machine\pool/path, as its receiver named it.
  since @4 :Int64;
  # Unix time in seconds.
  lastUsed @5 :Int64;
  # Unix time in seconds when a transfer last asked for it; 7 days later it is let go.
}

interface HoldSink {
  write @0 (holds :List(Hold)) -> stream;
  # In messages of at most 1 MiB.

  done @1 ();
  # Answered once all that was written is taken, so that no other answer overtakes it.
}

struct Listed {
  # What came of a listing, beside the holds in the sink.

  unasked @0 :List(Unasked);
}

struct Unasked {
  # Whose holds are not in the listing, and why.

  place @0 :Text;
  # location\machine, or location\machine\pool; from an agent, the pool alone.
  reason @1 :Text;
}
