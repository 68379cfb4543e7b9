//! `windlass join`: a node that comes into a cluster, and serves until it is told to end.

use std::fs::File;
use std::io::Read;

use node::{Join, JoinToken};

use super::up;
use crate::failure::Failure;

/// No file with a token is longer.
const FILE_BYTES_MAX: u64 = 4096;
/// The port for other nodes, where none is written.
const PORT: u16 = 7401;

const EXAMPLES: &str = "\
Examples:
  windlass cluster token                         on a node of the cluster
  windlass join alpha:7401 --token wlj_…         on the machine that joins
  windlass join alpha:7401 --token @token --roles worker   behind NAT is fine

The token names the cluster, so nothing is said to anybody else. Once the node
is in, `windlass up` on the same directory starts it again; `join` does too.

Other users of the machine can read the words of a command for as long as it
runs, and this one stays: give a token that lets in more than this node by its
file, `--token @FILE`.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
// The flags of `up` have a group of the same name.
#[group(skip)]
pub(crate) struct Args {
    /// A control node of the cluster: its name or address, and its port (7401)
    #[arg(value_name = "HOST[:PORT]")]
    host: String,
    /// The text that `windlass cluster token` printed, or `@FILE` with it
    #[arg(long, value_name = "TOKEN")]
    token: String,
    #[command(flatten)]
    up: up::Args,
}

pub(crate) fn execute(args: Args, verbose: u8) -> Result<u8, Failure> {
    let token = token(&args.token)?;
    let address = address(&args.host)?;
    up::serve(args.up, verbose, Some(Join { address, token }))
}

/// What stands there, or in the file that is named.
fn token(text: &str) -> Result<JoinToken, Failure> {
    let mut read = String::new();
    let text = match text.strip_prefix('@') {
        None => text,
        Some(path) => {
            let file = File::open(path);
            let file = file.and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut read));
            file.map_err(|error| {
                Failure::usage(format!("cannot read the join token from `{path}`: {error}"))
                    .hint("`windlass cluster token > FILE` writes one")
            })?;
            read.trim()
        }
    };
    JoinToken::parse(text).map_err(|fault| {
        let text = fault.to_string();
        let (what, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
        Failure::usage(what.to_owned()).hint(hint.to_owned())
    })
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
