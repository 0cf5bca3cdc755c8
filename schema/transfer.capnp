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
  options @6 :Options;
}

struct Options {
  # How a transfer is to be done, wherever it runs.

  allSnapshots @0 :Bool;
  # Each snapshot between the base and the one wanted, not that one alone.
  restart @1 :Bool;
  # Throw away what an interrupted transfer of ours has left, and begin anew.
  rollback @2 :Bool;
  # Throw away what the destination has and the source lacks, where the destination allows that.
  adopt @3 :Bool;
  # Take over a dataset that another tool made.
  decrypt @4 :Bool;
  # Send encrypted data in the clear.
  wait @5 :Bool;
  # Wait for another transfer to the same destination, instead of being refused.
  readonly @6 :Bool;
  # The first receive sets readonly=on.
  settings @7 :Bool;
  # The first receive sets the source's own properties, so far as they may be carried.
  timeoutSeconds @8 :UInt32;
  # How long to wait for a source that has gone.
  stallSeconds @9 :UInt32;
  # How long a source may send nothing.
  limitRate @10 :UInt64;
  # Bytes per second at most; 0: as they come.
}

interface Transfer {
  # A transfer that an agent owns. It goes on when this capability is lost; only `cancel` ends it.
  # (The tracker hands out one of its own, which cancels when the last user of it goes.)

  observe @0 (observer :Observer) -> (outcome :Answer.Outcome(Summary));
  # Tells all that is to be told, from the beginning: the plan if there is one by now, every note so
  # far, how far it is. Then what is new, until the transfer ends and this answers.

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
  source @1 :Origin;
  target @2 :Text;
  # The dataset to be received, in full.
  kind @3 :Dataset.Kind;
  raw @4 :Bool;
  steps @5 :List(Step);
  # In this order; none where the snapshot is there already.
  bytes @6 :UInt64;
  # The estimate of all steps; 0: not known.
  warnings @7 :List(Text);
}

struct Origin {
  # Where bytes come from.

  place @0 :Dataset.Place;
  dataset @1 :Text;
  # Its path below the pool; may be another name there.
  route @2 :Route;
}

enum Route {
  # How the bytes travel.
  direct @0;
  # The receiver has dialled the sender.
  relayed @1;
  # Through the tracker.
  dialledBySender @2;
  # From machine to machine, too.
}

struct Step {
  # One thing done at the destination.

  bytes @0 :UInt64;
  # Of the stream, as ZFS estimates it; 0: not known, or there is none.
  union {
    abort :group {
      received @1 :UInt64;
      # Bytes of an interrupted receive that are thrown away; 0: not known.
    }
    createParent @2 :Text;
    # In full.
    adopt @3 :Void;
    # Marks a dataset that another tool made as ours.
    rollback :group {
      to @4 :Dataset.Snapshot;
      discards @5 :List(Dataset.Snapshot);
      # Newer snapshots, which are destroyed.
      changes @6 :UInt64;
      # Bytes written since the newest of them.
    }
    resume :group {
      snapshot @7 :Dataset.Snapshot;
      received @8 :UInt64;
      # Bytes that are there already.
    }
    send :group {
      snapshot @9 :Dataset.Snapshot;
      base @10 :Dataset.Snapshot;
      # Null: the snapshot whole.
      baseIsBookmark @11 :Bool;
    }
  }
}

struct Progress {
  bytes @0 :UInt64;
  total @1 :UInt64;
  # 0: not known.
}

struct Summary {
  plan @0 :Plan;
  # As it was at first.
  bytes @1 :UInt64;
  # Bytes of stream received.
  milliseconds @2 :UInt64;
  guid @3 :UInt64;
  # The snapshot's, as read back from the destination; 0 after a dry run.
  sources @4 :List(Used);
  # In the order of their use.
  retries @5 :UInt32;
  # How often it went on after a failure.
}

struct Used {
  # A source, and what came of it.

  origin @0 :Origin;
  bytes @1 :UInt64;
  left @2 :Text;
  # Why it was left; empty: it was not.
}
