//! `Rendezvous`: has a sender dial its receiver, or come to the tracker, where its receiver can't reach it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use capnp::{Error, text_list};
use schema::broker_capnp::{dialler, rendezvous};
use schema::{Place, outcome, wire};
use sturdyref::{Fingerprint, SturdyRef};

use super::answer::{NoAnswer, answer};
use crate::failures;
use crate::issuer::Grant;
use crate::line::Line;
use crate::relays::{Ends, FIRST_USE};
use crate::tracker::Tracker;
use crate::whereabouts::Receiver;

/// The way round for one offer.
pub(crate) struct Rendezvous {
    pub(crate) tracker: Rc<Tracker>,
    pub(crate) grant: Grant,
    pub(crate) line: Rc<Line>,
    pub(crate) place: Place,
    pub(crate) receiver: Receiver,
    /// What its connection will show.
    pub(crate) key: Option<Fingerprint>,
    /// Taken by the first who asks: an offer is for one relay.
    pub(crate) dialler: RefCell<Option<dialler::Client>>,
    /// Whether the sender was asked to dial the receiver: once for each offer.
    pub(crate) dialled: Cell<bool>,
}

impl rendezvous::Server for Rendezvous {
    async fn dial_receiver(
        self: Rc<Self>,
        params: rendezvous::DialReceiverParams,
        mut results: rendezvous::DialReceiverResults,
    ) -> Result<(), Error> {
        let dialled = answer(self.dial(params.get()?.get_uris()?).await)?;
        outcome::write_nothing(results.get().init_outcome(), dialled)
    }

    async fn relay(
        self: Rc<Self>,
        _: rendezvous::RelayParams,
        mut results: rendezvous::RelayResults,
    ) -> Result<(), Error> {
        let relayed = answer(self.arrange().await)?;
        outcome::write(results.get().init_outcome(), relayed, |mut answer, ends| {
            let receiver = self.tracker.issuer.capability(ends.receiver.clone());
            answer.set_uri(receiver.to_uri().as_str());
            Ok(())
        })
    }
}

impl Rendezvous {
    /// Has the sender dial what is the receiver's own; it judges for itself what of that it dials.
    async fn dial(&self, uris: text_list::Reader<'_>) -> Result<(), NoAnswer> {
        self.tracker.check(&self.grant)?;
        let dialler = self.dialler.borrow().clone().filter(|_| !self.dialled.replace(true));
        let dialler = dialler.ok_or_else(|| failures::used(&self.place))?;
        let uris =
            uris.iter().map(|uri| wire::parse(uri?)).collect::<Result<Vec<SturdyRef>, _>>()?;
        let own = |uri: &&SturdyRef| self.receiver.may_be_at(&uri.address, &self.line.peer);
        let uris: Vec<&SturdyRef> = uris.iter().filter(own).collect();
        if uris.is_empty() {
            return Err(failures::elsewhere(&self.place).into());
        }
        let mut request = dialler.dial_receiver_request();
        let mut list = request.get().init_uris(wire::length(&uris));
        for (index, uri) in (0..).zip(uris) {
            list.set(index, uri.to_uri().as_str());
        }
        // An older agent's exception says that it can't: not for us to explain.
        let answer = self.line.hear(request.send().promise).await?;
        outcome::read(answer.get()?.get_outcome()?)??;
        tracing::info!(place = %self.place, "the sender has dialled the receiver");
        Ok(())
    }

    async fn arrange(&self) -> Result<Rc<Ends>, NoAnswer> {
        let tracker = &self.tracker;
        tracker.check(&self.grant)?;
        let dialler = self.dialler.take().ok_or_else(|| failures::used(&self.place))?;
        let arranged = tracker.relays.arrange(self.key);
        let ends = Rc::new(arranged.map_err(|error| Error::failed(error.to_string()))?);
        // Both come within this time, or neither may; also when this call is given up.
        tracker.chores.begin({
            let (tracker, ends) = (tracker.clone(), ends.clone());
            async move {
                tokio::time::sleep(FIRST_USE).await;
                tracker.relays.give_up(&ends);
            }
        });
        let mut dial = dialler.dial_request();
        let sender = tracker.issuer.capability(ends.sender.clone());
        dial.get().set_uri(sender.to_uri().as_str());
        let came = self.came(dial.send().promise).await;
        came.inspect_err(|_| tracker.relays.give_up(&ends))?;
        tracing::info!(place = %self.place, "relaying");
        Ok(ends)
    }

    async fn came(
        &self,
        dialled: capnp::capability::Promise<
            capnp::capability::Response<dialler::dial_results::Owned>,
            Error,
        >,
    ) -> Result<(), NoAnswer> {
        let answer = self.line.ask("relay from", &self.place, dialled).await?;
        outcome::read(answer.get()?.get_outcome()?)??;
        Ok(())
    }
}
