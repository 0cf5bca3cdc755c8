//! What happens to the source between two transfers, and which streams it should come to.

use tests::Machine;

use crate::data::Data;

/// A stretch of a dataset's life that ends in a transfer.
pub(crate) struct Chapter {
    /// For messages.
    pub(crate) what: &'static str,
    /// Changes the data; the newest snapshot is taken last.
    pub(crate) happens: fn(&mut Data, &Machine),
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
pub(crate) const CHAPTERS: [Chapter; 6] = [
    Chapter {
        what: "the first transfer is of the whole",
        happens: |data, source| data.take(source, "one"),
        flags: &[],
        streams: &[(None, "one")],
    },
    Chapter {
        what: "an increment from a snapshot",
        happens: |data, source| {
            data.change(source);
            data.take(source, "two");
        },
        flags: &[],
        streams: &[(Some(Base::Snapshot("one")), "two")],
    },
    Chapter {
        what: "an increment from our bookmark, when the snapshot has been destroyed",
        happens: |data, source| {
            source.zfs(&["destroy", &data.at("two")]);
            data.change(source);
            data.take(source, "three");
        },
        flags: &[],
        streams: &[(Some(Base::Bookmark("two")), "three")],
    },
    Chapter {
        what: "an increment from a snapshot that was renamed",
        happens: |data, source| {
            source.zfs(&["rename", &data.at("three"), &data.at("the third")]);
            data.change(source);
            data.take(source, "four");
        },
        flags: &[],
        streams: &[(Some(Base::Snapshot("the third")), "four")],
    },
    Chapter {
        what: "an increment when all but its base has been destroyed",
        happens: |data, source| {
            let kinds = ["list", "-H", "-d", "1", "-t", "snapshot,bookmark", "-o", "name"];
            let listed = source.zfs(&[&kinds[..], &[&data.name()]].concat());
            for pruned in listed.lines().filter(|name| *name != data.at("four")) {
                source.zfs(&["destroy", pruned]);
            }
            data.change(source);
            data.take(source, "five");
        },
        flags: &[],
        streams: &[(Some(Base::Snapshot("four")), "five")],
    },
    Chapter {
        what: "with --all-snapshots, each one between",
        happens: |data, source| {
            for label in ["six", "seven", "eight", "nine"] {
                data.change(source);
                data.take(source, label);
            }
        },
        flags: &["--all-snapshots"],
        streams: &[
            (Some(Base::Snapshot("five")), "six"),
            (Some(Base::Snapshot("six")), "seven"),
            (Some(Base::Snapshot("seven")), "eight"),
            (Some(Base::Snapshot("eight")), "nine"),
        ],
    },
];
