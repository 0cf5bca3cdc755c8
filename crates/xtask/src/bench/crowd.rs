//! Several streams at once: what they bring together, and how evenly they share the machine.

use std::fs;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result};

use super::pipes::Pipeline;
use super::usage::{Cost, children, measure};

/// One run of them, which began together and have the same size.
pub(super) struct Crowd {
    /// From the first one's start to the last one's end.
    pub(super) cost: Cost,
    /// The bytes that each had received when the first one had all of them.
    pub(super) each: Vec<u64>,
}

impl Crowd {
    /// Starts so many, each to receive `size` bytes, and waits until all have ended well.
    pub(super) fn run(
        daemons: &[u32],
        count: usize,
        size: u64,
        start: impl FnMut(usize) -> Result<Pipeline>,
    ) -> Result<Self> {
        let mut each = None;
        let cost = measure(daemons, || {
            let all = (0..count).map(start).collect::<Result<Vec<_>>>()?;
            let pids: Vec<_> = all.iter().filter_map(Pipeline::first).collect();
            let first = Mutex::new(None);
            let wait = |index: usize, one: Pipeline| -> Result<()> {
                one.wait()?;
                let mut first = first.lock().ok().context("another has failed")?;
                if first.is_none() {
                    let now = |(other, pid): (usize, &u32)| {
                        if other == index { size } else { received(*pid, size) }
                    };
                    *first = Some(pids.iter().enumerate().map(now).collect());
                }
                Ok(())
            };
            thread::scope(|scope| {
                let wait = &wait;
                let all = all.into_iter().enumerate();
                let all: Vec<_> =
                    all.map(|(index, one)| scope.spawn(move || wait(index, one))).collect();
                all.into_iter().try_for_each(|one| one.join().ok().context("a thread died")?)
            })?;
            each = first.into_inner().ok().flatten();
            Ok(())
        })?;
        Ok(Self { cost, each: each.context("nobody was the first")? })
    }

    /// How far the share of any is from the mean of all, as a part of that.
    pub(super) fn unfairness(&self) -> f64 {
        let mean = self.each.iter().sum::<u64>() as f64 / self.each.len() as f64;
        let far = self.each.iter().map(|bytes| (*bytes as f64 / mean - 1.0).abs());
        far.fold(0.0, f64::max)
    }
}

/// The bytes of its stream, of so many, that a receiver has had so far: the bare pump writes them to a pipe, and ours to
/// a socket, which isn't counted, but `zfs receive`, its child, reads them. Who has ended had all of them, and so had
/// ours when that child has ended: it has hardly written anything itself.
fn received(pid: u32, size: u64) -> u64 {
    let Some(written) = counted(pid, "wchar: ") else { return size };
    let receives = |child: &u32| {
        let arguments = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
        arguments.split('\0').any(|argument| argument == "receive")
    };
    let mut receiving = children(pid).into_iter().filter(receives);
    match receiving.find_map(|child| counted(child, "rchar: ")) {
        Some(read) => read,
        None if written < size / 100 => size,
        None => written,
    }
}

fn counted(pid: u32, what: &str) -> Option<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    io.lines().find_map(|line| line.strip_prefix(what))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_receiver_has_what_its_child_has_read_and_all_once_that_has_ended() {
        let child =
            "dd bs=1000 count=1000 iflag=fullblock of=/dev/null 2>/dev/null; echo; read end";
        let script = format!("sh -c '{child}' receive; echo; read end");
        let mut shell = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        let mut said = BufReader::new(shell.stdout.take().unwrap());
        let mut wait = || said.read_line(&mut String::new()).unwrap();
        stdin.write_all(&[7; 1_000_000]).unwrap();
        wait();
        let so_far = received(shell.id(), 1 << 30);
        assert!((1_000_000..1_100_000).contains(&so_far), "{so_far}");
        stdin.write_all(b"\n").unwrap();
        wait();
        assert_eq!(received(shell.id(), 1 << 30), 1 << 30);
        drop(stdin);
        shell.wait().unwrap();
        assert_eq!(received(shell.id(), 1 << 30), 1 << 30);
    }

    #[test]
    fn who_has_less_than_others_has_less_than_its_share() {
        let unfairness = |each: &[u64]| {
            let cost = Cost { elapsed: 1.0, cpu: 1.0, memory: BTreeMap::new() };
            Crowd { cost, each: each.to_vec() }.unfairness()
        };
        assert!(unfairness(&[2, 2, 2]).abs() < 1e-9);
        // The mean is 3.
        assert!((unfairness(&[4, 2]) - 1.0 / 3.0).abs() < 1e-9);
    }
}
