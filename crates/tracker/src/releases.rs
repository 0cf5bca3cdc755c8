//! Has machines let go of what they hold for a transfer that needs it no more: those that are away,
//! once they are back.

use std::rc::Rc;
use std::sync::Arc;

use catalogue::{Change, Release};
use futures::future::join_all;
use schema::{Code, Failure, Replica, TransferId, outcome};
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

    async fn release_at(&self, release: Release) {
        let asked = match self.line_to(OPERATION, &release.place) {
            Ok(line) => ask(&line, &release).await,
            Err(offline) => Err(offline),
        };
        self.settle(asked, release, Vec::new()).await;
    }

    /// A pool of the machine is there: it hears what it has missed. Before anyone is sent there, and
    /// once, so that nothing goes that is held from now on.
    pub(crate) fn catch_up(self: &Rc<Self>, line: &Rc<Line>, pool: &PoolName) {
        let owed = self.catalogue.borrow().owed(&line.machine.place(pool));
        for release in owed {
            let changes = self.catalogue.borrow_mut().released(release.clone());
            let asked = ask(line, &release);
            let tracker = Rc::clone(self);
            self.chores.begin(async move { tracker.settle(asked.await, release, changes).await });
        }
    }

    /// Who was away is asked again; `changes`: what is to be written otherwise.
    async fn settle(&self, asked: Result<(), Failure>, release: Release, changes: Vec<Change>) {
        let changes = match asked {
            Ok(()) => changes,
            Err(failure) if failure.code == Code::Offline => {
                tracing::info!(%failure, "asked again when it is back");
                self.catalogue.borrow_mut().owe(release, now())
            }
            Err(failure) => {
                tracing::warn!(%failure, "a hold stays until it expires");
                changes
            }
        };
        // That they can't be written ends the tracker.
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
