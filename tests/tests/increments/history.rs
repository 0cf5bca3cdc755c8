//! What happens to the source between two transfers, and which streams it should come to.

use tests::Machine;

use crate::data::Data;

/// A stretch of a dataset's life that ends in a transfer.
pub(crate) struct Chapter {
    /// For messages.
    pub(crate) what: &'static str,
    /// Changes the data, and returns the snapshots that it took, oldest first.
    pub(crate) happens: fn(&mut Data, &Machine) -> &'static [&'static str],
    /// Arguments of the transfer.
    pub(crate) flags: &'static [&'static str],
    /// Each stream's base (`None`: it is whole) and snapshot, under their names at the source.
    pub(crate) streams: &'static [(Option<Base>, &'static str)],
}

/// What a stream starts from.
pub(crate) enum Base {
    Snapshot(&'static str),
    /// The bookmark that we made of the snapshot that had this name.
    Bookmark(&'static str),
}

/// Each builds on those before it.
pub(crate) const ALL: &[Chapter] = &[
    Chapter {
        what: "the first transfer is of the whole",
        happens: |data, source| take(data, source, &["one"]),
        flags: &[],
        streams: &[(None, "one")],
    },
    Chapter {
        what: "an increment from a snapshot",
        happens: |data, source| {
            data.change(source);
            take(data, source, &["two"])
        },
        flags: &[],
        streams: &[(Some(Base::Snapshot("one")), "two")],
    },
    Chapter {
        what: "an increment from our bookmark, when the snapshot has been destroyed",
        happens: |data, source| {
            data.change(source);
            let taken = take(data, source, &["three"]);
            destroy(data, source, "@two");
            taken
        },
        flags: &[],
        streams: &[(Some(Base::Bookmark("two")), "three")],
    },
    Chapter {
        what: "an increment from a snapshot that was renamed",
        happens: |data, source| {
            data.change(source);
            let name = data.name();
            source.zfs(&["rename", &format!("{name}@three"), &format!("{name}@the third")]);
            take(data, source, &["four"])
        },
        flags: &[],
        streams: &[(Some(Base::Snapshot("the third")), "four")],
    },
    Chapter {
        what: "an increment when all but its base has been destroyed",
        happens: |data, source| {
            data.change(source);
            let taken = take(data, source, &["five"]);
            let kinds = ["list", "-H", "-d", "1", "-t", "snapshot,bookmark", "-o", "name"];
            let listed = source.zfs(&[&kinds[..], &[&data.name()]].concat());
            let kept = ["@four", "@five"];
            for pruned in listed.lines().filter(|name| !kept.iter().any(|it| name.ends_with(it))) {
                source.zfs(&["destroy", pruned]);
            }
            taken
        },
        flags: &[],
        streams: &[(Some(Base::Snapshot("four")), "five")],
    },
    Chapter {
        what: "with --all-snapshots, each one between",
        happens: |data, source| take_between(data, source, &["six", "seven", "eight", "nine"]),
        flags: &["--all-snapshots"],
        streams: &[
            (Some(Base::Snapshot("five")), "six"),
            (Some(Base::Snapshot("six")), "seven"),
            (Some(Base::Snapshot("seven")), "eight"),
            (Some(Base::Snapshot("eight")), "nine"),
        ],
    },
];

/// From a snapshot and from a bookmark.
pub(crate) const FIRST_THREE: &[Chapter] = ALL.split_at(3).0;

/// Takes the snapshots one after the other, without a change between.
fn take(data: &Data, source: &Machine, labels: &'static [&'static str]) -> &'static [&'static str] {
    for label in labels {
        source.zfs(&["snapshot", &format!("{}@{label}", data.name())]);
    }
    labels
}

/// Changes the data before each.
fn take_between(
    data: &mut Data,
    source: &Machine,
    labels: &'static [&'static str],
) -> &'static [&'static str] {
    for label in labels.chunks(1) {
        data.change(source);
        take(data, source, label);
    }
    labels
}

fn destroy(data: &Data, source: &Machine, what: &str) {
    source.zfs(&["destroy", &format!("{}{what}", data.name())]);
}
