@0x9dfb17b843b07b8d;
# The service that the tests restore, in Rust, C++ and Python alike.

interface Greeter @0xe0b7c1a95d2f4386 {
  greet @0 (name :Text) -> (greeting :Text);
  # Answers "Hello NAME, this is SERVICE".

  hang @1 () -> ();
  # Never answers.

  swallow @2 (bytes :Data) -> (count :UInt64);
  # Answers the number of bytes, once the test lets it.

  upload @3 (bytes :Data) -> stream;
  # A streaming call, so that the window of the connection is at work.

  uploaded @4 () -> (count :UInt64);
  # The number of bytes of all uploads so far.

  thread @5 () -> (name :Text);
  # The name of the thread that serves this.
}
