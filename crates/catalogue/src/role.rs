//! What a capability file stands for.

use std::fmt;
use std::str::FromStr;

use schema::{Location, PlaceError};
use serde::{Deserialize, Serialize};

/// What a capability that the tracker issues stands for; as text also the `.cap` file's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Role {
    /// To be believed about a location. None is called `user` or `admin`.
    Location(Location),
    /// To show, download and copy.
    User,
    /// All that, and administration.
    Admin,
}

impl FromStr for Role {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        Ok(match text {
            "user" => Self::User,
            "admin" => Self::Admin,
            location => Self::Location(location.parse()?),
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Location(location) => location.fmt(f),
            Self::User => f.write_str("user"),
            Self::Admin => f.write_str("admin"),
        }
    }
}

impl TryFrom<String> for Role {
    type Error = PlaceError;

    fn try_from(text: String) -> Result<Self, PlaceError> {
        text.parse()
    }
}

impl From<Role> for String {
    fn from(role: Role) -> String {
        role.to_string()
    }
}
