@0xe5a1270c4b9d6f33;
# A stream of bytes, pushed by the caller.

interface ByteStream @0x8f5d14e1c273738d {
  # Compatible with capnproto's compat/byte-stream.capnp.

  write @0 (bytes :Data) -> stream;
  # Returns once the bytes are on their way, so the writer is slowed to the reader's pace.

  end @1 ();
  # The one clean end. A capability dropped without it is an abort, and so is a connection lost.
}
