//! Several downloads at once: what they bring together, and how evenly they share the machine.

use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};

use super::pipes::Pipeline;
use super::usage::{Cost, measure};

/// One run of them, which began together and have the same size.
pub(super) struct Crowd {
    /// From the first one's start to the last one's end.
    pub(super) cost: Cost,
    /// What each took, in seconds.
    pub(super) each: Vec<f64>,
}

impl Crowd {
    /// Starts all of these pipelines and waits until all have ended well.
    pub(super) fn run(daemons: &[u32], pipelines: Vec<std::process::Command>) -> Result<Self> {
        let mut each = Vec::new();
        let cost = measure(daemons, || {
            let began = Instant::now();
            let timed = |command| -> Result<f64> {
                Pipeline::default().then(command)?.wait()?;
                Ok(began.elapsed().as_secs_f64())
            };
            each = thread::scope(|scope| {
                let all: Vec<_> = pipelines
                    .into_iter()
                    .map(|pipeline| scope.spawn(move || timed(pipeline)))
                    .collect();
                let ended = all.into_iter().map(|one| one.join().ok().context("a thread died")?);
                ended.collect::<Result<_>>()
            })?;
            Ok(())
        })?;
        Ok(Self { cost, each })
    }

    /// How far the rate of any is from the mean of all, as a part of that.
    pub(super) fn unfairness(&self) -> f64 {
        let rates: Vec<_> = self.each.iter().map(|seconds| 1.0 / seconds).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        rates.iter().map(|rate| (rate / mean - 1.0).abs()).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn who_is_slower_than_others_has_less_than_its_share() {
        let unfairness = |each: &[f64]| {
            let cost = Cost { elapsed: 1.0, cpu: 1.0, memory: BTreeMap::new() };
            Crowd { cost, each: each.to_vec() }.unfairness()
        };
        assert!(unfairness(&[2.0, 2.0, 2.0]).abs() < 1e-9);
        // Rates of 1 and 1/2: a third less and a third more than 3/4.
        assert!((unfairness(&[1.0, 2.0]) - 1.0 / 3.0).abs() < 1e-9);
    }
}
