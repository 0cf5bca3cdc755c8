//! Which datasets `-r` is about, and what each becomes.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use schema::{Code, Failure, Place, Replica};
use zfs::{DatasetPath, Escaped, Guid};

use crate::args::Wish;
use crate::command::Item;
use crate::names::{Wanted, unusable};
use crate::output::Destination;

/// The rules.
pub(crate) struct Selection {
    root: DatasetPath,
    target: DatasetPath,
    /// Only what is there.
    from: Option<Place>,
    /// What is there under its target's name is the destination, and no source.
    to: Option<Place>,
    /// `None`: all.
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Selection {
    /// By the command line; `target` is what the wanted dataset itself becomes.
    pub(crate) fn new(
        wish: &Wish,
        wanted: &Wanted,
        destination: &Destination,
        target: &DatasetPath,
    ) -> Result<Self, Failure> {
        let include = globs("argument of --include", &wish.recursion.include)?;
        Ok(Self {
            root: wanted.dataset.clone(),
            target: target.clone(),
            from: wanted.from.clone(),
            to: match destination {
                Destination::Here => None,
                Destination::There(place) => Some(place.clone()),
            },
            include: (!include.is_empty()).then_some(include),
            exclude: globs("argument of --exclude", &wish.recursion.exclude)?,
        })
    }

    /// What to ask the tracker for. No dataset's name has a character that means something in it.
    pub(crate) fn pattern(&self) -> String {
        format!("{{{0},{0}/*}}", self.root)
    }

    /// The datasets, each before those below it. `own`: what is in the destination's pool already
    /// where that is this machine's, by its own GUID.
    pub(crate) fn items(
        &self,
        replicas: &[Replica],
        own: &BTreeMap<DatasetPath, Guid>,
    ) -> Result<Vec<Item>, Failure> {
        let items = replicas.iter().filter_map(|replica| {
            let below = below(&self.root, &replica.name)?;
            if !self.takes(&replica.name)
                || self.from.as_ref().is_some_and(|from| *from != replica.place)
            {
                return None;
            }
            let target = format!("{}{below}", self.target).parse::<DatasetPath>();
            match target {
                Ok(target) if self.is_target(&target, replica, own) => None,
                Ok(target) => Some(Ok((replica.name.clone(), target))),
                Err(error) => Some(Err(Failure::new(
                    Code::Usage,
                    "transfer",
                    &replica.name,
                    error,
                    "Give the destination a shorter name.",
                ))),
            }
        });
        let items = items.collect::<Result<BTreeSet<_>, _>>()?;
        // A name is sorted before all that it is the beginning of.
        Ok(items.into_iter().map(|(dataset, target)| Item { dataset, target }).collect())
    }

    fn takes(&self, name: &DatasetPath) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(name.as_str()))
            && !self.exclude.is_match(name.as_str())
    }

    fn is_target(
        &self,
        target: &DatasetPath,
        replica: &Replica,
        own: &BTreeMap<DatasetPath, Guid>,
    ) -> bool {
        self.to.as_ref() == Some(&replica.place) && *target == replica.name
            || own.get(target) == Some(&replica.properties.guid)
    }
}

/// What follows the name of `root` in the name of one of its descendants, or its own.
fn below<'a>(root: &DatasetPath, name: &'a DatasetPath) -> Option<&'a str> {
    let below = name.as_str().strip_prefix(root.as_str())?;
    (below.is_empty() || below.starts_with('/')).then_some(below)
}

/// As `show` takes patterns: `*` also matches `/`.
fn globs(what: &str, patterns: &[String]) -> Result<GlobSet, Failure> {
    let wrong = |error: globset::Error| unusable(what, Escaped(&error.to_string()));
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(GlobBuilder::new(pattern).build().map_err(wrong)?);
    }
    set.build().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use zfs::{Kind, Properties};

    use super::*;
    use crate::args::{Args, Command};

    fn replica(place: &str, name: &str) -> Replica {
        Replica {
            place: place.parse().unwrap(),
            online: true,
            last_seen: 0,
            name: name.parse().unwrap(),
            properties: Properties {
                kind: Kind::Filesystem,
                guid: Guid(1),
                used: 0,
                referenced: 0,
                written: 0,
                encrypted: false,
                origin: None,
                inconsistent: false,
                resume_token: None,
            },
            snapshots: Vec::new(),
            bookmarks: Vec::new(),
            snapshot_count: 0,
            newest: None,
            sending: 0,
        }
    }

    const FLEET: [(&str, &str); 8] = [
        (r"dc\m\tank", "data"),
        (r"dc\m\tank", "data/a"),
        (r"dc\m\tank", "data/a/deep"),
        (r"dc\m\tank", "data/a-b"),
        (r"dc\n\pond", "data/a"),
        (r"dc\n\pond", "data/only here"),
        (r"dc\m\tank", "database"),
        (r"dc\m\tank", "other"),
    ];

    fn selection(
        flags: &[&str],
        destination: Destination,
        target: &str,
    ) -> Result<Selection, Failure> {
        let line = [&["cli", "download", "data", "-r"], flags].concat();
        let Command::Download(download) = Args::try_parse_from(line).unwrap().command else {
            panic!("a download was asked for")
        };
        let wanted = Wanted::parse("data", &download.wish, false)?;
        Selection::new(&download.wish, &wanted, &destination, &target.parse().unwrap())
    }

    fn items(flags: &[&str], destination: Destination, target: &str) -> Vec<String> {
        let replicas: Vec<Replica> =
            FLEET.iter().map(|(place, name)| replica(place, name)).collect();
        let selection = selection(flags, destination, target).unwrap();
        let items = selection.items(&replicas, &BTreeMap::new()).unwrap();
        items.into_iter().map(|Item { dataset, target }| format!("{dataset} to {target}")).collect()
    }

    #[test]
    fn it_is_the_dataset_and_all_below_it_parents_first() {
        assert_eq!(
            items(&[], Destination::Here, "x/y"),
            [
                "data to x/y",
                "data/a to x/y/a",
                "data/a-b to x/y/a-b",
                "data/a/deep to x/y/a/deep",
                "data/only here to x/y/only here",
            ]
        );
    }

    #[test]
    fn globs_choose_among_whole_names() {
        for (flags, expected) in [
            (&["--include=data/a*"][..], &["data/a", "data/a-b", "data/a/deep"][..]),
            (&["--include=data", "--include=*deep"], &["data", "data/a/deep"]),
            (&["--include=a"], &[]),
            (&["--exclude=data/a*"], &["data", "data/only here"]),
            (&["--include=data/?", "--exclude=*a"], &[]),
            (&[r"--from=dc\n\pond"], &["data/a", "data/only here"]),
        ] {
            let expected: Vec<String> =
                expected.iter().map(|name| format!("{name} to {name}")).collect();
            assert_eq!(items(flags, Destination::Here, "data"), expected, "{flags:?}");
        }
        let wrong = selection(&["--include=[\x1b"], Destination::Here, "data").err().unwrap();
        assert_eq!(wrong.exit_status(), 2);
        assert!(!wrong.to_string().contains('\x1b'), "{wrong}");
    }

    #[test]
    fn what_is_at_the_destination_alone_is_not_copied_onto_itself() {
        let pond = || Destination::There(r"dc\n\pond".parse().unwrap());
        assert!(
            !items(&[], pond(), "data").contains(&"data/only here to data/only here".to_owned())
        );
        assert!(items(&[], pond(), "data").contains(&"data/a to data/a".to_owned()));
        assert!(
            items(&[], pond(), "copy").contains(&"data/only here to copy/only here".to_owned())
        );
    }

    #[test]
    fn what_is_only_in_this_machines_own_target_is_not_downloaded_onto_itself() {
        let replicas = ["data", "data/a"].map(|name| {
            let mut here = replica(r"dc\here\home", name);
            here.properties.guid = Guid(7);
            [here, replica(r"dc\m\tank", "data")]
        });
        let own = ["data", "data/a"].map(|name| (name.parse().unwrap(), Guid(7)));
        for (target, expected) in [("data", &["data"][..]), ("copy", &["data", "data/a"])] {
            let selection = selection(&[], Destination::Here, target).unwrap();
            let items = selection.items(&replicas.concat(), &own.clone().into()).unwrap();
            let items: Vec<_> = items.iter().map(|item| item.dataset.as_str()).collect();
            assert_eq!(items, expected, "to {target}");
        }
    }

    #[test]
    fn a_name_that_would_be_too_long_is_refused_at_once() {
        let selection = selection(&[], Destination::Here, &"x".repeat(250)).unwrap();
        let failure = selection.items(&[replica(r"dc\m\t", "data/longer")], &BTreeMap::new());
        let failure = failure.unwrap_err();
        assert_eq!((failure.exit_status(), failure.subject.as_str()), (2, "data/longer"));
    }

    #[test]
    fn the_tracker_is_asked_for_the_dataset_and_what_is_below() {
        let pattern = selection(&[], Destination::Here, "data").unwrap().pattern();
        assert_eq!(pattern, "{data,data/*}");
        let matcher = GlobBuilder::new(&pattern).build().unwrap().compile_matcher();
        let matched = FLEET.iter().filter(|(_, name)| matcher.is_match(name)).count();
        assert_eq!(matched, 6);
    }
}
