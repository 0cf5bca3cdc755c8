//! `zpool events`: what happened so far, then with `-f` what happens, as it happens.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::path::Path;

use anyhow::Result;
use rustix::fs::inotify;

use super::options;
use crate::state::Root;

/// The kernel remembers so many events.
const REMEMBERED: usize = 512;

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let options = options("events", arguments, "vHfc")?;
    let log = Root::open()?.events();
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(&log)?;
    if options.has('c') {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        file.set_len(0)?;
        println!("cleared {} events", text.matches("\n\n").count());
        return Ok(());
    }
    let shown = Shown {
        pool: options.operands.first().map(|pool| format!("\n        pool = \"{pool}\"\n")),
        verbose: options.has('v'),
        scripted: options.has('H'),
    };
    if !shown.scripted {
        println!("{:<30} CLASS", "TIME");
    }
    let watch = Watch::new(&log)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut pending = shown.print(&text, REMEMBERED)?;
    while options.has('f') {
        watch.wait()?;
        pending.push_str(&read_on(&mut file)?);
        pending = shown.print(&pending, usize::MAX)?;
    }
    Ok(())
}

fn read_on(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Wakes when the log grows, whoever let it grow.
struct Watch(std::os::fd::OwnedFd);

impl Watch {
    fn new(log: &Path) -> Result<Self> {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
        inotify::add_watch(&watch, log, inotify::WatchFlags::MODIFY)?;
        Ok(Self(watch))
    }

    fn wait(&self) -> Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        inotify::Reader::new(&self.0, &mut buffer).next()?;
        Ok(())
    }
}

/// What of the events is wanted, and how.
struct Shown {
    /// The line by which a pool's events are known.
    pool: Option<String>,
    verbose: bool,
    scripted: bool,
}

impl Shown {
    /// Prints the last of these blocks; returns what isn't a whole block yet.
    fn print(&self, text: &str, most: usize) -> io::Result<String> {
        let whole = text.rfind("\n\n").map_or(0, |end| end + 2);
        let blocks: Vec<_> = text[..whole].split_inclusive("\n\n").collect();
        let mut out = io::BufWriter::new(io::stdout().lock());
        for block in &blocks[blocks.len().saturating_sub(most)..] {
            if self.pool.as_ref().is_some_and(|pool| !block.contains(pool)) {
                continue;
            }
            let (first, rest) = block.split_once('\n').unwrap_or((block, ""));
            let first = if self.scripted { first.to_owned() } else { first.replace('\t', " ") };
            writeln!(out, "{first}")?;
            if self.verbose {
                out.write_all(rest.as_bytes())?;
            }
        }
        out.flush()?;
        Ok(text[whole..].to_owned())
    }
}
