//! The committed figures, and how others compare with them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

const HEAD: &str = "\
# Instructions that it takes to carry a GiB of a stream from the pump into a receive, as callgrind
# counts them on x86-64. 10% more is a failure. `cargo xtask instructions --commit` writes this file.
";

/// Instructions per GiB, by the way that the stream goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Figures(BTreeMap<String, u64>);

impl Figures {
    pub(super) fn read() -> Result<Self> {
        let file = file();
        let read = || -> Result<Self> { Self::parse(&fs::read_to_string(&file)?) };
        read().with_context(|| format!("cannot read {}", file.display()))
    }

    pub(super) fn write(&self) -> Result<()> {
        let file = file();
        fs::write(&file, self.text())
            .with_context(|| format!("cannot write {}", file.display()))?;
        print!("{}:\n{}", file.display(), self.text());
        Ok(())
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(Self(toml::from_str(text)?))
    }

    fn text(&self) -> String {
        let lines = self.0.iter().map(|(way, figure)| format!("{way} = {figure}\n"));
        HEAD.to_owned() + &lines.collect::<String>()
    }

    pub(super) fn set(&mut self, way: &str, figure: u64) {
        self.0.insert(way.to_owned(), figure);
    }

    pub(super) fn get(&self, way: &str) -> Result<u64> {
        self.0.get(way).copied().with_context(|| format!("{} lacks {way}", file().display()))
    }
}

fn file() -> PathBuf {
    crate::root().join("crates/xtask/instructions.toml")
}

/// What a measured figure is, beside the committed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Less than 10% away.
    Same,
    /// At least 10% less.
    Better,
    /// At least 10% more.
    Worse,
}

pub(super) fn judge(committed: u64, measured: u64) -> Verdict {
    // So many that ten times as much is a figure, too.
    let (committed, measured) = (u128::from(committed), u128::from(measured));
    if measured * 10 >= committed * 11 {
        Verdict::Worse
    } else if measured * 10 <= committed * 9 {
        Verdict::Better
    } else {
        Verdict::Same
    }
}

/// By how many percent a figure has grown.
pub(super) fn change(committed: u64, measured: u64) -> f64 {
    (measured as f64 / committed as f64 - 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_percent_more_is_worse_and_ten_percent_less_is_better() {
        for (measured, verdict) in [
            (0, Verdict::Better),
            (900, Verdict::Better),
            (901, Verdict::Same),
            (1000, Verdict::Same),
            (1099, Verdict::Same),
            (1100, Verdict::Worse),
            (u64::MAX, Verdict::Worse),
        ] {
            assert_eq!(judge(1000, measured), verdict, "{measured}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut figures = Figures::default();
        figures.set("tls", 9_000_000_000);
        figures.set("plain", 1);
        assert_eq!(Figures::parse(&figures.text()).unwrap(), figures);
        assert!(figures.text().ends_with("\nplain = 1\ntls = 9000000000\n"));
        assert!(Figures::parse("plain = -1").is_err());
    }

    #[test]
    fn a_figure_is_committed_for_each_way() {
        let committed = Figures::read().unwrap();
        for (way, _) in super::super::WAYS {
            assert!(committed.get(way).unwrap() > 0);
        }
    }
}
