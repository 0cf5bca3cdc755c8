//! What the runs of a benchmark come to: medians, and ratios run by run.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::crowd::Crowd;
use super::usage::Cost;

const GIB: f64 = (1_u64 << 30) as f64;
/// What is at the ends of every pipeline, and no part of what is compared.
const ENDS: [&str; 2] = ["zfs", "zpool"];

/// The runs of each pipeline, in order: the first of each belong together, and so on.
pub(super) struct Report {
    size: u64,
    runs: BTreeMap<&'static str, Vec<Cost>>,
    /// Several at once, a run of them after each run of one.
    crowds: BTreeMap<&'static str, Vec<Crowd>>,
}

impl Report {
    /// Of runs of `size` bytes each.
    pub(super) fn new(size: u64) -> Self {
        Self { size, runs: BTreeMap::new(), crowds: BTreeMap::new() }
    }

    pub(super) fn note(&mut self, pipeline: &'static str, cost: Cost) {
        self.runs.entry(pipeline).or_default().push(cost);
    }

    pub(super) fn note_crowd(&mut self, pipeline: &'static str, crowd: Crowd) {
        self.crowds.entry(pipeline).or_default().push(crowd);
    }

    /// Ours against theirs, a line each; and ours at once against one alone.
    pub(super) fn table(&self, ours: &'static str, theirs: &[&'static str]) -> String {
        let mut table = format!(
            "{:16} {:>7} {:>11} {:>10} {:>11} {:>9}  peak memory, MiB\n",
            "", "GB/s", "ours is", "CPU s/GiB", "ours is", "at once"
        );
        for name in [&[ours], theirs].concat() {
            let rate = self.median(name, |cost| self.size as f64 / 1e9 / cost.elapsed);
            let cpu = self.median(name, |cost| self.cpu(cost));
            let cores = self.median(name, |cost| cost.cpu / cost.elapsed);
            let times =
                |ratio: f64| if name == ours { String::new() } else { format!("{ratio:.2} x") };
            let faster = times(self.ratio(ours, name, |cost| 1.0 / cost.elapsed));
            let dearer = times(self.ratio(ours, name, |cost| cost.cpu));
            let memory = self.memory(name);
            let memory = memory.iter().map(|(name, kib)| format!("{name} {}", kib.div_ceil(1024)));
            let memory = memory.collect::<Vec<_>>().join(", ");
            // Writing to a String cannot fail.
            let _ = writeln!(
                table,
                "{name:16} {rate:7.2} {faster:>11} {cpu:10.2} {dearer:>11} {cores:9.2}  {memory}"
            );
        }
        let at_once = [&[ours], theirs].concat().into_iter().map(|name| self.at_once(name));
        table + &at_once.collect::<String>()
    }

    /// What several bring together, beside one alone, and how evenly.
    fn at_once(&self, name: &str) -> String {
        let (Some(crowds), runs) = (self.crowds.get(name), self.runs(name)) else {
            return String::new();
        };
        let of_all = |figure: &dyn Fn(&Crowd) -> f64| median(crowds.iter().map(figure).collect());
        let count = crowds.first().map_or(0, |crowd| crowd.each.len());
        let all = (count as u64 * self.size) as f64;
        let rate = of_all(&|crowd| all / 1e9 / crowd.cost.elapsed);
        let pairs = crowds.iter().zip(runs);
        let times =
            median(pairs.map(|(all, one)| count as f64 * one.elapsed / all.cost.elapsed).collect());
        let cpu = of_all(&|crowd| crowd.cost.cpu / (all / GIB));
        let unfair = 100.0 * of_all(&Crowd::unfairness);
        format!(
            "{name}, {count} at once: {rate:.2} GB/s together, {times:.2} x one alone, {cpu:.2} CPU s/GiB; \
             each within {unfair:.0}% of its fair share when the first ends\n"
        )
    }

    /// Every figure of every run.
    pub(super) fn json(&self) -> Result<String> {
        let pipelines = self.runs.iter().map(|(name, costs)| {
            let runs = costs.iter().map(|cost| {
                json!({
                    "seconds": cost.elapsed,
                    "bytes_per_second": self.size as f64 / cost.elapsed,
                    "cpu_seconds_per_gib": self.cpu(cost),
                    "peak_memory_kib": cost.memory,
                })
            });
            ((*name).to_owned(), runs.collect::<Value>())
        });
        let crowds = self.crowds.iter().map(|(name, crowds)| {
            let runs = crowds.iter().map(|Crowd { cost, each }| {
                json!({
                    "seconds": cost.elapsed,
                    "bytes_of_each_when_the_first_ended": each,
                    "cpu_seconds": cost.cpu,
                    "peak_memory_kib": cost.memory,
                })
            });
            ((*name).to_owned(), runs.collect::<Value>())
        });
        let all = json!({
            "bytes": self.size,
            "pipelines": pipelines.collect::<serde_json::Map<_, _>>(),
            "at_once": crowds.collect::<serde_json::Map<_, _>>(),
        });
        serde_json::to_string_pretty(&all).context("cannot write the figures as JSON")
    }

    fn cpu(&self, cost: &Cost) -> f64 {
        cost.cpu / (self.size as f64 / GIB)
    }

    fn runs(&self, name: &str) -> &[Cost] {
        self.runs.get(name).map_or(&[], Vec::as_slice)
    }

    fn median(&self, name: &str, figure: impl Fn(&Cost) -> f64) -> f64 {
        median(self.runs(name).iter().map(figure).collect())
    }

    /// The median of our figure over theirs in the same pair.
    fn ratio(&self, ours: &str, theirs: &str, figure: impl Fn(&Cost) -> f64) -> f64 {
        let pairs = self.runs(ours).iter().zip(self.runs(theirs));
        median(pairs.map(|(ours, theirs)| figure(ours) / figure(theirs)).collect())
    }

    /// The highest peak of each program between the ends.
    fn memory(&self, name: &str) -> BTreeMap<&str, u64> {
        let mut peaks = BTreeMap::new();
        let all = self.runs(name).iter().flat_map(|cost| &cost.memory);
        let all = all.filter(|(program, _)| !ENDS.contains(&program.as_str()));
        for (program, kib) in all {
            let known: &mut u64 = peaks.entry(program.as_str()).or_default();
            *known = (*known).max(*kib);
        }
        peaks
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.as_slice() {
        [] => f64::NAN,
        sorted if sorted.len() % 2 == 1 => sorted[middle],
        sorted => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(runs: &[(&'static str, f64)]) -> Report {
        let mut report = Report::new(1 << 30);
        for (name, elapsed) in runs {
            let memory = BTreeMap::from([("cli".to_owned(), 2048), ("zfs".to_owned(), 9999)]);
            report.note(name, Cost { elapsed: *elapsed, cpu: 1.0, memory });
        }
        report
    }

    #[test]
    fn ratios_are_of_runs_side_by_side_and_not_of_medians() {
        // The machine was twice as slow in the second pair, for both.
        let runs =
            [("us", 1.0), ("ssh", 3.0), ("us", 2.0), ("ssh", 6.0), ("us", 1.0), ("ssh", 9.0)];
        let ratio = report(&runs).ratio("us", "ssh", |cost| 1.0 / cost.elapsed);
        assert!((ratio - 3.0).abs() < 1e-9, "{ratio}");
    }

    #[test]
    fn several_at_once_are_measured_by_one_alone() {
        let mut report = report(&[("us", 1.0)]);
        let cost = Cost { elapsed: 2.0, cpu: 3.0, memory: BTreeMap::new() };
        report.note_crowd("us", Crowd { cost, each: vec![2, 2] });
        let line = report.at_once("us");
        assert!(
            line.starts_with("us, 2 at once: 1.07 GB/s together, 1.00 x one alone, 1.50 CPU"),
            "{line}"
        );
        assert_eq!(report.at_once("nobody"), "");
    }

    #[test]
    fn the_ends_of_a_pipeline_are_no_part_of_its_memory() {
        assert_eq!(report(&[("us", 1.0)]).memory("us"), BTreeMap::from([("cli", 2048)]));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert!((median(vec![4.0, 1.0, 2.0, 8.0]) - 3.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    }
}
