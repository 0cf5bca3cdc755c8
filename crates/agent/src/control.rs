//! What the tracker may ask of this agent.

use std::rc::Rc;

use capnp_rpc::new_client;
use schema::agent_capnp::agent;
use schema::broker_capnp::dialler;
use schema::hold::{self, Unasked};
use schema::wire::{length, parse};
use schema::{Code, Failure, Location, Machine, outcome};
use sturdyref::{Address, Auth, Fingerprint, IdDigest, Limits, Security, SturdyRef};
use tokio::sync::watch;
use transfer::holds::{self, Holds};
use transfer::job::{Job, Permits};
use transfer::outgoing::Tasks;
use transfer::wire::{CopyRequest, read_request};
use zfs::{DatasetName, DatasetPath, PoolName, SnapshotName};

use crate::dialler::Dialler;
use crate::tickets::{Ticket, Tickets};
use crate::transfers::Transfers;

/// One session's `Agent`.
pub(crate) struct Control {
    /// The location under which this agent is registered, once the tracker has told it.
    pub(crate) location: watch::Receiver<Option<Location>>,
    /// This machine's name there.
    pub(crate) machine: Machine,
    /// The pools that may be read from and received into; no others are ever touched.
    pub(crate) pools: Vec<PoolName>,
    /// What a copy into this machine may do.
    pub(crate) permits: Permits,
    /// What this agent keeps from being destroyed.
    pub(crate) holds: Holds,
    /// Makes tickets.
    pub(crate) tickets: Rc<Tickets>,
    /// Receives.
    pub(crate) transfers: Rc<Transfers>,
    /// The key of the tracker, by which it is known.
    pub(crate) tracker: Auth,
    /// This end of the connection to it.
    pub(crate) here: Address,
    /// How this agent shows itself when it dials out.
    pub(crate) security: Security,
    /// What data connections keep to that it dials.
    pub(crate) limits: Limits,
    /// What runs beside the session.
    pub(crate) tasks: Tasks,
    /// Told by whom this session was replaced.
    pub(crate) replaced: watch::Sender<Option<String>>,
}

impl Control {
    fn own_pool(&self, pool: PoolName) -> Result<PoolName, Failure> {
        if self.pools.contains(&pool) {
            return Ok(pool);
        }
        let pools: Vec<&str> = self.pools.iter().map(PoolName::as_str).collect();
        Err(Failure::new(
            Code::NoSuchPlace,
            "use the pool",
            &pool,
            format!("the agent was given {} alone", pools.join(", ")),
            "Name one of these, or add it to the agent's --zpools.",
        ))
    }

    fn offer(
        &self,
        pool: PoolName,
        params: agent::offer_params::Reader<'_>,
    ) -> capnp::Result<Result<(Vec<SturdyRef>, IdDigest), Failure>> {
        let receiver = match params.get_receiver()? {
            [] => None,
            bytes => Some(Fingerprint(
                bytes
                    .try_into()
                    .map_err(|_| capnp::Error::failed("a fingerprint has 32 bytes".into()))?,
            )),
        };
        let path = parse(params.get_dataset()?)?;
        let may_snapshot = params.get_may_snapshot();
        Ok(self.own_pool(pool).and_then(|pool| {
            let dataset = DatasetName::new(pool, path).map_err(|error| {
                Failure::new(Code::Usage, "send", "", error, "Give a shorter name.")
            })?;
            self.tickets.mint(Ticket { dataset, receiver, may_snapshot })
        }))
    }

    fn job(&self, request: CopyRequest) -> Result<Job, Failure> {
        let pool = self.own_pool(request.destination.place.pool)?;
        let path = request.destination.path.unwrap_or_else(|| request.dataset.clone());
        let target = DatasetName::new(pool, path).map_err(|error| {
            Failure::new(Code::Usage, "receive", "", error, "Give the destination a shorter name.")
        })?;
        let near = self.location.borrow().clone();
        let location = near.as_ref().map_or("", Location::as_str);
        let machine = format!(r"{location}\{}", self.machine);
        Ok(Job {
            destination: format!(r"{machine}\{target}"),
            machine,
            dataset: request.dataset,
            target,
            from: request.from,
            snapshot: request.snapshot,
            near,
            dry_run: request.dry_run,
            program: "agent",
            options: request.options,
            permits: self.permits,
        })
    }

    async fn let_go(&self, snapshot: SnapshotName, tag: &str) -> Result<(), Failure> {
        self.own_pool(snapshot.dataset().pool().clone())?;
        self.holds.release(&snapshot, tag).await
    }

    async fn finish(
        &self,
        transfer: &str,
        pool: PoolName,
        path: DatasetPath,
    ) -> Result<(), Failure> {
        let dataset = DatasetName::new(self.own_pool(pool)?, path).map_err(|error| {
            Failure::new(Code::Usage, "release the holds on", "", error, "Give a shorter name.")
        })?;
        self.holds.release_transfer(&dataset, transfer).await
    }
}

impl agent::Server for Control {
    async fn offer(
        self: Rc<Self>,
        params: agent::OfferParams,
        mut results: agent::OfferResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let offer = Control::offer(&self, parse(params.get_pool()?)?, params)?;
        outcome::write(results.get().init_outcome(), offer, |mut builder, (uris, ticket)| {
            let mut list = builder.reborrow().init_uris(length(&uris));
            for (index, uri) in (0..).zip(&uris) {
                list.set(index, uri.to_uri().as_str());
            }
            builder
                .set_dialler(new_client::<dialler::Client, _>(Dialler::new(self.clone(), ticket)));
            Ok(())
        })
    }

    async fn start(
        self: Rc<Self>,
        params: agent::StartParams,
        mut results: agent::StartResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let request = read_request(params.get_request()?)?;
        let broker = params.get_broker()?;
        let started = self.job(request).and_then(|job| self.transfers.start(job, broker));
        outcome::write(results.get().init_outcome(), started, |mut builder, (id, transfer)| {
            builder.set_id(&id);
            builder.set_transfer(transfer);
            Ok(())
        })
    }

    async fn attach(
        self: Rc<Self>,
        params: agent::AttachParams,
        mut results: agent::AttachResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let id = params.get_id()?.to_string()?;
        let dataset = parse(params.get_dataset()?)?;
        let attached = self.transfers.attach(&id, &dataset, params.get_broker()?);
        outcome::write(results.get().init_outcome(), attached, |mut builder, transfer| {
            builder.set_id(&id);
            builder.set_transfer(transfer);
            Ok(())
        })
    }

    async fn replaced(
        self: Rc<Self>,
        params: agent::ReplacedParams,
        _: agent::ReplacedResults,
    ) -> capnp::Result<()> {
        let by = params.get()?.get_by()?.to_string()?;
        self.replaced.send_replace(Some(by));
        Ok(())
    }

    async fn holds(
        self: Rc<Self>,
        params: agent::HoldsParams,
        mut results: agent::HoldsResults,
    ) -> capnp::Result<()> {
        let listed = self.holds.list(&self.pools, holds::now()).await;
        if let Ok((holds, _)) = &listed {
            hold::send(&params.get()?.get_sink()?, holds).await?;
        }
        outcome::write(results.get().init_outcome(), listed, |builder, (_, unasked)| {
            Unasked::write_all(builder, &unasked);
            Ok(())
        })
    }

    async fn release(
        self: Rc<Self>,
        params: agent::ReleaseParams,
        mut results: agent::ReleaseResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let released = self.let_go(parse(params.get_snapshot()?)?, params.get_tag()?.to_str()?);
        outcome::write_nothing(results.get().init_outcome(), released.await)
    }

    async fn release_transfer(
        self: Rc<Self>,
        params: agent::ReleaseTransferParams,
        mut results: agent::ReleaseTransferResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let (pool, dataset) = (parse(params.get_pool()?)?, parse(params.get_dataset()?)?);
        let finished = self.finish(params.get_transfer()?.to_str()?, pool, dataset).await;
        outcome::write_nothing(results.get().init_outcome(), finished)
    }
}
