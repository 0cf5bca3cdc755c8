//! `cli holds --release`: lets go of a transfer's holds, or of one of them.

use program::say;
use schema::hold::Unasked;
use schema::{Code, Failure, Location, Machine, outcome, wire};
use zfs::{Escaped, SnapshotName};

use super::Held;
use crate::names::{parse, unusable};
use crate::tracker::Tracker;

/// What to let go of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Release {
    tag: String,
    /// This one alone.
    snapshot: Option<(Location, Machine, SnapshotName)>,
}

impl Release {
    pub(super) fn parse(tag: String, snapshot: Option<&str>) -> Result<Self, Failure> {
        Ok(Self { tag, snapshot: snapshot.map(parse_snapshot).transpose()? })
    }

    fn fits(&self, held: &Held) -> bool {
        held.tag == self.tag
            && self.snapshot.as_ref().is_none_or(|(location, machine, snapshot)| {
                (location, machine, snapshot)
                    == (&held.place.location, &held.place.machine, &held.snapshot)
            })
    }

    /// Lets go of all that fit, and says so of each; one that can't be let go of is no reason to
    /// keep the others.
    pub(super) async fn carry_out(
        &self,
        tracker: &Tracker,
        holds: &[Held],
        unasked: &[Unasked],
    ) -> Result<(), Failure> {
        let (mut found, mut failed) = (false, None);
        for held in holds.iter().filter(|held| self.fits(held)) {
            found = true;
            match release(tracker, held).await {
                Ok(()) => {
                    say(format_args!("released {} of {}", Escaped(&held.tag), held.subject()))
                }
                Err(failure) if failed.is_none() => failed = Some(failure),
                Err(failure) => say(failure),
            }
        }
        match failed {
            Some(failure) => Err(failure),
            None if found => Ok(()),
            None => Err(self.none(unasked)),
        }
    }

    fn none(&self, unasked: &[Unasked]) -> Failure {
        let subject = match &self.snapshot {
            Some((location, machine, snapshot)) => {
                format!("{} of {location}\\{machine}\\{snapshot}", self.tag)
            }
            None => self.tag.clone(),
        };
        let in_doubt = |unasked: &&Unasked| {
            self.snapshot.as_ref().is_none_or(|(location, machine, snapshot)| {
                let machine = format!(r"{location}\{machine}");
                let pool = format!(r"{machine}\{}", snapshot.dataset().pool());
                [machine, pool].contains(&unasked.place)
            })
        };
        let in_doubt: Vec<_> =
            unasked.iter().filter(in_doubt).map(|it| it.place.as_str()).collect();
        let (code, reason, remedy) = if in_doubt.is_empty() {
            let remedy = "See what is held with: cli --connect user.cap holds";
            (Code::NoSuchPlace, "there is no such hold".to_owned(), remedy)
        } else {
            let reason = format!("nobody who was asked has it; not asked: {}", in_doubt.join(", "));
            (Code::Offline, reason, "Run the command again when those can be asked.")
        };
        Failure::new(code, "release the hold", subject, reason, remedy)
    }
}

/// `LOCATION\MACHINE\POOL/PATH@NAME`; `/` is taken for `\`, because shells eat backslashes.
fn parse_snapshot(text: &str) -> Result<(Location, Machine, SnapshotName), Failure> {
    const WHAT: &str = "argument of --snapshot";
    let mut parts = text.splitn(3, ['\\', '/']);
    let (Some(location), Some(machine), Some(snapshot)) =
        (parts.next(), parts.next(), parts.next())
    else {
        let form = r"write it as LOCATION\MACHINE\POOL/PATH@NAME";
        return Err(unusable(WHAT, format!("'{}' names no snapshot: {form}", Escaped(text))));
    };
    Ok((parse(WHAT, location)?, parse(WHAT, machine)?, parse(WHAT, &snapshot.replace('\\', "/"))?))
}

async fn release(tracker: &Tracker, held: &Held) -> Result<(), Failure> {
    let asked = async {
        let mut request = tracker.fleet.release_request();
        wire::write_place(request.get().init_place(), &held.place);
        request.get().set_snapshot(held.snapshot.to_string());
        request.get().set_tag(&held.tag);
        let answer = request.send().promise.await?;
        outcome::read(answer.get()?.get_outcome()?).map(|done| done.map(drop))
    };
    let exception = |error| Failure::from_exception("release the hold of", held.subject(), &error);
    asked.await.map_err(exception)?
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn a_tag_fits_all_its_holds_and_a_snapshot_one_of_them() {
        let holds = [
            example(r"dc\m\tank/a@s", "zatlas-m-00"),
            example(r"dc\m\tank/a@t", "zatlas-m-00"),
            example(r"dc\n\tank/a@s", "zatlas-m-00"),
            example(r"dc\m\tank/a@s", "zatlas-m-01"),
        ];
        let fitting = |tag: &str, snapshot| {
            let release = Release::parse(tag.to_owned(), snapshot).unwrap();
            let fits = |(index, held)| release.fits(held).then_some(index);
            (0..).zip(&holds).filter_map(fits).collect::<Vec<usize>>()
        };
        assert_eq!(fitting("zatlas-m-00", None), [0, 1, 2]);
        for one in [r"dc\m\tank/a@s", "dc/m/tank/a@s", r"dc\m\tank\a@s"] {
            assert_eq!(fitting("zatlas-m-00", Some(one)), [0], "{one}");
            assert_eq!(fitting("zatlas-m-01", Some(one)), [3], "{one}");
        }
        assert!(fitting("zatlas-m", None).is_empty());
    }

    #[test]
    fn what_names_no_snapshot_is_a_usage_error() {
        for text in ["", "tank/a@s", r"dc\m\tank/a", r"dc\m\", "dc\\\x1b[2J\\tank/a@s"] {
            let failure = Release::parse("tag".to_owned(), Some(text)).unwrap_err();
            assert_eq!(failure.exit_status(), 2, "{text}");
            assert!(!failure.to_string().contains('\x1b'));
        }
    }

    #[test]
    fn that_there_is_none_is_told_apart_from_not_having_asked_all() {
        let release = Release::parse("zatlas-m-00".to_owned(), Some(r"dc\m\tank/a@s")).unwrap();
        let failure = release.none(&[]);
        assert_eq!(failure.exit_status(), 3);
        assert!(failure.to_string().contains(r"'zatlas-m-00 of dc\m\tank/a@s': there is no such"));
        let unasked = |place: &str| Unasked { place: place.to_owned(), reason: String::new() };
        for (place, status) in [(r"dc\m", 5), (r"dc\m\tank", 5), (r"dc\m\spare", 3), (r"dc\n", 3)] {
            assert_eq!(release.none(&[unasked(place)]).exit_status(), status, "{place}");
        }
        let release = Release::parse("zatlas-m-00".to_owned(), None).unwrap();
        let failure = release.none(&[unasked(r"dc\n"), unasked(r"dc\o\tank")]);
        assert_eq!(failure.exit_status(), 5);
        assert!(failure.reason.ends_with(r"not asked: dc\n, dc\o\tank"), "{failure}");
    }
}
