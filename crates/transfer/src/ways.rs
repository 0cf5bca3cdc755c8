//! Ways by which machines were not reached of late, so that not every dataset waits for the same firewall.
//!
//! Pure: the time is an argument.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use schema::{Location, Machine, Place};

use crate::dial::Avoided;
use crate::report::Route;

/// A way is tried again after so long: a transfer of days must not take the relay since a link was down for
/// a moment before it began.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What all transfers of a process remember of the ways to other machines. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Ways(Arc<Mutex<Closed>>);

/// The ways that lead nowhere, and until when that counts.
type Closed = HashMap<(Location, Machine), BTreeMap<Route, Instant>>;

impl Ways {
    fn all(&self) -> MutexGuard<'_, Closed> {
        // A map is whole after each of its calls, whatever became of the caller.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ways to a place's machine that are not worth a try.
    pub(crate) fn closed(&self, place: &Place, now: Instant) -> Avoided {
        let all = self.all();
        let ways = all.get(&machine(place)).into_iter().flatten();
        ways.filter(|(_, until)| now < **until).map(|(route, _)| *route).collect()
    }

    /// The machine was reached, and not by these ways.
    pub(crate) fn close(&self, place: &Place, in_vain: &Avoided, now: Instant) {
        if !in_vain.is_empty() {
            let until = in_vain.iter().map(|route| (*route, now + REMEMBERED));
            self.all().entry(machine(place)).or_default().extend(until);
        }
    }

    /// The machine was not reached at all: that says nothing of the ways, and all are to be tried again.
    pub(crate) fn open(&self, place: &Place) {
        self.all().remove(&machine(place));
    }
}

fn machine(place: &Place) -> (Location, Machine) {
    (place.location.clone(), place.machine.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        name.parse().unwrap()
    }

    #[test]
    fn a_way_that_led_nowhere_is_left_for_a_while_for_all_of_a_machines_pools() {
        let (ways, begin) = (Ways::default(), Instant::now());
        let direct = Avoided::from([Route::Direct]);
        ways.clone().close(&place(r"dc\m\tank"), &direct, begin);
        let just_before = begin + REMEMBERED - Duration::from_secs(1);
        assert_eq!(ways.closed(&place(r"dc\m\spare"), just_before), direct);
        assert!(ways.closed(&place(r"dc\other\tank"), begin).is_empty());
        assert!(ways.closed(&place(r"dc\m\tank"), begin + REMEMBERED).is_empty());
    }

    #[test]
    fn each_way_has_its_own_time() {
        let (ways, begin, to) = (Ways::default(), Instant::now(), place(r"dc\m\tank"));
        let (direct, back) = (Route::Direct, Route::DialledBySender);
        ways.close(&to, &Avoided::from([direct]), begin);
        ways.close(&to, &Avoided::from([back]), begin + REMEMBERED / 2);
        assert_eq!(ways.closed(&to, begin + REMEMBERED / 2), Avoided::from([direct, back]));
        assert_eq!(ways.closed(&to, begin + REMEMBERED), Avoided::from([back]));
    }

    #[test]
    fn nothing_is_held_against_the_ways_to_a_machine_that_is_away() {
        let (ways, begin, to) = (Ways::default(), Instant::now(), place(r"dc\m\tank"));
        ways.close(&to, &Avoided::from([Route::Direct]), begin);
        ways.open(&to);
        assert!(ways.closed(&to, begin).is_empty());
    }
}
