//! `windlass up`: a node that serves until it is told to end.

pub(in crate::commands) mod dirs;
mod listening;
mod logging;
pub(in crate::commands) mod place;
mod ready;
mod serving;
mod tls;
mod traces;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use listening::Listening;
use model::job::limits::{LABELS_MAX, NAME_BYTES_MAX};
use model::{Keep, Retention, text};

use crate::client::addr;
use crate::commands::run::policy::keep;
use crate::failure::Failure;

/// Bytes of a node's name: as long as a machine's may be.
const NODE_NAME_BYTES_MAX: usize = 64;

const EXAMPLES: &str = "\
Examples:
  windlass up                            a node at 127.0.0.1:7400
  windlass up --data-dir ./data --api 127.0.0.1:0 --ready-file ready.json
  windlass up --api 0.0.0.0:7400         for other machines too, over TLS

The first start in a data directory makes a new one-node cluster. Tasks go on
when the node is ended by SIGTERM or Ctrl-C, and are adopted by the next `up`
on the same directory; `windlass down` ends both.

Without --data-dir: /var/lib/windlass for root, else windlass in
XDG_STATE_HOME or ~/.local/state. Every flag can stand in a file: see
`windlass config --help`.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Keep the node's data in DIR
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Listen at ADDR for people and programs, beyond loopback over TLS; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = addr::DEFAULT)]
    api: String,
    #[command(flatten)]
    tls: tls::TlsArgs,
    /// Send REST requests to the leader, where they can reach it, instead of asking it for them
    #[arg(long, hide_short_help = true)]
    redirect: bool,
    #[command(flatten)]
    place: place::PlaceArgs,
    /// Name the node (else as the machine)
    #[arg(long, value_name = "NAME", value_parser = node_name)]
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
    /// Give nodes a lease of TIME: without a word for so long their tasks end (30s)
    #[arg(long, value_name = "TIME", value_parser = lease, hide_short_help = true)]
    lease: Option<u64>,
    /// Make a snapshot when so much of the journal lies behind the last one
    #[arg(long, value_name = "SIZE", hide = true, value_parser = text::parse_size)]
    checkpoint_size: Option<u64>,
    /// Beside the node itself, N workers that run nothing: for measuring
    #[arg(long, value_name = "N", hide = true, default_value_t = 0)]
    noop_workers: u32,
    /// Processors that each of those claims
    #[arg(long, value_name = "N", hide = true, default_value_t = 64)]
    noop_slots: u32,
    /// Keep ended runs for DAYS, or as one of the latest RUNS of their name (30,1000)
    #[arg(long, value_name = "DAYS,RUNS", value_parser = keep, hide_short_help = true)]
    history_keep: Option<Keep>,
    /// The same for runs that did not succeed (as `--history-keep`)
    #[arg(long, value_name = "DAYS,RUNS", value_parser = keep, hide_short_help = true)]
    history_keep_failed: Option<Keep>,
    /// The same for runs of one namespace, any number of times
    #[arg(long, value_name = "NAMESPACE=DAYS,RUNS", value_parser = keep_of, hide_short_help = true)]
    history_keep_of: Vec<(String, Keep)>,
    /// The same for those that did not succeed (as `--history-keep-of`)
    #[arg(long, value_name = "NAMESPACE=DAYS,RUNS", value_parser = keep_of, hide_short_help = true)]
    history_keep_failed_of: Vec<(String, Keep)>,
    /// Let history take SIZE of the disk; beyond, the oldest runs go (10GiB)
    #[arg(long, value_name = "SIZE", value_parser = text::parse_size, hide_short_help = true)]
    history_disk: Option<u64>,
    /// Let output of ended tasks take SIZE; beyond, the oldest goes (10GiB)
    #[arg(long, value_name = "SIZE", value_parser = text::parse_size, hide_short_help = true)]
    output_disk: Option<u64>,
    /// Log a level, or directives by module, to stderr: `info,journal=debug`
    #[arg(long, value_name = "LEVEL,…", env = "WINDLASS_LOG", hide_env = true)]
    #[arg(hide_short_help = true)]
    log: Option<String>,
    /// Log lines for people, or an object of JSON a line
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_short_help = true)]
    log_format: logging::Format,
    /// Send traces to the collector at URL by OTLP over gRPC: `http://127.0.0.1:4317`
    #[arg(long, value_name = "URL", hide_short_help = true)]
    otlp_endpoint: Option<api::traces::Endpoint>,
    /// Trace this part of all runs, from 0 to 1
    #[arg(long, value_name = "PART", default_value = "1", value_parser = part)]
    #[arg(hide_short_help = true)]
    otlp_sample: f64,
    /// Write addresses and pids to FILE as JSON once the node serves
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(crate) fn execute(args: Args, verbose: u8) -> Result<u8, Failure> {
    serve(args, verbose, None)
}

/// Starts a node, which comes into a cluster with `join`, and serves until it is told to end.
pub(super) fn serve(args: Args, verbose: u8, join: Option<node::Join>) -> Result<u8, Failure> {
    logging::start(verbose, args.log.as_deref(), args.log_format)?;
    check_labels(&args.labels)?;
    let api = api_addr(&args.api)?;
    let wanted = args.tls.wanted(api)?;
    let dir = dirs::data_dir(args.data_dir.clone())?;
    let place = args.place.place(join)?;
    wanted.check(place.asked_roles())?;
    if args.redirect && place.asked_roles().is_some_and(|roles| !roles.control) {
        return Err(Failure::usage("`--redirect` says nothing on a node that only works")
            .hint("it hands requests on to control nodes: say it there"));
    }
    let listening = Listening::at(api, wanted, &dir)?;
    serving::serve(args, place, listening, dir)
}

impl Args {
    /// How long ended runs are kept.
    fn retention(&self) -> Retention {
        let success = self.history_keep.unwrap_or_default();
        Retention { success, failure: self.history_keep_failed.unwrap_or(success) }
    }

    /// How long ended runs of certain namespaces are kept.
    fn namespaces(&self) -> BTreeMap<String, Retention> {
        let mut all: BTreeMap<_, _> = (self.history_keep_of.iter())
            .map(|(name, keep)| (name.clone(), Retention { success: *keep, failure: *keep }))
            .collect();
        for (name, failure) in &self.history_keep_failed_of {
            let success = self.history_keep.unwrap_or_default();
            all.entry(name.clone()).or_insert(Retention { success, failure: *failure }).failure =
                *failure;
        }
        all
    }
}

/// Where to listen.
fn api_addr(text: &str) -> Result<SocketAddr, Failure> {
    addr::normal(text)?.parse().map_err(|_| {
        Failure::usage(format!("cannot listen at `{text}`: it is a name"))
            .hint("write an address of this machine, such as `127.0.0.1:7400`, or `0.0.0.0:7400` for all it has")
    })
}

fn node_name(text: &str) -> Result<String, String> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    if text.is_empty() || text.len() > NODE_NAME_BYTES_MAX || !text.chars().all(plain) {
        return Err(format!(
            "a node's name has 1 to {NODE_NAME_BYTES_MAX} bytes and no spaces, such as `alpha`"
        ));
    }
    Ok(text.to_owned())
}

/// The same key twice would leave it to chance which value holds. All control nodes keep them, and
/// let no node in that has too many.
fn check_labels(labels: &[(String, String)]) -> Result<(), Failure> {
    if labels.len() > LABELS_MAX {
        return Err(Failure::usage(format!("a node has at most {LABELS_MAX} labels")));
    }
    for (at, (key, _)) in labels.iter().enumerate() {
        if labels[..at].iter().any(|(other, _)| other == key) {
            return Err(Failure::usage(format!("the label `{key}` is given twice")));
        }
    }
    Ok(())
}

fn lease(text: &str) -> Result<u64, String> {
    let allowed = model::LEASE_MS_MIN..=model::LEASE_MS_MAX;
    let lease_ms = text::parse_duration_ms(text).map_err(|error| error.to_string())?;
    match allowed.contains(&lease_ms) {
        true => Ok(lease_ms),
        false => Err("a lease has 1s to 10m".to_owned()),
    }
}

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "a number from 0 to 1, such as `0.05`".to_owned())
}

fn keep_of(text: &str) -> Result<(String, Keep), String> {
    match text.split_once('=') {
        Some((name, kept)) if !name.is_empty() => Ok((name.to_owned(), keep(kept)?)),
        _ => Err("written NAMESPACE=DAYS,RUNS, such as `team-a=7,100`".to_owned()),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    match text.split_once('=') {
        Some((key, value)) if key.len().max(value.len()) > NAME_BYTES_MAX => {
            Err(format!("a label's key and value have at most {NAME_BYTES_MAX} bytes each"))
        }
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
    fn an_address_is_listened_at_and_not_a_name() {
        for text in ["127.0.0.1:0", "localhost", "[::1]:7400", "0.0.0.0:7400", "192.168.1.2", "::"]
        {
            assert!(api_addr(text).is_ok(), "{text}");
        }
        assert!(api_addr("example.org:7400").is_err_and(|failure| failure.hint.is_some()));
    }

    #[test]
    fn names_fit_a_table() {
        assert_eq!(node_name("alpha-1.lan"), Ok("alpha-1.lan".into()));
        for text in ["", "a b", "a\nb", &"x".repeat(65)] {
            assert!(node_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_label_has_one_value() {
        let label = |text| label(text).unwrap();
        assert!(check_labels(&[label("a=1"), label("b=1")]).is_ok());
        assert!(check_labels(&[label("a=1"), label("b=1"), label("a=1")]).is_err());
        let many: Vec<_> = (0..=LABELS_MAX).map(|n| (format!("l{n}"), "1".to_owned())).collect();
        assert!(check_labels(&many[1..]).is_ok() && check_labels(&many).is_err());
    }

    #[test]
    fn a_namespace_may_keep_its_runs_longer() {
        let line = ["up", "--history-keep-of", "a=7,100", "--history-keep-failed-of", "a=90,5"];
        let args = <TestArgs as clap::Parser>::parse_from(line).args;
        let kept = args.namespaces()["a"];
        assert_eq!((kept.success.days, kept.success.runs), (7, 100));
        assert_eq!((kept.failure.days, kept.failure.runs), (90, 5));
        assert!(keep_of("7,100").is_err() && keep_of("=7,100").is_err());
    }

    #[derive(clap::Parser)]
    struct TestArgs {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_part_is_none_to_all() {
        assert_eq!((part("0"), part("0.25"), part("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        for text in ["-0.1", "1.1", "NaN", "50%", ""] {
            assert!(part(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_are_read() {
        assert_eq!(label("disk=ssd=fast"), Ok(("disk".into(), "ssd=fast".into())));
        assert!(label(&format!("disk={}", "x".repeat(NAME_BYTES_MAX + 1))).is_err());
        assert!(label("disk").is_err() && label("=x").is_err() && label("a b=c").is_err());
    }
}
