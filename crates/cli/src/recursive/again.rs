//! What fails because a machine is away is tried once more when all else is done: it may have been
//! away for a moment alone.

use std::collections::BTreeSet;

use schema::{Code, Failure};
use tokio_util::sync::CancellationToken;
use zfs::DatasetPath;

use super::order::in_order;
use super::{Ended, Outcome};
use crate::command::Item;

/// Runs all items as [`in_order`] does, and then once more those that failed because somebody could
/// not be reached, and what was skipped for their sake. `tell` is told of that.
pub(crate) async fn in_two_passes<T>(
    items: Vec<Item>,
    jobs: usize,
    cancel: &CancellationToken,
    run: impl AsyncFn(Item) -> Result<T, Failure>,
    tell: impl FnOnce(&str),
) -> Vec<Ended<T>> {
    let ended = in_order(items, jobs, cancel, &run).await;
    let again = to_try_again(&ended);
    if again.is_empty() || cancel.is_cancelled() {
        return ended;
    }
    let (again, mut ended): (Vec<_>, Vec<_>) =
        ended.into_iter().partition(|ended| again.contains(&ended.item.dataset));
    let mut items: Vec<Item> = again.into_iter().map(|ended| ended.item).collect();
    items.sort_by(|a, b| a.dataset.cmp(&b.dataset));
    tell(&format!(
        "{} of them could not be transferred, since a machine was away: trying those once more",
        items.len()
    ));
    ended.extend(in_order(items, jobs, cancel, run).await);
    ended
}

fn to_try_again<T>(all: &[Ended<T>]) -> BTreeSet<DatasetPath> {
    let names: BTreeSet<&DatasetPath> = all.iter().map(|ended| &ended.item.dataset).collect();
    let mut again = BTreeSet::new();
    // What was skipped has ended after what it was skipped for.
    for Ended { item, outcome } in all {
        let wanted = match outcome {
            Outcome::Done(_) => false,
            Outcome::Failed(failure) => {
                matches!(failure.code, Code::Offline | Code::Unreachable)
            }
            Outcome::Skipped(_) => {
                let mut above = std::iter::successors(item.dataset.parent(), DatasetPath::parent);
                above.find(|above| names.contains(above)).is_some_and(|it| again.contains(&it))
            }
        };
        if wanted {
            again.insert(item.dataset.clone());
        }
    }
    again
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// What is begun, and how it ends: `away` fails at first because nobody is there, `gone` always,
    /// `bad` for another reason.
    async fn run(names: &[&str]) -> (Vec<String>, Vec<String>, Option<String>) {
        let (begun, said) = (RefCell::new(Vec::new()), RefCell::new(None));
        let path = |name: &str| name.parse::<DatasetPath>().unwrap();
        let items = names.iter().map(|name| Item { dataset: path(name), target: path(name) });
        let transfer = async |item: Item| {
            let name = item.dataset.to_string();
            let again = begun.borrow().contains(&name);
            begun.borrow_mut().push(name);
            let code = match item.dataset.as_str().rsplit('/').next() {
                Some("away") if !again => Code::Offline,
                Some("gone") => Code::Unreachable,
                Some("bad") => Code::Refused,
                _ => return Ok(()),
            };
            Err(Failure::new(code, "receive", "", "a test", ""))
        };
        let tell = |text: &str| *said.borrow_mut() = Some(text.to_owned());
        let cancel = CancellationToken::new();
        let ended = in_two_passes(items.collect(), 1, &cancel, transfer, tell).await;
        let mut ended: Vec<String> = ended
            .into_iter()
            .map(|Ended { item, outcome }| match outcome {
                Outcome::Done(()) => format!("{} done", item.dataset),
                Outcome::Failed(_) => format!("{} failed", item.dataset),
                Outcome::Skipped(_) => format!("{} skipped", item.dataset),
            })
            .collect();
        ended.sort();
        (begun.into_inner(), ended, said.into_inner())
    }

    #[tokio::test]
    async fn what_was_away_for_a_moment_is_done_in_the_end_with_all_below_it() {
        let (begun, ended, said) = run(&["a", "a/away", "a/away/x", "a/away/x/y", "b"]).await;
        assert_eq!(begun, ["a", "a/away", "b", "a/away", "a/away/x", "a/away/x/y"]);
        assert!(ended.iter().all(|told| told.ends_with("done")), "{ended:?}");
        assert_eq!(ended.len(), 5);
        assert!(said.unwrap().starts_with("3 of them could not"));
    }

    #[tokio::test]
    async fn what_stays_away_fails_after_the_second_time() {
        let (begun, ended, _) = run(&["gone", "gone/x"]).await;
        assert_eq!(begun, ["gone", "gone"]);
        assert_eq!(ended, ["gone failed", "gone/x skipped"]);
    }

    #[tokio::test]
    async fn what_was_refused_is_not_tried_again_nor_what_is_below() {
        let (begun, ended, said) = run(&["bad", "bad/away", "c"]).await;
        assert_eq!(begun, ["bad", "c"]);
        assert_eq!(ended, ["bad failed", "bad/away skipped", "c done"]);
        assert_eq!(said, None);
    }
}
