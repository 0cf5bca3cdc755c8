//! What goes wrong at the tracker, in the words of those who have to do something about it.

use catalogue::{
    LookupError, MachineId, NameTaken, NoSuchMachine, PatternError, Role, SessionError,
};
use schema::{Code, Failure, Place};
use sturdyref::Fingerprint;
use zfs::{DatasetPath, PoolName, SnapshotName};

use schema::text::utc;

/// Nobody answers for a place.
pub(crate) fn lookup(operation: &str, place: &Place, error: &LookupError) -> Failure {
    let failure =
        |code, reason: String, remedy: String| Failure::new(code, operation, place, reason, remedy);
    match error {
        LookupError::NoSuchPlace { near } if near.is_empty() => failure(
            Code::NoSuchPlace,
            error.to_string(),
            "No machine has registered a pool yet; start an agent.".to_owned(),
        ),
        LookupError::NoSuchPlace { near } => failure(
            Code::NoSuchPlace,
            error.to_string(),
            format!("The nearest known places are: {}", join(near)),
        ),
        LookupError::MachineOffline { last_seen, .. } => failure(
            Code::Offline,
            format!("{error}; it was last seen on {}", utc(*last_seen)),
            "Start its agent, or name another place.".to_owned(),
        ),
        LookupError::PoolUnavailable { last_seen } => failure(
            Code::Offline,
            match last_seen {
                Some(seen) => format!("{error}; it was last seen on {}", utc(*seen)),
                None => error.to_string(),
            },
            "Import the pool there, or name another place.".to_owned(),
        ),
    }
}

/// No replica of a dataset is known.
pub(crate) fn no_such_dataset(operation: &str, name: &str) -> Failure {
    Failure::new(
        Code::NoSuchDataset,
        operation,
        name,
        "no machine has told of a dataset of this name",
        "`cli show` lists all datasets.",
    )
}

/// The dataset is elsewhere, or no replica of the one that was asked for.
pub(crate) fn not_there(dataset: &DatasetPath, place: &Place, wanted: &DatasetPath) -> Failure {
    let reason = if dataset == wanted {
        format!("it is not on {place}")
    } else {
        format!("it is not on {place}, or shares no snapshot with '{wanted}'")
    };
    let remedy = format!("`cli show '{dataset}'` lists where it is.");
    Failure::new(Code::NoSuchPlace, "read", dataset, reason, remedy)
}

/// A snapshot is in another pool than the place's.
pub(crate) fn other_pool(operation: &str, snapshot: &SnapshotName, place: &Place) -> Failure {
    let reason = format!("it is not in the pool of {place}");
    let remedy = "`cli holds` lists each hold with its place.";
    Failure::new(Code::Usage, operation, snapshot, reason, remedy)
}

/// A way round was asked for again, for one offer.
pub(crate) fn used(place: &Place) -> Failure {
    let remedy = "Ask for another offer.";
    Failure::new(Code::Refused, "bring data from", place, "this offer was used already", remedy)
}

/// A receiver names addresses, none of which it comes from.
pub(crate) fn elsewhere(place: &Place) -> Failure {
    let reason = "the tracker sees this machine at another address than it has itself";
    let remedy = "See to it that the machines can reach each other, or the tracker's address.";
    Failure::new(Code::Unreachable, "be dialled from", place, reason, remedy)
}

/// A text that should be a name, and isn't.
pub(crate) fn illegal(operation: &str, text: &str, error: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Usage, operation, text, error, "Check how it is written.")
}

/// A listing's pattern is none.
pub(crate) fn pattern(pattern: &str, error: &PatternError) -> Failure {
    let remedy = "Give a dataset's name, or a glob in quotes: 'a*', '*/b', '{a,b}'.";
    Failure::new(Code::Usage, "list", pattern, error, remedy)
}

/// A machine's name is another's.
pub(crate) fn name_taken(machine: &MachineId, error: &NameTaken) -> Failure {
    let owner = Fingerprint(error.owner.0);
    Failure::new(
        Code::Refused,
        "register",
        machine,
        format!("{error} ({owner})"),
        format!(
            "Give this one another --name. If it is to take the other's place, run on the \
             tracker's machine: tracker forget '{machine}'"
        ),
    )
}

/// A session's word doesn't count.
pub(crate) fn session(error: &SessionError) -> capnp::Error {
    match error {
        SessionError::Over => capnp::Error::disconnected(error.to_string()),
        SessionError::UnknownPool(_) => capnp::Error::failed(error.to_string()),
    }
}

/// A pool holds more than the tracker takes in.
pub(crate) fn too_large(pool: &PoolName, most: usize) -> Failure {
    let reason = format!("it tells of more than {most} datasets, snapshots and bookmarks");
    let remedy = "Keep fewer snapshots and bookmarks in this pool.";
    Failure::new(Code::Failed, "take in the update of", pool, reason, remedy)
}

/// There is no such machine to forget.
pub(crate) fn no_such_machine(machine: &MachineId, error: &NoSuchMachine) -> Failure {
    let remedy = "`cli show --long` lists the machines that hold datasets.";
    Failure::new(Code::NoSuchPlace, "forget", machine, error, remedy)
}

/// A capability was voided by a later one, or its location was taken away.
pub(crate) fn void(role: &Role, why: &str, remedy: String) -> Failure {
    Failure::new(Code::Refused, "use", format!("{role}.cap"), why, remedy)
}

/// What was to be kept could not be written to disk.
pub(crate) fn not_saved(operation: &str, subject: impl std::fmt::Display) -> Failure {
    Failure::new(
        Code::Failed,
        operation,
        subject,
        "the tracker cannot write its catalogue",
        "The tracker's log says why; it ends until that is mended.",
    )
}

fn join(places: &[Place]) -> String {
    places.iter().map(Place::to_string).collect::<Vec<_>>().join(", ")
}

/// The old capability is void, but there is no file of the new one.
pub(crate) fn reissued_unwritten(role: &Role, error: impl std::fmt::Display) -> Failure {
    let reason = format!("the old one is void, but the new one was not written: {error}");
    let remedy = "Mend that, then start the tracker again: it writes what is missing.";
    Failure::new(Code::Failed, "reissue", role, reason, remedy)
}
