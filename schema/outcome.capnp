@0xb1a4c7f0d2e35911;
# How a call answers: what every interface of zatlas shares.

struct Hello {
  # Said in the first call on every capability that a sturdyref restores.

  protocol @0 :UInt16;
  # The protocol's version; the two sides must have the same one (schema::PROTOCOL).

  software @1 :Text;
  # For messages alone: "zatlas agent 0.1.0".
}

struct Outcome(T) {
  # An expected failure is a result. An exception means: disconnected, overloaded or a bug.

  union {
    ok @0 :T;
    failure @1 :Failure;
  }
}

struct Nothing {}
# The `ok` of a call that has nothing to tell.

struct Failure {
  # What failed, on what, why, and what to do about it.

  code @0 :Code;
  operation @1 :Text;
  # A verb phrase: "receive", "list the datasets of".
  subject @2 :Text;
  # What it was done to: a dataset, a place, a file.
  zfsMessage @3 :Text;
  # The reason; ZFS's own words wherever ZFS was asked.
  remedy @4 :Text;
  # What the reader can do about it; a sentence.
}

enum Code {
  # The class of a failure; the cli's exit status follows from it. A code that the reader
  # doesn't know counts as `failed`.

  failed @0;           # status 1
  usage @1;            # status 2
  noSuchDataset @2;    # status 3
  noSuchPlace @3;      # status 3
  ambiguous @4;        # status 4
  offline @5;          # status 5
  refused @6;          # status 6: by ZFS, by the destination's rules or for want of authority
  interrupted @7;      # status 130
  otherProtocol @8;    # status 1: the peer speaks another version
  unreachable @9;      # status 1: no network path; another path may be tried
  noSuchTransfer @10;  # status 1: not known where it was asked for
}
