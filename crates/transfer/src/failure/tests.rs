use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::Class::*;
use super::*;

/// What `zfs` failed with, on `tank/a`.
#[derive(Debug, thiserror::Error)]
#[error("cannot try")]
struct Tried(#[source] CommandError);

impl OperationError for Tried {
    fn operation(&self) -> &'static str {
        "try"
    }

    fn subject(&self) -> &str {
        "tank/a"
    }

    fn command_error(&self) -> &CommandError {
        &self.0
    }
}

fn said(words: &str) -> Tried {
    let status = ExitStatus::from_raw(1 << 8);
    Tried(CommandError::Failed { status, message: words.to_owned() })
}

fn not_started(kind: ErrorKind) -> Tried {
    let source = io::Error::from(kind);
    Tried(CommandError::NotStarted { program: "zfs".to_owned(), source })
}

/// ZFS's words, the exit status, and the class at the destination and at a source that says so.
const WORDS: [(Reason, &str, u8, Class, Class); 22] = {
    use Reason as R;
    [
        (R::NotFound, "dataset does not exist", 6, Permanent, NotThisSource),
        (R::NotAFilesystem, "parent is not a filesystem", 6, Permanent, NotThisSource),
        (R::Exists, "dataset already exists", 6, Permanent, NotThisSource),
        (R::NotHeld, "no such tag on this dataset", 6, Permanent, NotThisSource),
        (R::Held, "it's being held", 6, Permanent, NotThisSource),
        (R::Busy, "dataset is busy", 6, Transient, Transient),
        (R::OutOfSpace, "out of space", 6, Permanent, NotThisSource),
        (R::Suspended, "pool I/O is currently suspended", 1, Transient, Transient),
        (R::NotPermitted, "permission denied", 6, Permanent, NotThisSource),
        (R::KeyNotLoaded, "inherited key must be loaded", 6, Permanent, NotThisSource),
        (R::OtherKey, "encryption key does not match", 6, NotThisSource, NotThisSource),
        (R::Modified, "has been modified since most recent snapshot", 6, Transient, NotThisSource),
        (R::NoCommonSnapshot, "does not match incremental source", 6, Transient, NotThisSource),
        (R::PartialState, "contains partially-complete state", 6, Transient, NotThisSource),
        (R::NeedsLargeBlocks, "requires -L (--large-block)", 6, NotThisSource, NotThisSource),
        (
            R::EmbeddedBlocks,
            "incompatible embedded data stream feature",
            6,
            NotThisSource,
            NotThisSource,
        ),
        (
            R::UnsupportedStream,
            "pool must be upgraded to receive this stream",
            6,
            Unknown,
            NotThisSource,
        ),
        (R::BadStream, "checksum mismatch or incomplete stream", 1, Transient, NotThisSource),
        (R::BaseGone, "No such process", 6, NotThisSource, NotThisSource),
        (R::OtherDevice, "Invalid cross-device link", 6, NotThisSource, NotThisSource),
        (R::CorruptToken, "resume token is corrupt", 6, NotThisSource, NotThisSource),
        (
            R::NothingToAbort,
            "does not have any resumable receive state to abort",
            1,
            Unknown,
            NotThisSource,
        ),
    ]
};

#[test]
fn each_of_zfs_reasons_has_its_exit_status_and_its_class_on_either_side() {
    for (reason, words, status, at_destination, at_source) in WORDS {
        let error = said(words);
        assert_eq!(error.reason(), Some(reason), "{words}");
        let here = Trouble::at_destination(&error);
        assert_eq!((here.failure.exit_status(), here.class), (status, at_destination), "{words}");
        assert_eq!(here.failure.reason, words);
        assert_ne!(here.failure.remedy, "", "{words}");
        let there = Trouble::at_source(zfs_failure(&error));
        assert_eq!((there.failure.exit_status(), there.class), (status, at_source), "{words}");
    }
}

#[test]
fn words_that_nobody_knows_are_tried_again_but_not_for_ever() {
    for (words, look_into) in [("", "dmesg"), ("internal error", "what ZFS said")] {
        let error = said(words);
        let here = Trouble::at_destination(&error);
        assert!(here.failure.remedy.contains(look_into), "{}", here.failure.remedy);
        assert_eq!((here.failure.exit_status(), here.class), (1, Unknown), "{words}");
        assert_eq!(Trouble::at_source(zfs_failure(&error)).class, Unknown, "{words}");
    }
}

#[test]
fn a_zfs_that_is_not_there_stays_away_and_one_that_can_not_start_now_may_later() {
    for (kind, class) in [
        (ErrorKind::NotFound, Permanent),
        (ErrorKind::PermissionDenied, Permanent),
        (ErrorKind::OutOfMemory, Transient),
        (ErrorKind::WouldBlock, Transient),
    ] {
        let error = not_started(kind);
        let here = Trouble::at_destination(&error);
        assert_eq!((here.failure.exit_status(), here.class), (1, class), "{kind:?}");
    }
}

#[test]
fn what_a_source_answers_without_zfs_says_whether_to_ask_it_again() {
    for (code, class) in [
        (Code::Offline, Transient),
        (Code::Unreachable, Transient),
        (Code::Failed, Unknown),
        (Code::Refused, NotThisSource),
        (Code::NoSuchDataset, NotThisSource),
        (Code::OtherProtocol, NotThisSource),
    ] {
        let failure = Failure::new(code, "send", "tank/a", "for its own reasons", "");
        assert_eq!(Trouble::at_source(failure).class, class, "{code:?}");
    }
}

#[test]
fn a_snapshot_that_is_there_by_now_is_no_reason_to_give_up() {
    let class = |reason: &str| {
        let failure = Failure::new(Code::Refused, "take a snapshot of", "tank/a", reason, "");
        Trouble::at_snapshot(failure).class
    };
    assert_eq!(class("it has one by now"), Transient);
    assert_eq!(class("dataset already exists"), Transient);
    assert_eq!(class("dataset is busy"), Transient);
    assert_eq!(class("out of space"), Permanent);
    assert_eq!(class("permission denied"), Permanent);
    let away = Failure::new(Code::Offline, "take a snapshot of", "tank/a", "it is off", "");
    assert_eq!(Trouble::at_snapshot(away).class, Transient);
}
