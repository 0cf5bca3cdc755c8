//! What `download` and `copy` have in common: one dataset or, with `-r`, all below it, each
//! transferred by itself, and what is printed when all is done.

use std::collections::BTreeMap;
use std::rc::Rc;

use program::say;
use schema::{Code, Failure};
use sturdyref::SturdyRef;
use tokio_util::sync::CancellationToken;
use transfer::report::Summary;
use zfs::{DatasetPath, Guid};

use crate::args::Wish;
use crate::names::Wanted;
use crate::output::json::{SummaryDocument, print};
use crate::output::{Destination, to_stdout};
use crate::progress::{Console, View};
use crate::recursive::{self, Selection};
use crate::tracker::{Tracker, list};
use crate::unless_interrupted;

/// One dataset of a command: what, and what it becomes below the destination's pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) dataset: DatasetPath,
    pub(crate) target: DatasetPath,
}

/// What is to be done.
pub(crate) struct Command<'a> {
    pub(crate) capability: &'a SturdyRef,
    pub(crate) wish: &'a Wish,
    pub(crate) wanted: &'a Wanted,
    pub(crate) destination: &'a Destination,
    /// What the dataset becomes below the destination's pool.
    pub(crate) target: DatasetPath,
    /// With `-r`, what is in that pool of this machine already, each by its own GUID. Of another
    /// machine's pool the place says enough.
    pub(crate) own: BTreeMap<DatasetPath, Guid>,
    pub(crate) cancel: CancellationToken,
}

impl Command<'_> {
    /// Does it: `transfer` brings one dataset to its end.
    pub(crate) async fn run(
        &self,
        transfer: impl AsyncFn(Item, View) -> Result<Summary, Failure>,
    ) -> anyhow::Result<()> {
        let Self { wish, wanted, .. } = self;
        if wanted.options.decrypt {
            say(
                "WARNING: --decrypt: data that is encrypted at the source is SENT IN THE CLEAR, and \
                 whoever can read the destination can read it",
            );
        }
        let console = Console::new(wish);
        let view = |item: &Item, targets| {
            console.view(item.dataset.clone(), self.destination.clone(), targets)
        };
        if !wish.recursion.recursive {
            let item = Item { dataset: wanted.dataset.clone(), target: self.target.clone() };
            let view = view(&item, &Rc::default());
            let summary = transfer(item, view).await?;
            if wish.json {
                to_stdout(&print(&SummaryDocument::new(&summary, wish.dry_run))?)?;
            }
            return Ok(());
        }
        let items = unless_interrupted(&self.cancel, self.select()).await?;
        let targets = Rc::new(items.iter().map(|item| item.target.clone()).collect());
        let run = async |item: Item| {
            let view = view(&item, &targets);
            let outcome = transfer(item.clone(), view).await;
            if let Err(failure) = &outcome {
                for line in failure.to_string().lines() {
                    console.say(&format!("{}: {line}", item.dataset));
                }
            }
            outcome
        };
        let tell = |text: &str| console.say(text);
        let ended = recursive::in_two_passes(items, wish.at_once(), &self.cancel, run, tell).await;
        if wish.json {
            to_stdout(&print(&recursive::document(&ended, wish.dry_run))?)?;
        }
        for line in recursive::summary_lines(&ended, wish.dry_run) {
            console.say(&line);
        }
        Ok(recursive::result(&ended)?)
    }

    /// The datasets below the one that is wanted, and itself.
    async fn select(&self) -> anyhow::Result<Vec<Item>> {
        let selection = Selection::new(self.wish, self.wanted, self.destination, &self.target)?;
        let ask = |fleet: &_| list(fleet, &selection.pattern(), None);
        let (tracker, replicas) = Tracker::connect_asking(self.capability, ask).await?;
        let replicas = replicas.await?;
        tracker.connection.close().await;
        let items = selection.items(&replicas, &self.own)?;
        if items.is_empty() {
            return Err(Failure::new(
                Code::NoSuchDataset,
                "transfer",
                &self.wanted.dataset,
                "neither it nor a dataset below it is there to be transferred",
                "See where datasets are with: cli --connect user.cap show",
            )
            .into());
        }
        Ok(items)
    }
}
