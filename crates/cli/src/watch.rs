//! Watches a transfer to its end, whoever runs it.

use std::pin::pin;
use std::time::Duration;

use schema::{Code, Failure};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use transfer::report::{Status, Summary};

use crate::progress::View;

/// The time between two looks at the transfer.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The time between two looks where nothing is told: a stall has to be shown, too.
const LOOK_ANYWAY: Duration = Duration::from_secs(1);

/// Shows the transfer until it has ended, and how. `ended`: what runs it is done.
pub(crate) async fn to_the_end(
    mut status: watch::Receiver<Status>,
    ended: impl Future,
    view: &mut View,
) -> Result<Summary, Failure> {
    let mut told = Status::default();
    let (mut ended, mut is_over) = (pin!(ended), false);
    let outcome = loop {
        let mut now = status.borrow_and_update().clone();
        if let Some(plan) = &mut now.plan {
            view.adapt(plan);
        }
        if let (Some(plan), true) = (&now.plan, now.plan != told.plan) {
            view.plan(plan);
        }
        for note in now.notes.iter().skip(told.notes.len()) {
            view.note(note);
        }
        if now.plan.is_some() {
            view.progress(now.progress);
        }
        if let Some(mut outcome) = now.outcome {
            if let Ok(summary) = &mut outcome {
                view.adapt(&mut summary.plan);
            }
            break outcome;
        }
        told = now;
        // Progress is told with each message: looking at every one would cost more than moving it.
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            _ = &mut ended, if !is_over => is_over = true,
        }
        if let Ok(Err(_)) = timeout(LOOK_ANYWAY, status.changed()).await {
            break Err(lost());
        }
    };
    view.end(&outcome);
    outcome
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
