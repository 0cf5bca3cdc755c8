//! What this agent holds: told to the tracker, and let go of when it is out of use.

use std::time::Duration;

use capnp::any_pointer;
use capnp::capability::Request;
use capnp::traits::HasTypeId;
use schema::Hold;
use schema::batch::messages;
use schema::hold_capnp::hold_sink::{self, write_params};
use schema::wire::length;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use transfer::holds::{Holds, now};
use zfs::PoolName;

/// The first look at what is out of use: once transfers had time to come back after a restart.
const FIRST_LOOK: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// A pool that hangs is given up for this time.
const LOOK_DEADLINE: Duration = Duration::from_secs(1800);

/// Tells a sink of holds, in messages of bounded size.
///
/// Ordinary calls, not streamed ones: each is answered when it was taken, so that the answer to the
/// listing can't overtake them.
pub(crate) async fn tell(sink: &hold_sink::Client, holds: &[Hold]) -> capnp::Result<()> {
    let size = |hold: &&Hold| 512 + hold.tag.len() + hold.destination.len();
    for message in messages(holds, size) {
        let mut request: Request<write_params::Owned, any_pointer::Owned> =
            sink.client.new_call(hold_sink::Client::TYPE_ID, 0, None);
        let mut list = request.get().init_holds(length(&message));
        for (index, hold) in (0..).zip(message) {
            hold.write(list.reborrow().get(index));
        }
        request.send().promise.await?;
    }
    Ok(())
}

/// Lets go of what has been out of use for 7 days, now and then for ever.
pub(crate) async fn expire(holds: Holds, pools: Vec<PoolName>) {
    let mut ticks = interval_at(Instant::now() + FIRST_LOOK, LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match timeout(LOOK_DEADLINE, holds.expire(&pools, now())).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => tracing::warn!(%failure, "some holds were not looked through"),
            Err(_) => tracing::warn!("looking through the holds takes too long; a pool may hang"),
        }
    }
}
