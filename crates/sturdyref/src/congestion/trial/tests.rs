//! Trials over paths and sources that are simulated, a hundredth of a second at a time.

use super::*;

const STEP: Duration = Duration::from_millis(10);
const WINDOW: usize = 1 << 20;
const MESSAGE: usize = 64 << 10;
const MINUTE: u64 = 60;
/// More than any path takes, in bytes per second.
const PLENTY: usize = 100_000_000;

/// Bytes per second, by the time.
type Rate = fn(Duration) -> usize;

/// What there is to send, and what the path brings under each control.
struct Simulation {
    source: Rate,
    usual: Rate,
    bbr: Rate,
}

/// What came of it.
#[derive(Default)]
struct Seen {
    /// What was used when, from each of these times on.
    changes: Vec<(Duration, Control)>,
    bytes: usize,
}

impl Seen {
    /// In use at the end, and how often that changed.
    fn ends_with(&self) -> (Control, usize) {
        let last = self.changes.last().map_or(Control::Usual, |(_, control)| *control);
        (last, self.changes.len())
    }
}

impl Simulation {
    fn of(usual: Rate, bbr: Rate) -> Self {
        Self { source: |_| PLENTY, usual, bbr }
    }

    fn run(&self, seconds: u64) -> Seen {
        let (mut trial, mut control, mut seen) =
            (Trial::default(), Control::Usual, Seen::default());
        let (mut in_flight, mut arrived, mut is_full) = (0, 0, false);
        let part = |rate: usize| rate / 100;
        let mut now = Duration::ZERO;
        while now < Duration::from_secs(seconds) {
            now += STEP;
            let path = if control == Control::Usual { self.usual } else { self.bbr };
            let taken = part(path(now)).min(in_flight - arrived);
            arrived += taken;
            seen.bytes += taken;
            while arrived >= MESSAGE {
                (arrived, in_flight) = (arrived - MESSAGE, in_flight - MESSAGE);
                if let Some(next) = trial.arrived(now, MESSAGE) {
                    control = next;
                    seen.changes.push((now, next));
                }
                if std::mem::take(&mut is_full) {
                    trial.let_go(now);
                }
            }
            in_flight += part((self.source)(now)).min(WINDOW - in_flight);
            if in_flight == WINDOW && !is_full {
                is_full = true;
                trial.held_back(now);
            }
        }
        seen
    }
}

const fn slow(_: Duration) -> usize {
    300_000
}

const fn fast(_: Duration) -> usize {
    6_000_000
}

/// As BBR is where timers are coarse.
const fn coarse(_: Duration) -> usize {
    1_200_000
}

#[test]
fn the_one_stays_that_brings_more() {
    assert_eq!(Simulation::of(slow, fast).run(MINUTE).ends_with(), (Control::Bbr, 1));
    assert_eq!(Simulation::of(fast, coarse).run(MINUTE).ends_with(), (Control::Usual, 2));
}

#[test]
fn a_receiver_that_is_slow_under_both_leaves_the_usual_one() {
    assert_eq!(Simulation::of(coarse, coarse).run(MINUTE).ends_with(), (Control::Usual, 2));
}

#[test]
fn it_is_decided_within_the_first_ten_seconds() {
    let seen = Simulation::of(fast, coarse).run(10);
    assert_eq!(seen.ends_with(), (Control::Usual, 2));
}

#[test]
fn the_pauses_of_a_source_count_against_neither() {
    let cases: [(Rate, Rate, Control); 2] =
        [(fast, fast, Control::Usual), (slow, fast, Control::Bbr)];
    let sources: [Rate; 3] = [
        |now| if (2..6).contains(&now.as_secs()) { 0 } else { PLENTY },
        |now| if (3..600).contains(&now.as_secs()) { 0 } else { PLENTY },
        |now| if now.as_secs() % 3 == 2 { 0 } else { PLENTY },
    ];
    for (usual, bbr, stays) in cases {
        for (index, source) in sources.into_iter().enumerate() {
            let seen = Simulation { source, ..Simulation::of(usual, bbr) }.run(11 * MINUTE);
            assert_eq!(seen.ends_with().0, stays, "source {index}: {:?}", seen.changes);
        }
    }
}

#[test]
fn a_source_that_the_path_never_holds_back_starts_no_trial() {
    let throttled = Simulation { source: |_| 1_000_000, ..Simulation::of(fast, coarse) };
    assert_eq!(throttled.run(20 * MINUTE).ends_with(), (Control::Usual, 0));
}

#[test]
fn streams_that_are_shorter_than_a_trial_add_up() {
    let source = |now: Duration| if now.as_secs() % 10 < 1 { PLENTY } else { 0 };
    let seen = Simulation { source, ..Simulation::of(coarse, fast) }.run(3 * MINUTE);
    assert_eq!(seen.ends_with(), (Control::Bbr, 1));
}

#[test]
fn answers_that_come_in_bunches_all_count() {
    let mut trial = Trial::default();
    trial.held_back(Duration::ZERO);
    for round in 1..40 {
        let now = Duration::from_millis(100) * round;
        // The first of them opens the window, and the source fills it again at once.
        trial.arrived(now, MESSAGE);
        trial.let_go(now);
        for _ in 1..8 {
            trial.arrived(now, MESSAGE);
        }
        trial.held_back(now);
    }
    let rate = trial.bytes as f64 / trial.measured.as_secs_f64();
    assert!((rate / (80.0 * MESSAGE as f64) - 1.0).abs() < 0.01, "{rate} bytes/s");
}

#[test]
fn a_path_that_changes_is_noticed_either_way() {
    let usual =
        |now: Duration| if (60..1200).contains(&now.as_secs()) { 300_000 } else { 6_000_000 };
    let bbr =
        |now: Duration| if (60..1200).contains(&now.as_secs()) { 6_000_000 } else { 1_200_000 };
    let seen = Simulation::of(usual, bbr).run(30 * MINUTE);
    let at = |second: u64| {
        let before = seen.changes.iter().take_while(|(when, _)| when.as_secs() <= second);
        before.last().map_or(Control::Usual, |(_, control)| *control)
    };
    let (usual, bbr) = (Control::Usual, Control::Bbr);
    assert_eq!([at(59), at(340), at(1199), at(1540)], [usual, bbr, bbr, usual]);
}

#[test]
fn trials_cost_no_more_than_a_fiftieth() {
    let cases: [(Rate, Rate); 2] = [(fast, coarse), (slow, fast)];
    for (usual, bbr) in cases {
        let trials = Simulation::of(usual, bbr);
        // From the first one's end on.
        let (first, hour) = (trials.run(10).bytes, trials.run(60 * MINUTE).bytes);
        let share = (hour - first) as f64 / (6_000_000.0 * (60 * MINUTE - 10) as f64);
        assert!(share >= 0.98, "{share:.4} of what the better one brings");
    }
}
