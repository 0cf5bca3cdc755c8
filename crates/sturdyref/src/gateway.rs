//! The second door: what a peer gets that bootstraps with a null id, because its library can't name objects.

use std::rc::Rc;

use capnp::capability::Client;

use crate::counter::Counter;
pub use crate::generated::gateway_capnp::gateway::Client as GatewayClient;
use crate::generated::gateway_capnp::gateway::{RestoreParams, RestoreResults, Server};

/// Restores exactly what a Bootstrap with the same id would.
struct Gateway(Rc<Counter>);

/// A Gateway to what `counter` hands out.
pub(crate) fn gateway(counter: Rc<Counter>) -> Client {
    capnp_rpc::new_client::<GatewayClient, _>(Gateway(counter)).client
}

impl Server for Gateway {
    async fn restore(
        self: Rc<Self>,
        params: RestoreParams,
        mut results: RestoreResults,
    ) -> Result<(), capnp::Error> {
        let restored = self.0.restore(params.get()?.get_id()?)?;
        results.get().get_cap().set_as_capability(restored.hook);
        Ok(())
    }
}
