//! What a plan costs: the sizes of its streams, and whether there is room for them.

use std::collections::BTreeSet;

use schema::{Code, Failure};
use tokio::time::timeout;
use zfs::process::SendFlags;
use zfs::{DatasetName, Kind, Snapshot};

use super::converge::Transfer;
use crate::failure::{Class, Trouble};
use crate::plan::{Destination, Form, Step};
use crate::remote::Remote;
use crate::report::{self, Origin, Plan};
use crate::stream_request::{Start, StreamRequest};

/// A plan has as many steps as there are snapshots; so many are told.
const MOST_TOLD: usize = 1000;

/// A step, and the size of its stream where there is one and it is known.
pub(super) type Priced = (Step, Option<u64>);

impl Transfer {
    /// The plan with the sizes of its streams, as it is told to people; and its steps, each with its
    /// size.
    pub(super) async fn price(
        &self,
        remote: &Remote<'_>,
        goal: &Snapshot,
        steps: Vec<Step>,
        (form, flags): (Form, SendFlags),
        source: Origin,
        kind: Kind,
    ) -> Result<(Plan, Vec<Priced>), Trouble> {
        let mut priced = Vec::new();
        for step in steps {
            let bytes = match self.request(&step, flags) {
                Some(request) => self.size(remote, &request).await?,
                None => None,
            };
            priced.push((step, bytes));
        }
        let mut warnings = self.warnings.clone();
        if self.silent_on_sizes.borrow().contains(remote.place) {
            let place = remote.place;
            warnings.push(format!("{place} does not say how much it sends: it may not fit"));
        }
        let more = priced.len().saturating_sub(MOST_TOLD);
        if more > 0 {
            warnings.push(format!("{more} more steps are not listed"));
        }
        let told = priced.iter().take(MOST_TOLD);
        let told = told.map(|(step, bytes)| report::Step { action: step.into(), bytes: *bytes });
        let streams = priced.iter().filter(|(step, _)| step.brings().is_some());
        let plan = Plan {
            snapshot: Some(goal.clone()),
            source,
            target: self.job.target.clone(),
            kind,
            raw: form.raw,
            steps: told.collect(),
            // One that isn't known makes the sum unknown.
            bytes: streams.map(|(_, bytes)| *bytes).sum(),
            warnings,
        };
        Ok((plan, priced))
    }

    /// The size of a stream, asked for once: a plan may have thousands, and be made again.
    async fn size(
        &self,
        remote: &Remote<'_>,
        request: &StreamRequest,
    ) -> Result<Option<u64>, Trouble> {
        let Start::Fresh { base, .. } = &request.start else {
            return self.ask_size(remote, request).await;
        };
        let base = base.as_ref().map(|base| base.snapshot.guid);
        let of = (remote.place.clone(), base, request.snapshot.guid);
        if let Some(known) = self.sizes.borrow().get(&of) {
            return Ok(*known);
        }
        let size = self.ask_size(remote, request).await?;
        if !self.silent_on_sizes.borrow().contains(remote.place) {
            self.sizes.borrow_mut().insert(of, size);
        }
        Ok(size)
    }

    /// A size is no condition: what can't be estimated can perhaps be sent all the same. But what
    /// isn't there can't.
    async fn ask_size(
        &self,
        remote: &Remote<'_>,
        request: &StreamRequest,
    ) -> Result<Option<u64>, Trouble> {
        if self.silent_on_sizes.borrow().contains(remote.place) {
            return Ok(None);
        }
        let patience = self.patience();
        let trouble = match timeout(patience, remote.estimate(request)).await {
            Ok(Ok(size)) => return Ok(size),
            Ok(Err(failure)) => Trouble::at_source(failure),
            Err(_) => {
                // Its pool may hang, or only be large: another source is tried, or else this one without.
                self.silent_on_sizes.borrow_mut().insert(remote.place.clone());
                let reason = format!("it has not answered for {} s", patience.as_secs());
                let remedy = "Look at that machine's pool; --stall gives it more time.";
                let operation = "ask for the size of the stream at";
                let failure =
                    Failure::new(Code::Unreachable, operation, remote.place, reason, remedy);
                let trouble = Trouble::transient(failure);
                if self.others && self.may_go_on() {
                    return Err(trouble);
                }
                trouble
            }
        };
        if trouble.class == Class::NotThisSource {
            return Err(trouble);
        }
        tracing::info!(place = %remote.place, failure = %trouble.failure, "no estimate");
        Ok(None)
    }

    /// Refuses what there is no room for, before its first byte.
    pub(super) async fn check_room(
        &self,
        destination: &Destination,
        bytes: Option<u64>,
    ) -> Result<(), Trouble> {
        let Some(bytes) = bytes else { return Ok(()) };
        let target = &self.job.target;
        let Some(exists) = self.nearest(destination) else { return Ok(()) };
        let reserve = self.job.permits.reserve;
        let checked = reserve.check(&self.tools.zfs, target, &exists, bytes).await;
        checked.map_err(Trouble::permanent)
    }

    /// The target, or the nearest of its parents that is there.
    fn nearest(&self, destination: &Destination) -> Option<DatasetName> {
        let target = &self.job.target;
        match destination {
            Destination::Present(_) => Some(target.clone()),
            Destination::Absent { missing_parents } => {
                missing_parents.first().unwrap_or(target).parent()
            }
        }
    }

    /// Bytes that there is room for; 0 where that can't be told.
    pub(super) async fn room(&self, destination: &Destination) -> u64 {
        let Some(nearest) = self.nearest(destination) else { return 0 };
        self.job.permits.reserve.room(&self.tools.zfs, &nearest).await.unwrap_or(0)
    }

    /// Once what was to be thrown away is gone.
    pub(super) async fn check_room_again(&self, bytes: Option<u64>) -> Result<(), Trouble> {
        let Some(bytes) = bytes else { return Ok(()) };
        let target = &self.job.target;
        let found = self.tools.zfs.dataset(target).await;
        let found = found.map_err(|error| Trouble::at_destination(&error))?;
        let Some(exists) = found.map(|dataset| dataset.name).or_else(|| target.parent()) else {
            return Ok(());
        };
        let reserve = self.job.permits.reserve;
        let checked = reserve.check(&self.tools.zfs, target, &exists, bytes).await;
        checked.map_err(Trouble::permanent)
    }

    /// How the streams of a form are made: as the destination's pool can take them.
    pub(super) async fn flags(&self, form: Form) -> Result<SendFlags, Trouble> {
        let features: BTreeSet<String> = self
            .tools
            .zfs
            .pool_features(self.job.target.pool())
            .await
            .map_err(|error| Trouble::at_destination(&error))?;
        let has = |feature| features.contains(feature);
        Ok(SendFlags {
            raw: form.raw,
            large_blocks: form.large_blocks && has("large_blocks"),
            // Only the sender knows how it is compressed.
            compressed: !form.raw && has("lz4_compress") && has("zstd_compress"),
        })
    }
}
