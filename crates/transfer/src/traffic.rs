//! What the transfers of a machine share, those that send and those that receive.

mod bucket;
pub(crate) mod queue;
pub(crate) mod rate;
pub(crate) mod throttle;

pub use queue::Queue;
pub use rate::{Rate, RateError};
pub use throttle::Limits;

use crate::ways::Ways;

/// How many go at once, and how fast; by default, without limit.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Whose turn it is to send.
    pub to_send: Queue,
    /// Whose turn it is to receive: counted by itself, or two machines that copy to each other
    /// could wait for each other.
    pub to_receive: Queue,
    /// How fast.
    pub limits: Limits,
    /// By which ways other machines could not be reached.
    pub ways: Ways,
}
