//! What the holder of an id gets.

use std::rc::Rc;

use catalogue::Role;
use schema::location_capnp::location;
use schema::user_capnp::{admin, user};
use sturdyref::{IdDigest, Peer, RestoreError, Restored, Restorer};

use crate::serve::{Door, Location};
use crate::tracker::Tracker;

/// Hands out what capability files and relays stand for.
pub(crate) struct FrontDesk(pub(crate) Rc<Tracker>);

impl Restorer for FrontDesk {
    fn restore(&self, id: &[u8], peer: &Peer) -> Result<Restored, RestoreError> {
        let id = IdDigest::of(id);
        let tracker = &self.0;
        let Some(grant) = tracker.grant_of(&id) else {
            return tracker.relays.restore(&id, peer).unwrap_or(Err(RestoreError::Unknown));
        };
        tracker.check(&grant).map_err(|failure| RestoreError::Refused(failure.to_string()))?;
        tracing::debug!(role = %grant.role, peer = peer.address, "restored");
        let tracker = Rc::clone(tracker);
        Ok(Restored::Here(match grant.role.clone() {
            Role::Location(location) => {
                let server = Location { tracker, grant, location, peer: peer.clone() };
                capnp_rpc::new_client::<location::Client, _>(server).client
            }
            Role::User => {
                let server = Door { tracker, grant, peer: peer.clone() };
                capnp_rpc::new_client::<user::Client, _>(server).client
            }
            Role::Admin => {
                let server = Door { tracker, grant, peer: peer.clone() };
                capnp_rpc::new_client::<admin::Client, _>(server).client
            }
        }))
    }
}
