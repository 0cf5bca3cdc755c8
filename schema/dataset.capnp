@0xc3f09a6b1d84e722;
# Datasets, their snapshots, and where they are.

struct Place {
  # Written location\machine\pool.

  location @0 :Text;
  machine @1 :Text;
  pool @2 :Text;
}

struct Snapshot {
  # A snapshot, or a bookmark, which has its snapshot's GUID.

  name @0 :Text;
  # The part behind the @ or #.
  guid @1 :UInt64;
  # Survives send, receive and rename: the same GUID is the same data.
  createtxg @2 :UInt64;
  # Orders the snapshots of one pool, no more.
  creation @3 :Int64;
  # Unix time in seconds; survives send and receive.
}

enum Kind {
  filesystem @0;
  volume @1;
}

struct Dataset {
  # A dataset on one pool, as `zfs list` tells it. A dataset whose first receive is unfinished is
  # never sent.

  name @0 :Text;
  # Its path below the pool: a/b for tank/a/b.
  kind @1 :Kind;
  guid @2 :UInt64;
  # The dataset's own; not kept by a receive.
  used @3 :UInt64;
  # Bytes, with descendants.
  referenced @4 :UInt64;
  # Bytes.
  written @5 :UInt64;
  # Bytes since its latest snapshot.
  encrypted @6 :Bool;
  origin @7 :Text;
  # The snapshot it is a clone of, in full; empty for none.
  resumeToken @8 :Text;
  # Of an interrupted increment into it; empty for none.
  snapshots @9 :List(Snapshot);
  # By createtxg.
  bookmarks @10 :List(Snapshot);
  # By createtxg.
  continues @11 :Bool;
  # The snapshots and bookmarks belong to the dataset sent last under this name: so one with
  # very many crosses in messages of bounded size. The other fields are then not set.
}

struct Replica {
  # A dataset at a place.

  place @0 :Place;
  online @1 :Bool;
  # Its machine is connected and its pool imported.
  lastSeen @2 :Int64;
  # Unix time in seconds when it was last known to be there; now, where online.
  dataset @3 :Dataset;
  # Without snapshots and bookmarks in a listing; whole towards a planner.
  snapshotCount @4 :UInt32;
  newest @5 :Snapshot;
  # The newest snapshot; null for none.
  sending @6 :UInt32;
  # How many streams its machine sends now, or is waited for to send: of several sources, the least busy is taken.
}

interface ReplicaSink {
  # Takes replicas in messages of at most 1 MiB, sorted by dataset and place.

  write @0 (replicas :List(Replica)) -> stream;

  done @1 ();
  # Answered once all that was written is taken, so that no other answer overtakes it.
}
