//! Capability files: their ids, derived from the tracker's key, and the files themselves.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use catalogue::{Catalogue, Role};
use schema::{Code, Failure, Location};
use sturdyref::{Address, Auth, IdDigest, ObjectId, SecretKey, SturdyRef, capfile};

/// A role's capability of one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) role: Role,
    pub(crate) generation: u32,
}

/// Makes capabilities to this tracker.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) key: SecretKey,
    pub(crate) auth: Auth,
    /// The address that capabilities name.
    pub(crate) address: Address,
    pub(crate) cap_dir: PathBuf,
    pub(crate) locations: BTreeSet<Location>,
}

impl Issuer {
    /// Everything that there is to be a capability file for.
    pub(crate) fn roles(&self) -> impl Iterator<Item = Role> {
        let locations = self.locations.iter().cloned().map(Role::Location);
        locations.chain([Role::User, Role::Admin])
    }

    /// The secret name of a grant.
    pub(crate) fn id(&self, grant: &Grant) -> ObjectId {
        let Grant { role, generation } = grant;
        self.key.derive_id(&match role {
            Role::Location(location) => format!("location/{location}/{generation}"),
            Role::User | Role::Admin => format!("{role}/{generation}"),
        })
    }

    /// A capability to the object with this id.
    pub(crate) fn capability(&self, id: ObjectId) -> SturdyRef {
        SturdyRef { auth: self.auth, address: self.address.clone(), id }
    }

    /// By what the holder of any capability ever issued is recognised, those voided included.
    pub(crate) fn index(&self, catalogue: &Catalogue) -> HashMap<IdDigest, Grant> {
        let issued = catalogue.generations().flat_map(|(role, last)| {
            (1..=last).map(|generation| Grant { role: role.clone(), generation })
        });
        issued.map(|grant| (self.id(&grant).digest(), grant)).collect()
    }

    /// Writes a grant's capability file, unless it is there.
    pub(crate) fn write(&self, grant: &Grant) -> Result<PathBuf, capfile::WriteError> {
        let path = self.path(&grant.role);
        capfile::write(&path, &self.capability(self.id(grant)))?;
        Ok(path)
    }

    /// Where a role's capability file is.
    pub(crate) fn path(&self, role: &Role) -> PathBuf {
        self.cap_dir.join(format!("{role}.cap"))
    }

    /// Whether there is, or was, such a capability to be reissued.
    pub(crate) fn check_reissue(&self, role: &Role) -> Result<(), Failure> {
        match role {
            Role::Location(location) if !self.locations.contains(location) => Err(Failure::new(
                Code::NoSuchPlace,
                "reissue",
                role,
                "it is none of the tracker's --locations",
                format!(
                    "There are: {}",
                    self.roles().map(|role| role.to_string()).collect::<Vec<_>>().join(", ")
                ),
            )),
            _ => Ok(()),
        }
    }
}
