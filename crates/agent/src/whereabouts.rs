//! Where a receiver may be dialled: it says so itself, and is not to have this agent look for what listens
//! where the receiver can't get.

use std::net::IpAddr;

use sturdyref::{Address, SturdyRef};
use tokio::net::lookup_host;

/// What of `named` is to be dialled, every name looked up. `here` is this end of the connection to the
/// tracker.
pub(crate) async fn find(named: &[SturdyRef], here: &Address) -> Vec<SturdyRef> {
    let here = match here {
        Address::Tcp { host, .. } => host.parse().ok(),
        Address::Unix(_) => Some(IpAddr::from([127, 0, 0, 1])),
    };
    let mut found = Vec::new();
    for sturdyref in named {
        let Address::Tcp { host, port } = &sturdyref.address else { continue };
        match lookup_host((host.as_str(), *port)).await {
            Err(error) => tracing::info!(host, %error, "the receiver's name can't be looked up"),
            Ok(addresses) => {
                for address in addresses {
                    if may_be_dialled(address.ip(), here) {
                        found.push(SturdyRef { address: address.into(), ..sturdyref.clone() });
                    } else {
                        tracing::warn!(%address, "the receiver is not to be dialled there");
                    }
                }
            }
        }
    }
    found
}

/// What only this machine can dial, or only its own wire, is no place for a receiver, unless the
/// tracker is found in the same way: then all may be on one machine, or one wire.
fn may_be_dialled(ip: IpAddr, here: Option<IpAddr>) -> bool {
    let (ip, here) = (ip.to_canonical(), here.map(|here| here.to_canonical()));
    if ip.is_loopback() {
        here.is_some_and(|here| here.is_loopback())
    } else if is_link_local(ip) {
        here.is_some_and(is_link_local)
    } else {
        let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
        !(ip.is_unspecified() || ip.is_multicast() || is_broadcast)
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_found(named: &str, here: &str) -> bool {
        let named = format!("capnp://insecure@{named}/bQ").parse().unwrap();
        !find(&[named], &here.parse().unwrap()).await.is_empty()
    }

    #[tokio::test]
    async fn a_receiver_is_dialled_on_networks_that_others_are_on_too() {
        let (far, wire) = ("tcp:192.0.2.1:50000", "tcp:169.254.0.1:50000");
        let (same_machine, socket) = ("tcp:127.0.0.1:50000", "unix:/run/tracker");
        for (named, here, found) in [
            ("192.0.2.9:7001", far, true),
            ("10.0.0.5:7001", far, true),
            ("[2001:db8::1]:7001", far, true),
            ("127.0.0.1:22", far, false),
            ("127.8.9.1:22", far, false),
            ("localhost:22", far, false),
            ("[::1]:22", far, false),
            ("[::ffff:127.0.0.1]:22", far, false),
            ("0.0.0.0:22", far, false),
            ("[::]:22", far, false),
            ("169.254.169.254:80", far, false),
            ("[fe80::1]:22", far, false),
            ("224.0.0.1:22", far, false),
            ("[ff02::1]:22", far, false),
            ("255.255.255.255:22", far, false),
            ("/run/docker.sock", far, false),
            ("127.0.0.1:7001", same_machine, true),
            ("[::1]:7001", same_machine, true),
            ("127.0.0.1:7001", socket, true),
            ("0.0.0.0:22", same_machine, false),
            ("169.254.169.254:80", same_machine, false),
            ("169.254.0.2:7001", wire, true),
            ("127.0.0.1:22", wire, false),
        ] {
            assert_eq!(is_found(named, here).await, found, "{named} from {here}");
        }
    }

    #[tokio::test]
    async fn what_is_dialled_is_what_was_judged_and_not_a_name() {
        let named = "capnp://insecure@localhost:7001/bQ".parse().unwrap();
        let found = find(&[named], &"unix:/run/tracker".parse().unwrap()).await;
        let is_ip = |host: &str| host.parse::<IpAddr>().is_ok();
        let is_judged =
            |it: &SturdyRef| matches!(&it.address, Address::Tcp { host, .. } if is_ip(host));
        assert!(!found.is_empty() && found.iter().all(is_judged), "{found:?}");
    }
}
