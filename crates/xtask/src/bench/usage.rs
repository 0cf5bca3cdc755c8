//! What processes cost, as procfs tells it: CPU time and peak memory.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The kernel counts CPU time in hundredths of a second for userland, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;
/// How often memory is looked at. Peaks only grow while a process lives, so little can be missed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What one run of a pipeline took.
pub(super) struct Cost {
    /// From its start to its end, in seconds.
    pub(super) elapsed: f64,
    /// CPU seconds of all its processes, user's and system's.
    pub(super) cpu: f64,
    /// The peak memory of the largest process of each name, in KiB.
    pub(super) memory: BTreeMap<String, u64>,
}

/// CPU seconds of a process and of its children that were waited for.
fn cpu(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; utime, stime, cutime and cstime are 14 to 17.
    let fields = stat.rsplit_once(')').context("a strange stat file")?.1.split_whitespace();
    let ticks = fields.skip(11).take(4).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()? as f64 / TICKS_PER_SECOND)
}

/// CPU seconds of the children of this process that were waited for.
fn cpu_of_children() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').context("a strange stat file")?.1.split_whitespace();
    let ticks = fields.skip(13).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()? as f64 / TICKS_PER_SECOND)
}

/// Measures what `run` takes: all its processes, which it waits for, and those of `daemons`.
pub(super) fn measure(daemons: &[u32], run: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let spent = || -> Result<f64> {
        daemons.iter().try_fold(cpu_of_children()?, |sum, pid| Ok(sum + cpu(*pid)?))
    };
    let others = children(std::process::id()).into_iter().filter(|pid| !daemons.contains(pid));
    daemons.iter().for_each(|pid| forget_peak(*pid));
    let watch = Watch::begin(others.collect());
    let (before, began) = (spent()?, Instant::now());
    let done = run();
    let elapsed = began.elapsed().as_secs_f64();
    let mut peaks = watch.end();
    daemons.iter().for_each(|pid| note(*pid, &mut peaks));
    done?;
    Ok(Cost { elapsed, cpu: spent()? - before, memory: peaks })
}

/// A thread that looks at the memory of the descendants of this process, but for some and theirs.
struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<BTreeMap<String, u64>>,
}

impl Watch {
    fn begin(others: Vec<u32>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let thread = thread::spawn(move || {
            let mut peaks = BTreeMap::new();
            while !told.load(Ordering::Relaxed) {
                look(std::process::id(), &others, &mut peaks);
                thread::sleep(LOOK_AGAIN);
            }
            peaks
        });
        Self { over, thread }
    }

    fn end(self) -> BTreeMap<String, u64> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// Notes the memory of all below a process. Any may be gone by the time it is looked at.
fn look(parent: u32, others: &[u32], peaks: &mut BTreeMap<String, u64>) {
    for child in children(parent).into_iter().filter(|child| !others.contains(child)) {
        note(child, peaks);
        look(child, others, peaks);
    }
}

/// Notes the peak memory of a process, which may be gone.
fn note(pid: u32, peaks: &mut BTreeMap<String, u64>) {
    if let Some((name, peak)) = memory(pid) {
        let known = peaks.entry(name).or_default();
        *known = peak.max(*known);
    }
}

/// Has the peak of a process begin anew with what it holds now (proc_pid_clear_refs(5)). Where that can't be, it
/// is that of earlier runs, too.
fn forget_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// The children of a process, whichever of its threads made them.
pub(super) fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// A process's name, and its peak memory in KiB.
fn memory(pid: u32) -> Option<(String, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let peak = field("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok()?;
    Some((field("Name:")?.trim().to_owned(), peak))
}
