//! Properties of datasets and snapshots, as `zfs get` tells them.

use std::collections::BTreeMap;
use std::fmt;

use crate::output::UnexpectedLine;

/// A property's name. A literal in the program, so it never comes from a user or a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PropertyName(&'static str);

impl PropertyName {
    /// Bytes that may still be written, quotas and reservations considered.
    pub const AVAILABLE: Self = Self("available");
    /// `off` keeps a filesystem from being mounted at all, `noauto` but on demand.
    pub const CANMOUNT: Self = Self("canmount");
    /// The cipher, `off` if there is none.
    pub const ENCRYPTION: Self = Self("encryption");
    /// The identity.
    pub const GUID: Self = Self("guid");
    /// `available` if an encrypted dataset's key is loaded, else `unavailable`.
    pub const KEYSTATUS: Self = Self("keystatus");
    /// Whether a filesystem is mounted now: `yes` or `no`.
    pub const MOUNTED: Self = Self("mounted");
    /// Where a filesystem is mounted.
    pub const MOUNTPOINT: Self = Self("mountpoint");
    /// Whether nothing can be written to it: `on` or `off`.
    pub const READONLY: Self = Self("readonly");
    /// The token that continues an interrupted receive.
    pub const RECEIVE_RESUME_TOKEN: Self = Self("receive_resume_token");
    /// The largest block of a filesystem's new files, in bytes.
    pub const RECORDSIZE: Self = Self("recordsize");
    /// Bytes that it and its descendants take on the pool.
    pub const USED: Self = Self("used");
    /// The size of a volume's blocks, in bytes.
    pub const VOLBLOCKSIZE: Self = Self("volblocksize");
    /// Bytes written since the latest snapshot.
    pub const WRITTEN: Self = Self("written");
    /// Ours: who sends to the interrupted receive.
    pub const SENDER: Self = Self("zatlas:sender");
    /// Ours: what the interrupted receive's stream is like.
    pub const STREAM: Self = Self("zatlas:stream");
    /// Ours: which transfer a dataset was first received by.
    pub const TRANSFER: Self = Self("zatlas:transfer");

    /// The property `name`, one of ZFS's own or a user's (with a colon).
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for PropertyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Where a property's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Set on the object itself.
    Local,
    /// Came with a stream.
    Received,
    /// Set on this dataset further up.
    Inherited(String),
    /// Set nowhere.
    Default,
    /// A mount option, for as long as the mount lasts.
    Temporary,
    /// A fact, not a setting (`guid`, `used`).
    None,
}

impl Source {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "local" => Self::Local,
            "received" => Self::Received,
            "default" => Self::Default,
            "temporary" => Self::Temporary,
            "-" => Self::None,
            _ => Self::Inherited(text.strip_prefix("inherited from ")?.to_owned()),
        })
    }
}

/// A property's value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyValue {
    /// As ZFS prints it with `-p`: numbers exact. A user's property can hold any text.
    pub value: String,
    /// Tells a property of the object's own from one that it inherited.
    pub source: Source,
}

impl PropertyValue {
    /// Whether it is set on the object itself, not further up.
    pub fn is_local(&self) -> bool {
        self.source == Source::Local
    }

    /// Parses the output of `zfs get -Hp -o value,source NAME OBJECT`; `None`: it has none.
    ///
    /// A user's property can hold tabs and newlines, so the last tab is the separator.
    pub fn parse(output: &str) -> Result<Option<Self>, UnexpectedLine> {
        let parsed = output
            .strip_suffix('\n')
            .and_then(|text| text.rsplit_once('\t'))
            .and_then(|(value, source)| Some((value, Source::parse(source)?)));
        match parsed {
            None => Err(UnexpectedLine::new(output, "a value, a tab and a source")),
            Some(("-", Source::None)) => Ok(None),
            Some((value, source)) => Ok(Some(Self { value: value.to_owned(), source })),
        }
    }
}

/// Parses the output of `zfs get -Hp -o property,value,source NAME,NAME OBJECT`, the names being
/// `names`. What has no value isn't among the result.
///
/// A user's property can hold newlines, and so lines that look like another property's. Then a
/// property seems to be there twice, which is an error.
pub fn parse_all(
    output: &str,
    names: &[PropertyName],
) -> Result<BTreeMap<PropertyName, PropertyValue>, UnexpectedLine> {
    let mut texts: BTreeMap<PropertyName, String> = BTreeMap::new();
    let mut last = None;
    for line in output.split_inclusive('\n') {
        let named = names.iter().find_map(|&name| {
            let rest = line.strip_prefix(name.as_str())?.strip_prefix('\t')?;
            Some((name, rest))
        });
        match (named, last) {
            (Some((name, rest)), _) => {
                if texts.insert(name, rest.to_owned()).is_some() {
                    return Err(UnexpectedLine::new(line, "each property once"));
                }
                last = Some(name);
            }
            (None, Some(name)) => texts.entry(name).or_default().push_str(line),
            (None, None) => {
                return Err(UnexpectedLine::new(line, "a property, a value and a source"));
            }
        }
    }
    let parsed = texts
        .into_iter()
        .map(|(name, text)| Ok(PropertyValue::parse(&text)?.map(|value| (name, value))));
    parsed.filter_map(Result::transpose).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(value: &str, source: Source) -> Option<PropertyValue> {
        Some(PropertyValue { value: value.to_owned(), source })
    }

    #[test]
    fn what_zfs_get_prints_is_a_value_and_its_source() {
        for (output, expected) in [
            ("7255504215695184223\t-\n", value("7255504215695184223", Source::None)),
            ("/mnt/fs\tlocal\n", value("/mnt/fs", Source::Local)),
            ("on\tdefault\n", value("on", Source::Default)),
            ("off\treceived\n", value("off", Source::Received)),
            ("off\ttemporary\n", value("off", Source::Temporary)),
            (
                "none\tinherited from tank/a b\n",
                value("none", Source::Inherited("tank/a b".into())),
            ),
            // Values of a user's property, as ZFS prints them.
            ("a\tb\nc\tlocal\n", value("a\tb\nc", Source::Local)),
            ("\tlocal\n", value("", Source::Local)),
            ("-\tlocal\n", value("-", Source::Local)),
            ("-\t-\n", None),
        ] {
            assert_eq!(PropertyValue::parse(output).unwrap(), expected, "{output:?}");
        }
    }

    #[test]
    fn only_a_property_of_its_own_is_local() {
        let parsed = |output| PropertyValue::parse(output).unwrap().unwrap();
        assert!(parsed("abc\tlocal\n").is_local());
        assert!(!parsed("abc\tinherited from tank\n").is_local());
    }

    #[test]
    fn anything_else_is_an_error() {
        for output in ["", "on\n", "on\tlocal", "on\tsomewhere\n"] {
            PropertyValue::parse(output).unwrap_err();
        }
    }
    const ASKED: [PropertyName; 4] = [
        PropertyName::new("a:b"),
        PropertyName::GUID,
        PropertyName::VOLBLOCKSIZE,
        PropertyName::RECORDSIZE,
    ];

    #[test]
    fn several_properties_are_told_apart_by_their_names_even_where_one_has_many_lines() {
        let output = "a:b\tx\ty\nz\tlocal\nguid\t3662128973587052894\t-\n\
                      volblocksize\t-\t-\nrecordsize\t131072\tdefault\n";
        let values = parse_all(output, &ASKED).unwrap();
        assert_eq!(values.len(), 3);
        assert_eq!(values.get(&ASKED[0]).cloned(), value("x\ty\nz", Source::Local));
        assert_eq!(
            values.get(&PropertyName::GUID).cloned(),
            value("3662128973587052894", Source::None)
        );
        assert_eq!(
            values.get(&PropertyName::RECORDSIZE).cloned(),
            value("131072", Source::Default)
        );
        assert_eq!(parse_all("", &ASKED).unwrap(), BTreeMap::new());
    }

    #[test]
    fn a_value_that_poses_as_another_property_is_an_error() {
        let output = "a:b\tx\tlocal\nguid\t7\t-\n\tlocal\nguid\t3662128973587052894\t-\n";
        let error = parse_all(output, &ASKED).unwrap_err().to_string();
        assert!(error.contains("each property once"), "{error}");
        for output in ["what\n", "guid\t7\n", "guid\t7\t-"] {
            parse_all(output, &ASKED).unwrap_err();
        }
    }
}
