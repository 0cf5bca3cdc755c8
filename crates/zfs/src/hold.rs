//! Holds: a tag on a snapshot that keeps it from being destroyed.

use std::fmt;
use std::str::FromStr;

use crate::escape::shorten;
use crate::names::SnapshotName;
use crate::output::UnexpectedLine;

/// A tag has fewer bytes than this (`ZFS_MAX_DATASET_NAME_LEN`).
const MAX_TAG_LEN: usize = 256;

/// A hold's tag, safe to pass to `zfs`: neither empty nor an option, without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldTag(String);

/// Why a text is no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a valid tag for a hold: {why}", shorten(.text))]
pub struct TagError {
    text: String,
    why: &'static str,
}

impl HoldTag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HoldTag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let why = match text.chars().next() {
            None => "it is empty",
            // The one is an option, the other ZFS keeps to itself.
            Some('-') => "it begins with '-'",
            Some('.') => "it begins with '.'",
            Some(_) if text.len() >= MAX_TAG_LEN => "it has more than 255 bytes",
            Some(_) if text.contains(char::is_control) => "it holds a control character",
            Some(_) => return Ok(Self(text.to_owned())),
        };
        Err(TagError { text: text.to_owned(), why })
    }
}

impl fmt::Display for HoldTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A hold on a snapshot, anyone's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What is held.
    pub snapshot: SnapshotName,
    /// By what name; other programs' tags can be any text.
    pub tag: String,
    /// Unix time in seconds.
    pub since: i64,
}

impl Hold {
    fn parse(record: &str) -> Result<Self, UnexpectedLine> {
        let parts = record.split_once('\t').and_then(|(snapshot, rest)| {
            let (tag, since) = rest.rsplit_once('\t')?;
            Some((snapshot, tag, since.parse().ok()?))
        });
        let (snapshot, tag, since) = parts.ok_or_else(|| {
            UnexpectedLine::new(record, "a snapshot, a tag and a time between tabs")
        })?;
        let snapshot = snapshot
            .parse()
            .map_err(|error| UnexpectedLine::new(record, format!("a snapshot ({error})")))?;
        Ok(Self { snapshot, tag: tag.to_owned(), since })
    }
}

/// Parses the output of `zfs holds -Hp SNAPSHOT...`: snapshot, tag and time, between tabs.
///
/// Another program's tag can hold tabs and newlines, so a line may need the next to be whole.
pub fn parse(output: &str) -> Result<Vec<Hold>, UnexpectedLine> {
    let (mut holds, mut record, mut broken) = (Vec::new(), String::new(), None);
    for line in output.lines() {
        record.push_str(line);
        match Hold::parse(&record) {
            Ok(hold) => {
                holds.push(hold);
                record.clear();
                broken = None;
            }
            Err(error) => {
                record.push('\n');
                broken = Some(error);
            }
        }
    }
    broken.map_or(Ok(holds), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_text_that_is_no_option_and_can_be_shown() {
        for text in ["zatlas-machine-01-5f", "two words", "keep", "ä", &"x".repeat(255)] {
            assert_eq!(text.parse::<HoldTag>().unwrap().as_str(), text);
        }
        for (text, why) in [
            ("", "it is empty"),
            ("-r", "begins with '-'"),
            (".zfs", "begins with '.'"),
            ("a\tb", "a control character"),
            ("a\nb", "a control character"),
            (&"x".repeat(256), "more than 255 bytes"),
        ] {
            let error = text.parse::<HoldTag>().unwrap_err().to_string();
            assert!(error.contains(why) && error.len() < 200, "{error}");
        }
    }

    #[test]
    fn a_hold_is_a_snapshot_a_tag_and_a_time_whatever_is_in_the_tag() {
        // As OpenZFS 2.3.2 printed it.
        let output = "tank/a b@s one\tzatlas-t\t1795358608\n\
                      tank/a b@s one\tzatlas two words\t1795358609\n\
                      dest/z@1\ta\tb\t1795358833\ndest/z@1\ta\nb\t1795358832\n\
                      dest/z@1\tlast\t1795358834\n";
        let holds = parse(output).unwrap();
        let shown: Vec<_> = holds
            .iter()
            .map(|hold| (hold.snapshot.to_string(), hold.tag.as_str(), hold.since))
            .collect();
        let (first, second) = ("tank/a b@s one".to_owned(), "dest/z@1".to_owned());
        assert_eq!(
            shown,
            [
                (first.clone(), "zatlas-t", 1795358608),
                (first, "zatlas two words", 1795358609),
                (second.clone(), "a\tb", 1795358833),
                (second.clone(), "a\nb", 1795358832),
                (second, "last", 1795358834),
            ]
        );
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn anything_else_is_an_error() {
        for output in ["what", "tank/a@s\tx", "tank/a@s\tx\tSun Nov 22 14:43 2026", "tank/a\tx\t5"]
        {
            parse(output).unwrap_err();
        }
    }
}
