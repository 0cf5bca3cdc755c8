//! `cargo xtask bench`: whole pipelines from `zfs send` to `zfs receive` on loopback, ours and
//! others', in turn and in one run. Both ends cost next to nothing (zfs-sim, out of memory and into
//! nothing), so what is measured is what lies between. Peers that aren't installed are left out.

mod crowd;
mod fleet;
mod peers;
mod pipes;
pub(crate) mod pump;
mod report;
mod usage;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use self::fleet::Fleet;
use self::peers::{PEERS, Peer};
use self::pipes::Stage;
use self::report::Report;
use self::usage::Cost;
use crate::cargo::Executables;

/// What the pipelines are made of.
const PACKAGES: [&str; 5] = ["tracker", "agent", "cli", "zfs-sim", "xtask"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Bytes in each stream, with K, M or G; of a short one a good part of the time goes to its start
    #[arg(long, value_name = "SIZE", default_value = "10G", value_parser = bytes)]
    size: u64,
    /// How often each pipeline runs; medians are taken
    #[arg(long, value_name = "N", default_value_t = 5)]
    pairs: usize,
    /// So many streams at once, ours and the bare pump's, after each one alone; 0: none
    #[arg(long, value_name = "N", default_value_t = 4)]
    at_once: usize,
    /// Compare with this peer alone; may be given more than once
    #[arg(long, value_name = "NAME", value_parser = PEERS.map(|peer| peer.name))]
    only: Vec<String>,
    /// Build nothing: take all programs from this folder, such as those of an earlier state
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Where the figures are written
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    json: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let wanted =
        |peer: &&Peer| options.only.is_empty() || options.only.iter().any(|name| name == peer.name);
    let (peers, missing): (Vec<_>, Vec<_>) =
        PEERS.iter().filter(wanted).partition(|peer| peer.is_installed());
    for peer in missing {
        eprintln!("left out: {}, which needs {} in the PATH", peer.name, peer.program);
    }
    let programs = match &options.programs {
        Some(folder) => Executables::found_in(folder)?,
        None => Executables::build_release(&PACKAGES)?,
    };
    let stage = Stage::set_up(&programs, options.size)?;
    pump::make_certificate(&stage.path("tls"))?;
    let mut fleets = Vec::new();
    for tls in [true, false] {
        if peers.iter().any(|peer| peer.tls == tls) {
            fleets.push((tls, Fleet::start(&stage, tls)?));
        }
    }
    let mut report = Report::new(options.size);
    for pair in 0..options.pairs {
        for (tls, fleet) in &mut fleets {
            let ours = fleet.download(&stage, pair).context("ours")?;
            report.note(ours_name(*tls), ours);
            if options.at_once > 0 {
                let crowd = fleet.crowd(&stage, pair, options.at_once).context("ours at once")?;
                report.note_crowd(ours_name(*tls), crowd);
            }
            for peer in peers.iter().filter(|peer| peer.tls == *tls) {
                let theirs: Cost = peer.run(&stage, pair).context(peer.name)?;
                report.note(peer.name, theirs);
                if options.at_once > 0 && peer.is_bare() {
                    let crowd = peer.crowd(&stage, pair, options.at_once);
                    report.note_crowd(peer.name, crowd.context(peer.name)?);
                }
            }
        }
    }
    for (tls, _) in &fleets {
        let theirs = peers.iter().filter(|peer| peer.tls == *tls).map(|peer| peer.name);
        println!("{}", report.table(ours_name(*tls), &theirs.collect::<Vec<_>>()));
    }
    let file = crate::root().join(&options.json);
    file.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(&file, report.json()?).with_context(|| format!("cannot write {}", file.display()))?;
    println!("All figures are in {}.", file.display());
    Ok(ExitCode::SUCCESS)
}

fn ours_name(tls: bool) -> &'static str {
    if tls { "ours-tls" } else { "ours-plain" }
}

fn bytes(text: &str) -> Result<u64> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => bail!("not a size, as 512M and 2G are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_with_their_unit() {
        assert_eq!(bytes("2G").unwrap(), 2 << 30);
        assert_eq!(bytes("1000").unwrap(), 1000);
        for wrong in ["", "G", "0", "1.5G", "99999999999G", "2g"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
