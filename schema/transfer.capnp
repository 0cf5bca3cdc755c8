@0x9c4e02d8f7b13a66;
# A transfer into a machine: asked for, watched, cancelled.

using Answer = import "outcome.capnp";
using Dataset = import "dataset.capnp";

struct CopyRequest {
  dataset @0 :Text;
  # Its path below the pool.
  destination @1 :Dataset.Place;
  path @2 :Text;
  # Below the destination's pool; empty: the dataset's own.
  from @3 :Dataset.Place;
  # The source to use; null: the planner's choice.
  snapshot @4 :Text;
  # The part behind the @; empty: the planner's choice.
  dryRun @5 :Bool;
  # Plan, and do nothing.
}

interface Transfer {
  # A transfer that an agent owns. It goes on when this capability is lost; only `cancel` ends it.
  # (The tracker hands out one of its own, which cancels when the last user of it goes.)

  observe @0 (observer :Observer) -> (outcome :Answer.Outcome(Summary));
  # Reports from now on, the plan first if there is one by now; answers when the transfer ends.

  cancel @1 ();
  # Returns when its processes are gone.
}

struct Started {
  id @0 :Text;
  # To attach again with, should the tracker go.
  transfer @1 :Transfer;
}

interface Observer {
  event @0 (event :Event) -> stream;
}

struct Event {
  union {
    plan @0 :Plan;
    progress @1 :Progress;
    note @2 :Text;
    # For people: a decision taken on the way.
  }
}

struct Plan {
  snapshot @0 :Dataset.Snapshot;
  # What will be at the destination; of name alone, where it is still to be taken.
  source @1 :Dataset.Place;
  target @2 :Text;
  # The dataset to be received, in full.
  kind @3 :Dataset.Kind;
  raw @4 :Bool;
  bytes @5 :UInt64;
  # The estimate; 0: not known.
  creates @6 :List(Text);
  # Parents that are made first, in full.
  aborts @7 :Bool;
  # A failed first receive of ours is there, and is thrown away first.
  route @8 :Route;
  warnings @9 :List(Text);
}

enum Route {
  # How the bytes travel.
  direct @0;
  relayed @1;
}

struct Progress {
  bytes @0 :UInt64;
  total @1 :UInt64;
  # 0: not known.
}

struct Summary {
  plan @0 :Plan;
  bytes @1 :UInt64;
  # Bytes of stream received.
  milliseconds @2 :UInt64;
  guid @3 :UInt64;
  # The snapshot's, as read back from the destination; 0 after a dry run.
}
