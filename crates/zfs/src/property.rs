//! Properties of datasets and snapshots, as `zfs get` tells them.

use std::fmt;

use crate::output::UnexpectedLine;

/// A property's name. A literal in the program, so it never comes from a user or a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PropertyName(&'static str);

impl PropertyName {
    /// `off` keeps a filesystem from being mounted at all, `noauto` but on demand.
    pub const CANMOUNT: Self = Self("canmount");
    /// The identity.
    pub const GUID: Self = Self("guid");
    /// Where a filesystem is mounted.
    pub const MOUNTPOINT: Self = Self("mountpoint");
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
}
