//! Why a command of ZFS failed, recognised from its own words: the one place that knows them.
//!
//! ZFS exits 1 whatever went wrong, so its words are all there is. They are those of `LC_ALL=C`.

/// A failure that callers treat apart from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The pool, dataset or snapshot, or a dataset's parent, isn't there.
    NotFound,
    /// What was to be made is there already.
    Exists,
    /// In use: being received, sent or mounted.
    Busy,
    /// The pool is full, or a quota is.
    OutOfSpace,
    /// The user lacks the right (see `zfs allow`).
    NotPermitted,
    /// An encrypted dataset's key isn't loaded.
    KeyNotLoaded,
    /// What was to be received doesn't fit: cut, garbled, or no stream at all.
    BadStream,
    /// A receive that has nothing to abort.
    NothingToAbort,
}

/// The words of OpenZFS 2.3 and the reason they give, the more telling ones first.
const WORDS: [(&str, Reason); 23] = [
    ("space quota exceeded", Reason::OutOfSpace),
    ("out of space", Reason::OutOfSpace),
    ("No space left on device", Reason::OutOfSpace),
    ("permission denied", Reason::NotPermitted),
    ("Permission denied", Reason::NotPermitted),
    ("must be superuser", Reason::NotPermitted),
    ("key must be loaded", Reason::KeyNotLoaded),
    ("must specify -F", Reason::Exists),
    ("already exists", Reason::Exists),
    ("dataset is busy", Reason::Busy),
    ("pool is busy", Reason::Busy),
    ("pool or dataset is busy", Reason::Busy),
    ("does not have any resumable receive state to abort", Reason::NothingToAbort),
    ("no such pool", Reason::NotFound),
    ("dataset does not exist", Reason::NotFound),
    ("parent does not exist", Reason::NotFound),
    ("snapshot does not exist", Reason::NotFound),
    ("bookmark does not exist", Reason::NotFound),
    ("could not find any snapshots", Reason::NotFound),
    ("failed to read from stream", Reason::BadStream),
    ("invalid stream", Reason::BadStream),
    ("checksum mismatch or incomplete stream", Reason::BadStream),
    ("invalid backup stream", Reason::BadStream),
];

impl Reason {
    /// The reason that ZFS's message gives, if it is one that is known.
    pub fn of(message: &str) -> Option<Self> {
        WORDS.iter().find(|(words, _)| message.contains(words)).map(|&(_, reason)| reason)
    }
}
