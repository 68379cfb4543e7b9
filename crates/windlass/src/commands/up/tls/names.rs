//! The names and addresses under which others reach this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use peer::server::NAMES_MAX;
use rustls::pki_types::ServerName;

use super::super::serving::machine_name;

/// What a certificate of a listener at this address is for: `also`, the machine's name, and the address; where that is
/// none in particular, all that the machine has, and loopback.
pub(super) fn names(listening: IpAddr, also: &[ServerName<'static>]) -> Vec<ServerName<'static>> {
    let mut names = also.to_vec();
    // A machine may have a name that none can be called by.
    names.extend(ServerName::try_from(machine_name()));
    match listening.is_unspecified() {
        true => names.extend(everywhere(listening.is_ipv6())),
        false => names.push(ServerName::IpAddress(listening.into())),
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.to_str().into_owned()));
    names.truncate(NAMES_MAX);
    names
}

fn everywhere(six: bool) -> Vec<ServerName<'static>> {
    let mut ips = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    ips.extend(six.then_some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    let mut others: Vec<_> = interfaces().into_iter().filter(|ip| six || ip.is_ipv4()).collect();
    // In an order that does not change with that of the interfaces.
    others.sort();
    ips.extend(others);
    let localhost = ServerName::try_from("localhost").into_iter();
    localhost.chain(ips.into_iter().map(|ip| ServerName::IpAddress(ip.into()))).collect()
}

/// Addresses that others may reach; one that counts on its link alone is none.
fn interfaces() -> Vec<IpAddr> {
    let all = if_addrs::get_if_addrs().inspect_err(|error| {
        tracing::warn!(%error, "cannot list the addresses of this machine: name them with `--api-name`");
    });
    let all = all.unwrap_or_default().into_iter();
    all.filter(|one| !one.is_link_local()).map(|one| one.ip()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(listening: &str, also: &[&'static str]) -> Vec<String> {
        let also: Vec<_> = also.iter().map(|name| ServerName::try_from(*name).unwrap()).collect();
        let names = names(listening.parse().unwrap(), &also);
        names.iter().map(|name| name.to_str().into_owned()).collect()
    }

    #[test]
    fn an_address_is_for_itself_the_machine_and_what_was_named() {
        let names = texts("10.0.0.5", &["alpha.example", "10.0.0.5"]);
        assert_eq!(names[..2], ["alpha.example", "10.0.0.5"]);
        assert!(names.len() <= 3, "{names:?}");
        assert!(!names.iter().any(|name| name == "localhost"), "{names:?}");
    }

    #[test]
    fn every_address_is_all_of_the_machines_each_once() {
        let names = texts("0.0.0.0", &["alpha.example"]);
        for name in ["alpha.example", "localhost", "127.0.0.1"] {
            assert_eq!(names.iter().filter(|one| *one == name).count(), 1, "{names:?}");
        }
        assert!(!names.iter().any(|name| name == "::1" || name == "0.0.0.0"), "{names:?}");
        assert!(texts("::", &[]).iter().any(|name| name == "::1"));
    }
}
