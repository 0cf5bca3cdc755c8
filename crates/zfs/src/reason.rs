//! Why a command of ZFS failed, recognised from its own words: the one place that knows them.
//!
//! ZFS exits 1 whatever went wrong, so its words are all there is. They are those of `LC_ALL=C`.

/// A failure that callers treat apart from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The pool, dataset or snapshot, or a dataset's parent, isn't there.
    NotFound,
    /// What it was to be put below is a volume.
    NotAFilesystem,
    /// What was to be made is there already.
    Exists,
    /// The snapshot isn't held by this tag.
    NotHeld,
    /// A hold or a clone keeps a snapshot from being destroyed.
    Held,
    /// In use: being received, sent or mounted.
    Busy,
    /// The pool is full, or a quota is.
    OutOfSpace,
    /// The pool has lost too many devices, and stands still.
    Suspended,
    /// The user lacks the right (see `zfs allow`), or the pool can only be read.
    NotPermitted,
    /// An encrypted dataset's key isn't loaded.
    KeyNotLoaded,
    /// What was to be received is under another encryption key than what is there, or the one is
    /// raw and the other isn't.
    OtherKey,
    /// The destination has changed since its latest snapshot, or has a newer one than the base.
    Modified,
    /// The increment starts from another snapshot than the destination's latest.
    NoCommonSnapshot,
    /// An interrupted receive is in the way: it must be finished or aborted.
    PartialState,
    /// The destination was received with large blocks, and the increment is without.
    NeedsLargeBlocks,
    /// Small blocks within their pointers can't be received below an encrypted dataset.
    EmbeddedBlocks,
    /// The stream needs what this ZFS or pool can't do, or doesn't fit the interrupted one. ZFS
    /// says so too if the destination got a snapshot while an increment was received.
    UnsupportedStream,
    /// What was to be received doesn't fit: cut, garbled, or no stream at all.
    BadStream,
    /// What was to be sent, or what it starts from, isn't there any more, or not in that order.
    BaseGone,
    /// What was to be sent and what it starts from aren't of the same dataset.
    OtherDevice,
    /// The token isn't one that ZFS made, or was changed.
    CorruptToken,
    /// A receive that has nothing to abort.
    NothingToAbort,
}

/// The words of OpenZFS 2.3 and the reason they give, the more telling ones first.
const WORDS: [(&str, Reason); 39] = [
    ("I/O is currently suspended", Reason::Suspended),
    ("pool is read-only", Reason::NotPermitted),
    ("space quota exceeded", Reason::OutOfSpace),
    ("out of space", Reason::OutOfSpace),
    ("permission denied", Reason::NotPermitted),
    ("Permission denied", Reason::NotPermitted),
    ("key must be loaded", Reason::KeyNotLoaded),
    ("encryption key does not match", Reason::OtherKey),
    ("IV set guid mismatch", Reason::OtherKey),
    ("raw receive on top of existing unencrypted dataset", Reason::OtherKey),
    ("resume token is corrupt", Reason::CorruptToken),
    ("requires -L (--large-block)", Reason::NeedsLargeBlocks),
    ("incompatible embedded data stream feature", Reason::EmbeddedBlocks),
    ("must be upgraded to receive this stream", Reason::UnsupportedStream),
    ("contains partially-complete state", Reason::PartialState),
    // The dataset in which ZFS keeps an interrupted increment.
    ("/%recv", Reason::PartialState),
    ("has been modified since most recent snapshot", Reason::Modified),
    ("does not match incremental source", Reason::NoCommonSnapshot),
    ("incremental source", Reason::BaseGone),
    ("used in the initial send no longer exists", Reason::BaseGone),
    ("not an earlier snapshot from the same fs", Reason::BaseGone),
    ("No such process", Reason::BaseGone),
    ("Invalid cross-device link", Reason::OtherDevice),
    ("it's being held", Reason::Held),
    ("clones of previous snapshots exist", Reason::Held),
    ("snapshot has dependent clones", Reason::Held),
    ("no such tag on this dataset", Reason::NotHeld),
    ("is not a filesystem", Reason::NotAFilesystem),
    ("must specify -F", Reason::Exists),
    ("already exists", Reason::Exists),
    ("bookmark exists", Reason::Exists),
    ("dataset is busy", Reason::Busy),
    ("does not have any resumable receive state to abort", Reason::NothingToAbort),
    ("no such pool", Reason::NotFound),
    ("does not exist", Reason::NotFound),
    ("failed to read from stream", Reason::BadStream),
    ("invalid stream", Reason::BadStream),
    ("invalid backup stream", Reason::BadStream),
    ("checksum mismatch or incomplete stream", Reason::BadStream),
];

impl Reason {
    /// The reason that ZFS's message on the dataset, snapshot or bookmark `subject` gives, if it
    /// is one that is known.
    pub fn of(message: &str, subject: &str) -> Option<Self> {
        let message = without_names(message, subject);
        WORDS.iter().find(|(words, _)| message.contains(words)).map(|&(_, reason)| reason)
    }
}

/// The message without what it quotes and without the subject, which it often names without
/// quotes: a dataset may be called `does not exist`.
fn without_names(message: &str, subject: &str) -> String {
    let mut message = format!(" {}", message.replace('\n', " "));
    let dataset = subject.split(['@', '#']).next().unwrap_or_default();
    // A pool's name could be a word of the message.
    if dataset.contains('/') {
        message = message.replace(dataset, "");
    }
    let mut rest = message.as_str();
    let mut words = String::new();
    // A name has no quote in it, and an apostrophe has no space before it.
    while let Some((before, quoted)) = rest.split_once(" '") {
        words.push_str(before);
        rest = quoted.split_once('\'').map_or("", |(_, after)| after);
    }
    words + rest
}

#[cfg(test)]
mod tests {
    use super::Reason::*;
    use super::*;

    fn each_gives(cases: &[(&str, Reason)]) {
        for &(message, reason) in cases {
            assert_eq!(Reason::of(message, ""), Some(reason), "{message}");
        }
    }

    // Words as OpenZFS 2.3.2 said them, where nothing else is noted.

    #[test]
    fn what_is_missing_or_in_the_way_or_full() {
        each_gives(&[
            ("cannot open 'tank/nosuch': dataset does not exist", NotFound),
            ("cannot open 'tank/fs#nosuch': no such pool or dataset", NotFound),
            ("cannot open 'nosuch': no such pool", NotFound),
            ("Cannot get properties of nosuch: no such pool available.", NotFound),
            ("cannot create 'nosuch/par': no such pool 'nosuch'", NotFound),
            ("cannot create 'tank/no/par': parent does not exist", NotFound),
            ("cannot hold snapshot 'tank/a b@nosuch': dataset does not exist", NotFound),
            (
                "cannot open 'tank/no': dataset does not exist\n\
                 cannot receive new filesystem stream: unable to restore to destination",
                NotFound,
            ),
            ("cannot receive incremental stream: destination 'dest/y' does not exist", NotFound),
            ("cannot receive resume stream: destination 'dest/new' does not exist", NotFound),
            ("cannot create 'tank/vol/x': parent is not a filesystem", NotAFilesystem),
            (
                "cannot receive new filesystem stream: parent 'tank/vol' is not a filesystem",
                NotAFilesystem,
            ),
            ("cannot create snapshot 'tank/fs@one': dataset already exists", Exists),
            ("cannot create bookmark 'tank/a b#m one': bookmark exists", Exists),
            ("cannot hold snapshot 'tank/a@s': tag already exists on this dataset", Exists),
            ("cannot restore to dest/r@other: destination already exists", Exists),
            (
                "cannot receive new filesystem stream: destination 'tank/fs' exists\n\
                 must specify -F to overwrite it",
                Exists,
            ),
            ("cannot release hold from snapshot 'tank/a@s': no such tag on this dataset", NotHeld),
            ("cannot destroy 'dest/busy': dataset is busy", Busy),
            ("cannot destroy 'dest/w/%recv': dataset is busy", Busy),
            (
                "cannot destroy snapshot tank/a b@s one: it's being held. \
                 Run 'zfs holds -r tank/a b@s one' to see holders.",
                Held,
            ),
            (
                "cannot rollback to 'dest/r@other': clones of previous snapshots exist\n\
                 use '-R' to force deletion of the following clones and dependents:\ndest/cl",
                Held,
            ),
            ("cannot receive new filesystem stream: out of space", OutOfSpace),
            ("cannot create snapshots : out of space", OutOfSpace),
            (
                "cannot receive incremental stream: destination dest/w space quota exceeded.",
                OutOfSpace,
            ),
            ("cannot create snapshots : permission denied", NotPermitted),
            ("cannot get event: permission denied", NotPermitted),
            ("cannot set property for 'old': pool is read-only", NotPermitted),
            // From OpenZFS's lib/libzfs/libzfs_util.c.
            ("cannot open 'tank': pool I/O is currently suspended", Suspended),
        ]);
    }

    #[test]
    fn what_the_destination_does_not_take() {
        each_gives(&[
            (
                "cannot receive incremental stream: destination dest/r has been modified\n\
                 since most recent snapshot",
                Modified,
            ),
            (
                "cannot receive incremental stream: most recent snapshot of dest/un does not\n\
                 match incremental source",
                NoCommonSnapshot,
            ),
            (
                "cannot receive incremental stream: destination dest/p contains \
                 partially-complete state from \"zfs receive -s\".",
                PartialState,
            ),
            (
                "cannot rollback to 'dest/w@1': clones of previous snapshots exist\n\
                 use '-R' to force deletion of the following clones and dependents:\ndest/w/%recv",
                PartialState,
            ),
            (
                "cannot receive incremental stream: incremental send stream requires -L \
                 (--large-block), to match previous receive.",
                NeedsLargeBlocks,
            ),
            (
                "cannot receive new filesystem stream: incompatible embedded data stream feature \
                 with encrypted receive.",
                EmbeddedBlocks,
            ),
            (
                "cannot receive resume stream: kernel modules must be upgraded to receive this \
                 stream.",
                UnsupportedStream,
            ),
            (
                "cannot receive new filesystem stream: pool must be upgraded to receive this \
                 stream.",
                UnsupportedStream,
            ),
            (
                "cannot receive incremental stream: IV set guid mismatch. See the 'zfs receive' \
                 man page section\n discussing the limitations of raw encrypted send streams.",
                OtherKey,
            ),
            (
                "cannot receive incremental stream: cannot perform raw receive on top of existing \
                 unencrypted dataset",
                OtherKey,
            ),
            ("cannot receive incremental stream: encryption key does not match", OtherKey),
            ("cannot receive incremental stream: inherited key must be loaded", KeyNotLoaded),
            ("cannot receive: failed to read from stream", BadStream),
            ("cannot receive: invalid stream (bad magic number)", BadStream),
            (
                "cannot receive new filesystem stream: checksum mismatch or incomplete stream.\n\
                 Partially received snapshot is saved.\nA resuming stream can be generated on the \
                 sending system by running:\n    zfs send -t 1-991cc5d87-b8-789c63",
                BadStream,
            ),
            ("'tank/fs' does not have any resumable receive state to abort", NothingToAbort),
        ]);
    }

    #[test]
    fn what_can_not_be_sent() {
        each_gives(&[
            ("warning: cannot send 'tank/enc@s': dataset key must be loaded", KeyNotLoaded),
            ("cannot resume send: 'tank/b@2' used in the initial send no longer exists", BaseGone),
            (
                "cannot resume send: incremental source 0xe1f31e43b010223a no longer exists",
                BaseGone,
            ),
            (
                "warning: cannot send 'tank/a@two': incremental source (tank/a#gone) does not \
                 exist",
                BaseGone,
            ),
            ("warning: cannot send 'tank/a b@s two': No such process", BaseGone),
            (
                "warning: cannot send 'tank/a b@s one': not an earlier snapshot from the same fs",
                BaseGone,
            ),
            ("warning: cannot send 'tank/a@s': Invalid cross-device link", OtherDevice),
            ("cannot resume send: resume token is corrupt (incorrect checksum)", CorruptToken),
            ("cannot resume send: resume token is corrupt (invalid version 2)", CorruptToken),
            ("cannot resume send: resume token is corrupt (invalid format)", CorruptToken),
        ]);
    }

    #[test]
    fn a_name_that_sounds_like_a_reason_is_none() {
        let dataset = "tank/out of space/must specify -F";
        for message in [
            "",
            "internal error",
            "cannot open 'tank/does not exist': I/O error",
            "'tank/out of space' can't be put into 'x'",
            "cannot restore to tank/out of space/must specify -F@x: I/O error",
        ] {
            assert_eq!(Reason::of(message, dataset), None, "{message}");
        }
        let message = "cannot receive incremental stream: destination \
            tank/out of space/must specify -F has been modified\nsince most recent snapshot";
        assert_eq!(Reason::of(message, dataset), Some(Modified));
        assert_eq!(Reason::of(message, &format!("{dataset}@already exists")), Some(Modified));
    }

    #[test]
    fn a_pool_that_is_called_like_a_word_hides_no_reason() {
        let message = "cannot destroy 'dataset': dataset is busy";
        assert_eq!(Reason::of(message, "dataset"), Some(Busy));
    }
}
