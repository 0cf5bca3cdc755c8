//! Has machines let go of what they hold for a transfer that needs it no more: those that are away,
//! once they are back.

use std::rc::Rc;
use std::sync::Arc;

use catalogue::{Change, Release};
use futures::future::join_all;
use schema::{Failure, Place, Replica, TransferId, outcome};
use tokio::sync::oneshot;
use zfs::{DatasetPath, PoolName};

use crate::clock::now;
use crate::line::Line;
use crate::tracker::Tracker;

const OPERATION: &str = "release the holds on";

impl Tracker {
    /// Has all who have a replica of a dataset let go of what they hold for a transfer, also if the
    /// caller goes meanwhile. Returns when those who are online have been asked.
    pub(crate) async fn release(self: &Rc<Self>, name: &DatasetPath, transfer: TransferId) {
        let replicas = self.catalogue.borrow().replicas(name, now());
        let release = |Replica { place, name, .. }: Replica| Release {
            place: Arc::new(place),
            dataset: Arc::new(name),
            transfer,
        };
        let releases: Vec<_> = replicas.into_iter().map(release).collect();
        let tracker = Rc::clone(self);
        let (tell, told) = oneshot::channel();
        self.chores.begin(async move {
            join_all(releases.into_iter().map(|release| tracker.release_at(release))).await;
            // The caller may be gone.
            let _ = tell.send(());
        });
        // It fails only while the tracker ends.
        let _ = told.await;
    }

    async fn release_at(self: &Rc<Self>, release: Release) {
        match self.line_to(OPERATION, &release.place) {
            Ok(line) => self.tell(&line, release, now(), Vec::new()).await,
            Err(_) => self.owe(release, now()).await,
        }
    }

    /// A pool of the machine is there: it hears, one after the other, what it has missed.
    pub(crate) fn catch_up(self: &Rc<Self>, line: &Rc<Line>, pool: &PoolName) {
        let owed = self.catalogue.borrow().owed(&line.machine.place(pool));
        if owed.is_empty() {
            return;
        }
        let (tracker, line) = (Rc::clone(self), Rc::clone(line));
        self.chores.begin(async move {
            for release in owed {
                if line.over.is_cancelled() {
                    return;
                }
                let Some((since, changes)) = tracker.take_owed(&release) else { continue };
                tracker.tell(&line, release, since, changes).await;
            }
        });
    }

    /// What is owed for a dataset is on its way when this returns: nothing is let go that who is
    /// sent there now has held.
    pub(crate) fn catch_up_on(
        self: &Rc<Self>,
        line: &Rc<Line>,
        place: &Place,
        dataset: &DatasetPath,
    ) {
        let owed = self.catalogue.borrow().owed(place);
        for release in owed.into_iter().filter(|release| *release.dataset == *dataset) {
            let Some((since, changes)) = self.take_owed(&release) else { continue };
            let told = self.tell(line, release, since, changes);
            self.chores.begin(told);
        }
    }

    fn take_owed(&self, release: &Release) -> Option<(i64, Vec<Change>)> {
        self.catalogue.borrow_mut().take_owed(release)
    }

    /// Has told the machine when this returns. If its session ends before it has answered, it is
    /// owed the release; `changes`: what is to be written else.
    fn tell(
        self: &Rc<Self>,
        line: &Rc<Line>,
        release: Release,
        since: i64,
        changes: Vec<Change>,
    ) -> impl Future<Output = ()> + use<> {
        let asked = ask(line, &release);
        let (tracker, line) = (Rc::clone(self), Rc::clone(line));
        async move {
            match asked.await {
                Err(_) if line.over.is_cancelled() => return tracker.owe(release, since).await,
                Err(failure) => tracing::warn!(%failure, "a hold stays until it expires"),
                Ok(()) => {}
            }
            // That it can't be written ends the tracker.
            let _ = tracker.save(changes).await;
        }
    }

    async fn owe(&self, release: Release, since: i64) {
        tracing::info!(place = %release.place, dataset = %release.dataset, "to be released later");
        let changes = self.catalogue.borrow_mut().owe(release, since);
        // That it can't be written ends the tracker.
        let _ = self.save(changes).await;
    }
}

/// Has been sent when this returns.
fn ask(line: &Rc<Line>, release: &Release) -> impl Future<Output = Result<(), Failure>> + use<> {
    let mut request = line.agent.release_transfer_request();
    let mut params = request.get();
    params.set_transfer(release.transfer.to_string());
    params.set_pool(release.place.pool.as_str());
    params.set_dataset(release.dataset.as_str());
    let answer = request.send().promise;
    let (line, name) = (Rc::clone(line), Arc::clone(&release.dataset));
    async move {
        let answer = line.ask_soon(OPERATION, &name, answer).await?;
        let read = answer.get().and_then(|answer| outcome::read(answer.get_outcome()?));
        read.map_err(|error| Failure::from_exception(OPERATION, &name, &error))?.map(drop)
    }
}
