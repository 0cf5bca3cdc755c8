//! What a lying source says, as data.

use schema::Failure;
use zfs::Kind;

/// Answers to a receiver, from its first question to the last byte.
pub struct Tale {
    /// Whether it can be dialled; else the receiver meets it at the tracker's relay.
    pub reachable: bool,
    /// The answer to `open`.
    pub open: Open,
    /// The answer to `estimate`; 0 for "not known".
    pub estimate: u64,
    /// What `send` does with the sink, in turn.
    pub steps: Vec<Step>,
    /// How `send` goes on after that.
    pub then: Then,
}

impl Default for Tale {
    /// Of an unencrypted filesystem that can be dialled, and of an empty stream, ended.
    fn default() -> Self {
        Self {
            reachable: true,
            open: Open::Dataset { kind: Kind::Filesystem, encrypted: false },
            estimate: 0,
            steps: Vec::new(),
            then: Then::Answer,
        }
    }
}

impl Tale {
    /// These steps, and an answer as if all were well.
    pub fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }

    /// What an honest source does.
    pub fn honest(stream: &[u8]) -> Self {
        Self::of([Step::Write(stream.to_vec()), Step::End])
    }

    /// Goes on like that after the steps.
    #[must_use]
    pub fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    /// With this answer to `open`.
    #[must_use]
    pub fn open(self, open: Open) -> Self {
        Self { open, ..self }
    }

    /// Through the tracker's relay.
    #[must_use]
    pub fn relayed(self) -> Self {
        Self { reachable: false, ..self }
    }
}

/// An answer to `open`.
#[derive(Clone, Debug)]
pub enum Open {
    /// A dataset like this.
    Dataset {
        /// Filesystem or volume.
        kind: Kind,
        /// Whether it is encrypted.
        encrypted: bool,
    },
    /// A failure.
    Refuse(Failure),
    /// An exception with this text.
    Throw(String),
    /// None, ever.
    Hang,
}

/// One thing done to the sink.
pub enum Step {
    /// Bytes, in messages of usual size.
    Write(Vec<u8>),
    /// So many bytes in one message.
    Message(usize),
    /// Chunk after chunk, until the receiver takes no more.
    Forever(Box<dyn FnMut() -> Vec<u8> + Send>),
    /// The end of the stream.
    End,
}

/// What comes after the steps.
#[derive(Clone, Debug)]
pub enum Then {
    /// `send` answers: all was sent.
    Answer,
    /// `send` answers with a failure.
    Refuse(Failure),
    /// `send` throws an exception with this text.
    Throw(String),
    /// Nothing, the sink held.
    Hang,
    /// Nothing, the sink dropped.
    DropSink,
}
