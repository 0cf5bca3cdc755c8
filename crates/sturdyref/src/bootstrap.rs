//! The capability that answers Bootstrap: whatever the id in the message being handled restored.
//!
//! capnp-rpc has one bootstrap capability per connection and clones it for each Bootstrap (twice). This one's
//! clones, made while a Bootstrap is handled, are what its id restored. It leans on `capnp::private`, which is
//! why capnp is pinned exactly and the interop tests stand guard.

use std::rc::Rc;

use capnp::capability::{Client, Promise, Request};
use capnp::private::capability::{ClientHook, ParamsHook, ResultsHook};
use capnp::{Error, MessageSize, any_pointer};

use crate::network::Link;

pub(crate) struct BootstrapCap {
    link: Rc<Link>,
    /// What it is to anyone who asks outside a Bootstrap, which nobody does.
    broken: Box<dyn ClientHook>,
}

impl BootstrapCap {
    pub(crate) fn client(link: Rc<Link>) -> Client {
        let broken = capnp_rpc::new_broken_cap(Error::failed("no such object".to_owned())).hook;
        Client::new(Box::new(Self { link, broken }))
    }
}

impl ClientHook for BootstrapCap {
    fn add_ref(&self) -> Box<dyn ClientHook> {
        match self.link.restored() {
            Some(client) => client.hook,
            None => Box::new(Self { link: self.link.clone(), broken: self.broken.add_ref() }),
        }
    }

    fn new_call(
        &self,
        interface_id: u64,
        method_id: u16,
        size_hint: Option<MessageSize>,
    ) -> Request<any_pointer::Owned, any_pointer::Owned> {
        self.broken.new_call(interface_id, method_id, size_hint)
    }

    fn call(
        &self,
        interface_id: u64,
        method_id: u16,
        params: Box<dyn ParamsHook>,
        results: Box<dyn ResultsHook>,
    ) -> Promise<(), Error> {
        self.broken.call(interface_id, method_id, params, results)
    }

    fn get_brand(&self) -> usize {
        self.broken.get_brand()
    }

    fn get_ptr(&self) -> usize {
        self.broken.get_ptr()
    }

    fn get_resolved(&self) -> Option<Box<dyn ClientHook>> {
        None
    }

    fn when_more_resolved(&self) -> Option<Promise<Box<dyn ClientHook>, Error>> {
        None
    }

    fn when_resolved(&self) -> Promise<(), Error> {
        Promise::ok(())
    }
}
