//! What this agent holds is let go of when it is out of use.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use transfer::holds::{Holds, now};
use zfs::PoolName;

/// The first look at what is out of use: once transfers had time to come back after a restart.
const FIRST_LOOK: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// A pool that hangs is given up for this time.
const LOOK_DEADLINE: Duration = Duration::from_secs(1800);

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
