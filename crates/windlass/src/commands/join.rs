//! `windlass join`: a node that comes into a cluster, and serves until it is told to end.

use node::{Join, JoinToken};

use super::up;
use crate::failure::Failure;

/// The port for other nodes, where none is written.
const PORT: u16 = 7401;

const EXAMPLES: &str = "\
Examples:
  windlass cluster token                         on a node of the cluster
  windlass join alpha:7401 --token wlj_…         on the machine that joins
  windlass join alpha:7401 --token wlj_… --roles worker    behind NAT is fine

The token names the cluster, so nothing is said to anybody else. Once the node
is in, `windlass up` on the same directory starts it again; `join` does too.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
// The flags of `up` have a group of the same name.
#[group(skip)]
pub(crate) struct Args {
    /// A control node of the cluster: its name or address, and its port (7401)
    #[arg(value_name = "HOST[:PORT]")]
    host: String,
    /// The text that `windlass cluster token` printed
    #[arg(long, value_name = "TOKEN")]
    token: String,
    #[command(flatten)]
    up: up::Args,
}

pub(crate) fn execute(args: Args, verbose: u8) -> Result<u8, Failure> {
    let token = JoinToken::parse(&args.token).map_err(|fault| {
        let text = fault.to_string();
        let (what, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
        Failure::usage(what.to_owned()).hint(hint.to_owned())
    })?;
    let address = address(&args.host)?;
    up::serve(args.up, verbose, Some(Join { address, token }))
}

fn address(host: &str) -> Result<String, Failure> {
    let wrong = || {
        Failure::usage(format!("`{host}` is no address of a node"))
            .hint("write a name or an address, and its port for nodes: `alpha.lan:7401`")
    };
    let is_ip6 = host.parse::<std::net::Ipv6Addr>().is_ok();
    match host.rsplit_once(':') {
        _ if is_ip6 => Ok(format!("[{host}]:{PORT}")),
        Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(host.to_owned())
        }
        None if !host.is_empty() && !host.contains(char::is_whitespace) => {
            Ok(format!("{host}:{PORT}"))
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_for_nodes_can_be_left_out() {
        let address = |host| address(host).ok();
        assert_eq!(address("alpha").as_deref(), Some("alpha:7401"));
        assert_eq!(address("10.0.0.5:7").as_deref(), Some("10.0.0.5:7"));
        assert_eq!(address("fe80::1").as_deref(), Some("[fe80::1]:7401"));
        for wrong in ["", "a b", ":7", "alpha:x"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
