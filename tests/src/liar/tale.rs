//! What a lying source says, as data.

use std::sync::Arc;

use schema::Failure;
use zfs::Kind;

/// Answers to a receiver, from its first question to the last byte.
#[derive(Clone)]
pub struct Tale {
    /// Whether it can be dialled; else the receiver meets it at the tracker's relay.
    pub reachable: bool,
    /// The answer to `open`.
    pub open: Open,
    /// The answer to `estimate`; 0 for "not known".
    pub estimate: u64,
    /// The answer to `settings`: properties and their values.
    pub settings: Vec<(String, String)>,
    /// The answer to `sent`; `None`: it doesn't know the question, as an older source.
    pub sent: Option<u64>,
    /// What `send` does with the sink, in turn, by what it was asked for.
    pub steps: Arc<Steps>,
    /// How `send` goes on after that.
    pub then: Then,
}

/// What is done to the sink, by what was asked for.
pub type Steps = dyn Fn(&Asked) -> Vec<Step> + Send + Sync;

/// A stream that a receiver asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The GUID of the snapshot that it is to make.
    pub snapshot: u64,
    /// The GUID of what an increment starts from.
    pub base: Option<u64>,
    /// The resume token to go on with.
    pub token: Option<String>,
    /// Encrypted, as on disk.
    pub raw: bool,
    /// With blocks above 128 KiB.
    pub large_blocks: bool,
}

impl Default for Tale {
    /// Of an unencrypted filesystem that can be dialled, and of an empty stream, ended.
    fn default() -> Self {
        Self {
            reachable: true,
            open: Open::Dataset { kind: Kind::Filesystem, encrypted: false },
            estimate: 0,
            settings: Vec::new(),
            sent: None,
            steps: Arc::new(|_| Vec::new()),
            then: Then::Answer,
        }
    }
}

impl Tale {
    /// These steps whatever was asked for, each time, and an answer as if all were well.
    pub fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        let steps: Vec<Step> = steps.into_iter().collect();
        Self::by(move |_| steps.clone())
    }

    /// Steps that depend on what was asked for, and an answer as if all were well.
    pub fn by(steps: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self { steps: Arc::new(steps), ..Self::default() }
    }

    /// What an honest source does that is asked for this stream.
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

    /// With this answer to `sent`.
    #[must_use]
    pub fn sent(self, sent: Option<u64>) -> Self {
        Self { sent, ..self }
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

/// Chunks that never end.
type Chunks = Box<dyn FnMut() -> Vec<u8> + Send>;

/// One thing done to the sink.
#[derive(Clone)]
pub enum Step {
    /// Bytes, in messages of usual size.
    Write(Vec<u8>),
    /// So many bytes in one message.
    Message(usize),
    /// Chunk after chunk, until the receiver takes no more; see [`Step::forever`].
    Forever(Arc<dyn Fn() -> Chunks + Send + Sync>),
    /// The end of the stream.
    End,
}

impl Step {
    /// Chunk after chunk, until the receiver takes no more; the same again each time it is told.
    pub fn forever<F: FnMut() -> Vec<u8> + Send + 'static>(
        chunks: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self::Forever(Arc::new(move || Box::new(chunks())))
    }
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
