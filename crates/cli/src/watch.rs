//! Watches a transfer to its end, whoever runs it, and says what is to be said.

use std::time::Duration;

use program::say;
use schema::{Code, Failure};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use transfer::report::{Status, Summary};

use crate::args::Wish;
use crate::output::{Destination, plan_lines, summary_json, summary_lines, to_stdout};
use crate::progress::Display;

/// The time between two looks at the transfer.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The time between two looks where nothing is told: a stall has to be shown, too.
const LOOK_ANYWAY: Duration = Duration::from_secs(1);

/// Shows the transfer until it has ended, then its result.
pub(crate) async fn to_the_end(
    mut status: watch::Receiver<Status>,
    destination: &Destination,
    wish: &Wish,
) -> anyhow::Result<()> {
    let mut display = Display::new(wish.quiet || wish.json);
    let mut told = Status::default();
    let outcome = loop {
        let now = status.borrow_and_update().clone();
        if let (Some(plan), true) = (&now.plan, now.plan != told.plan) {
            for line in plan_lines(plan, destination) {
                display.say(&line);
            }
        }
        for note in now.notes.iter().skip(told.notes.len()) {
            display.say(&zfs::Escaped(note).to_string());
        }
        if now.plan.is_some() {
            display.update(now.progress);
        }
        if let Some(outcome) = now.outcome {
            break outcome;
        }
        told = now;
        // Progress is told with each message: looking at every one would cost more than moving it.
        sleep(LOOK_EVERY).await;
        if let Ok(Err(_)) = timeout(LOOK_ANYWAY, status.changed()).await {
            break Err(lost());
        }
    };
    display.finish(outcome.as_ref().ok().filter(|s| s.guid.is_some()).map(|s| s.bytes));
    let summary: Summary = outcome?;
    if wish.json {
        to_stdout(&summary_json(&summary)?)?;
    }
    for line in summary_lines(&summary, destination) {
        say(line);
    }
    Ok(())
}

fn lost() -> Failure {
    Failure::new(
        Code::Failed,
        "watch the transfer",
        "",
        "what ran it has ended without a word",
        "Run the command again.",
    )
}
