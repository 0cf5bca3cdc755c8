//! Where a dataset is: `location\machine\pool`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zfs::{DatasetPath, Escaped, NameError, PoolName};

/// Why a text is no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// A location's or machine's name is not legal.
    #[error(
        "'{}' is not a valid {what}: it must begin with a letter or digit and hold at most 63 \
         letters, digits, dots, dashes and underscores",
        Escaped(.text)
    )]
    Name {
        /// "location" or "machine name".
        what: &'static str,
        /// What was given.
        text: String,
    },
    /// The pool's or the dataset's name is not legal.
    #[error(transparent)]
    Zfs(#[from] NameError),
    /// There are too few or too many parts.
    #[error("'{}' is not a place: write it as '{form}'", Escaped(.text))]
    Form {
        /// The form expected.
        form: &'static str,
        /// What was given.
        text: String,
    },
}

/// The rule for both kinds of names: `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`.
fn is_legal(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = PlaceError;

            fn from_str(text: &str) -> Result<Self, PlaceError> {
                if is_legal(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(PlaceError::Name { what: $what, text: text.to_owned() })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = PlaceError;

            fn try_from(text: String) -> Result<Self, PlaceError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// A group of machines that the tracker was given a name for: a datacenter, a rack.
    Location,
    "location"
);
name_type!(
    /// A machine's name within its location.
    Machine,
    "machine name"
);

/// A pool of a machine at a location.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The location.
    pub location: Location,
    /// The machine there.
    pub machine: Machine,
    /// Its pool.
    pub pool: PoolName,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\\{}\\{}", self.location, self.machine, self.pool)
    }
}

/// `/` is taken for `\`, because shells eat backslashes.
const SEPARATORS: [char; 2] = ['\\', '/'];

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let form = PlaceError::Form { form: r"LOCATION\MACHINE\POOL", text: text.to_owned() };
        match text.parse::<Destination>() {
            Ok(Destination { place, path: None }) => Ok(place),
            Ok(_) | Err(PlaceError::Form { .. }) => Err(form),
            Err(error) => Err(error),
        }
    }
}

/// Where a copy goes: a place, and a dataset below its pool if it isn't to keep its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The pool.
    pub place: Place,
    /// The dataset below it; `None`: the source's own path.
    pub path: Option<DatasetPath>,
}

impl FromStr for Destination {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let mut parts = text.splitn(4, SEPARATORS);
        let (Some(location), Some(machine), Some(pool)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(PlaceError::Form {
                form: r"LOCATION\MACHINE\POOL[\PATH]",
                text: text.to_owned(),
            });
        };
        let path = parts.next().map(|path| path.replace('\\', "/").parse()).transpose()?;
        let place =
            Place { location: location.parse()?, machine: machine.parse()?, pool: pool.parse()? };
        Ok(Self { place, path })
    }
}

/// Splits `LOCATION\MACHINE`, the way a machine is named to `tracker forget`.
pub fn parse_machine(text: &str) -> Result<(Location, Machine), PlaceError> {
    match text.split_once(SEPARATORS) {
        Some((location, machine)) => Ok((location.parse()?, machine.parse()?)),
        None => Err(PlaceError::Form { form: r"LOCATION\MACHINE", text: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_print_as_they_are_written_and_take_slashes() {
        let place: Place = r"datacenter-01\machine-01\tank-01".parse().unwrap();
        assert_eq!(place.to_string(), r"datacenter-01\machine-01\tank-01");
        assert_eq!("datacenter-01/machine-01/tank-01".parse(), Ok(place));
    }

    #[test]
    fn a_destination_may_name_a_dataset() {
        for text in [r"dc\m\tank\a\b c", "dc/m/tank/a/b c", r"dc\m\tank\a/b c"] {
            let destination: Destination = text.parse().unwrap();
            assert_eq!(destination.path.unwrap().as_str(), "a/b c", "{text}");
        }
        assert_eq!(r"dc\m\tank".parse::<Destination>().unwrap().path, None);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in
            ["", "dc", r"dc\m", r"dc\m\", r"dc\m\2tank", r"-dc\m\tank", r"dc\m\tank\", "d\x1bc/m/t"]
        {
            let error = text.parse::<Destination>().unwrap_err().to_string();
            assert!(!error.contains('\x1b'), "{error}");
        }
        assert!(r"dc\m\tank\a".parse::<Place>().is_err());
        assert!("x".repeat(64).parse::<Location>().is_err());
        assert!("x".repeat(63).parse::<Location>().is_ok());
    }
}
