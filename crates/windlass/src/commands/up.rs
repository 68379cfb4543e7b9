//! `windlass up`: a node that serves until it is told to end.

mod dirs;
mod logging;
mod ready;
mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;

use model::text;

use crate::client::addr;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  windlass up                            a node at 127.0.0.1:7400
  windlass up --data-dir ./data --api 127.0.0.1:0 --ready-file ready.json

The first start in a data directory makes a new one-node cluster. Tasks go on
when the node is ended by SIGTERM or Ctrl-C, and are adopted by the next `up`
on the same directory; `windlass down` ends both.

Without --data-dir: /var/lib/windlass for root, else windlass in
XDG_STATE_HOME or ~/.local/state. WINDLASS_LOG=info,journal=debug sets what
is logged to stderr.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Keep the node's data in DIR
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Listen at ADDR for people and programs; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = addr::DEFAULT)]
    api: String,
    /// Name the node (else as the machine)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Label the node, any number of times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Offer N processors to tasks (else all)
    #[arg(long, value_name = "N", value_parser = text::parse_cpus)]
    cpus: Option<u64>,
    /// Offer SIZE of memory to tasks (else all)
    #[arg(long, value_name = "SIZE", value_parser = text::parse_size)]
    memory: Option<u64>,
    /// Write addresses and pids to FILE as JSON once the node serves
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(crate) fn execute(args: Args, verbose: u8) -> Result<u8, Failure> {
    logging::start(verbose)?;
    let api = api_addr(&args.api)?;
    let dir = dirs::data_dir(args.data_dir.clone())?;
    serve::serve(args, api, dir)
}

/// Where to listen: on loopback alone, for there is no encryption yet.
fn api_addr(text: &str) -> Result<SocketAddr, Failure> {
    let addr: SocketAddr = addr::normal(text)?.parse().map_err(|_| {
        Failure::usage(format!("cannot listen at `{text}`: it is a name"))
            .hint("write an address of this machine, such as `127.0.0.1:7400`")
    })?;
    if !addr.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "will not listen at `{text}`: others could read along"
        ))
        .hint("listen on loopback, `--api 127.0.0.1:7400`; encryption comes with clusters"));
    }
    Ok(addr)
}

fn label(text: &str) -> Result<(String, String), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && key.chars().all(plain) => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("a label is written KEY=VALUE, the key of letters, digits and `._-/`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on() {
        assert!(api_addr("127.0.0.1:0").is_ok() && api_addr("localhost").is_ok());
        assert!(api_addr("[::1]:7400").is_ok());
        for text in ["0.0.0.0:7400", "192.168.1.2:7400", "[::]:7400", "example.org:7400"] {
            assert!(api_addr(text).is_err_and(|failure| failure.hint.is_some()), "{text}");
        }
    }

    #[test]
    fn labels_are_read() {
        assert_eq!(label("disk=ssd=fast"), Ok(("disk".into(), "ssd=fast".into())));
        assert!(label("disk").is_err() && label("=x").is_err() && label("a b=c").is_err());
    }
}
