//! The flags that say where a node stands among others.

use std::net::SocketAddr;
use std::time::Duration;

use model::{Roles, text};
use node::{Join, Place};

use crate::failure::Failure;

/// Where a node listens for others, where nothing is said.
const PEER: &str = "0.0.0.0:7401";

#[derive(clap::Args, Debug)]
pub(super) struct PlaceArgs {
    /// Listen at ADDR for other nodes (else at 0.0.0.0:7401, once one may join)
    #[arg(long, value_name = "ADDR")]
    peer: Option<String>,
    /// Tell other nodes to reach this one at HOST:PORT (else found out)
    #[arg(long, value_name = "HOST:PORT", hide_short_help = true)]
    advertise: Option<String>,
    /// Be there for `control,worker`, `control` or `worker`
    #[arg(long, value_name = "ROLES", value_parser = roles)]
    roles: Option<Roles>,
    /// Let another control node vote for one that is away for TIME
    #[arg(long, value_name = "TIME", hide = true, value_parser = text::parse_duration_ms)]
    voter_away: Option<u64>,
    /// Issue certificates of nodes for TIME
    #[arg(long, value_name = "TIME", hide = true, value_parser = text::parse_duration_ms)]
    certificate_life: Option<u64>,
}

impl PlaceArgs {
    pub(super) fn place(&self, join: Option<Join>) -> Result<Place, Failure> {
        let address = self.peer.as_deref().unwrap_or(PEER);
        let peer: SocketAddr = address.parse().map_err(|_| {
            Failure::usage(format!("cannot listen for other nodes at `{address}`"))
                .hint("write an address of this machine and a port, such as `10.0.0.5:7401`")
        })?;
        if let Some(address) = &self.advertise
            && !address.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            })
        {
            return Err(Failure::usage(format!("`{address}` is no address for other nodes"))
                .hint("write a name or an address and a port, such as `alpha.lan:7401`"));
        }
        let away_ms = self.voter_away.unwrap_or(node::VOTER_AWAY_MS);
        let life = self.certificate_life.map(Duration::from_millis);
        Ok(Place {
            roles: self.roles,
            peer,
            peer_named: self.peer.is_some(),
            advertise: self.advertise.clone(),
            join,
            away: Duration::from_millis(away_ms),
            certificate_life: life.unwrap_or(node::CERTIFICATE_LIFE),
        })
    }
}

pub(in crate::commands) fn roles(text: &str) -> Result<Roles, String> {
    text.parse().map_err(|()| "it is `control,worker`, `control` or `worker`".to_owned())
}
