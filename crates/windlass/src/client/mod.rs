//! The node that a command speaks to.
//!
//! It turns what can go wrong on the way into words. It must never show anything.

pub(crate) mod addr;
mod calls;
pub(crate) mod patience;
pub(crate) mod pin;
pub(crate) mod token;
pub(crate) mod way;

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderValue;
use model::RunId;
use model::selector::{RunSelector, Selector};
use proto::api::GetRunRequest;
use proto::api::windlass_client::WindlassClient;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use addr::Address;
use calls::Calls;
use way::{Connector, Way};

use crate::failure::{Failure, chain, exit};

/// How long a node on this machine may take to answer at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of one answer.
const RESPONSE_BYTES_MAX: usize = 16 << 20;

/// Which node, and how much to say: for every command, before or after its verb.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Every command")]
pub(crate) struct Target {
    /// Speak to the node at ADDR (else at WINDLASS_NODE)
    // Settings bring the variable: clap's own would put the flag into each usage line.
    #[arg(short = 'N', long = "node", value_name = "ADDR")]
    #[arg(default_value = addr::DEFAULT, global = true)]
    pub(crate) node: String,
    /// Speak TLS and believe the authority in FILE (else WINDLASS_CA, else the system's)
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub(crate) ca: Option<PathBuf>,
    /// Take the token from FILE (else from WINDLASS_TOKEN, else where `up` left it)
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// Read settings from FILE (else from WINDLASS_CONFIG, else see `help config`)
    #[arg(short, long, value_name = "FILE", global = true, hide_short_help = true)]
    pub(crate) config: Option<PathBuf>,
    /// Answer from what the node knows, without asking the leader; say how old that may be
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) stale: bool,
    /// Say more on stderr
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
}

/// A connection to a node.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) rpc: WindlassClient<Calls>,
    /// With its port, also where the user left it out.
    pub(crate) addr: String,
    ca: Option<PathBuf>,
}

impl Client {
    /// Connects, so that a node which is not there is known at once.
    pub(crate) async fn connect(target: &Target) -> Result<Client, Failure> {
        let address = Address::parse(&target.node)?;
        let way = Way::to(&address, target)?;
        let addr = address.text;
        let endpoint = Endpoint::from_shared(format!("{}://{addr}", way.scheme()))
            .map_err(|error| Failure::usage(format!("`{}` is no address: {error}", target.node)))?
            .connect_timeout(CONNECT_TIMEOUT);
        let token = find_token(target, &addr);
        // Where both are missing, the node is the cause and the token only follows from it.
        let connector = Connector { addr: addr.clone(), way };
        let channel = endpoint.connect_with_connector(connector).await;
        let channel = channel.map_err(|error| unreachable(&addr, target.ca.as_deref(), &error))?;
        let bearer = format!("Bearer {}", token?);
        let bearer = HeaderValue::try_from(bearer).map_err(|_| {
            Failure::new("the token has characters that cannot be sent")
                .hint("copy it from the file `token` in the node's data directory")
        })?;
        let calls = Calls::new(channel, bearer, target.stale);
        let rpc = WindlassClient::new(calls).max_decoding_message_size(RESPONSE_BYTES_MAX);
        Ok(Client { rpc, addr, ca: target.ca.clone() })
    }

    /// The id with its run's number, so that it means the same run when it is used again.
    pub(crate) async fn pin(&mut self, id: &str) -> Result<String, Failure> {
        let selector = check_id(id)?;
        if matches!(selector.run, RunSelector::Id(_)) {
            return Ok(id.to_owned());
        }
        let answer = self
            .rpc
            .get_run(GetRunRequest { id: id.to_owned(), limit: 1, ..Default::default() })
            .await;
        let answer = answer.map_err(|status| self.failure(&format!("find `{id}`"), &status))?;
        let run = answer.into_inner().run.unwrap_or_default().run;
        Ok(Selector { run: RunSelector::Id(RunId(run)), ..selector }.to_string())
    }

    /// What a refusal or a broken connection means for `what` was tried: `cancel 812`.
    pub(crate) fn failure(&self, what: &str, status: &Status) -> Failure {
        if is_lost(status) {
            return unreachable(&self.addr, self.ca.as_deref(), status);
        }
        match status.code() {
            Code::Unauthenticated => Failure::new(format!(
                "cannot {what}: the node at {} does not take the token: it is unknown there, expired or revoked",
                self.addr
            ))
            .hint("give the node's own with `--token-file DATA_DIR/token`, or a new one of an admin's"),
            Code::Unimplemented => Failure::new(format!(
                "cannot {what}: the node at {} does not know this call",
                self.addr
            ))
            .hint("it may be of another version: see `windlass version`"),
            _ => Failure::new(format!("cannot {what}: {}", status.message())),
        }
    }
}

/// Whether the id can be one: the command line is at fault where it cannot, not the node.
pub(crate) fn check_id(id: &str) -> Result<Selector, Failure> {
    Selector::parse(id).map_err(|error| Failure::usage(error.to_string()))
}

/// Who calls. Whoever holds the token is believed.
pub(crate) fn user() -> String {
    let named = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
    named("USER").or_else(|| named("LOGNAME")).unwrap_or_else(|| runner::user::User::own().name)
}

/// Whether the node did not answer at all, rather than with a refusal: only then has a status a
/// source.
pub(crate) fn is_lost(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

/// Whether it will not answer, however often it is called.
pub(crate) fn is_hopeless(status: &Status) -> bool {
    way::is_hopeless(status)
}

fn unreachable(
    addr: &str,
    ca: Option<&Path>,
    error: &(dyn std::error::Error + 'static),
) -> Failure {
    if let Some(failure) = way::trouble(error, addr, ca) {
        return failure;
    }
    let why = chain(error);
    let why = why.rsplit(": ").next().unwrap_or_default().to_owned();
    let why = why.split(" (os error").next().unwrap_or_default().to_lowercase();
    Failure {
        exit: exit::UNREACHABLE,
        ..Failure::new(format!("no node answers at {addr}: {why}"))
            .hint("start one with `windlass up`, or name another with `--node ADDR`")
    }
}

pub(crate) fn find_token(target: &Target, addr: &str) -> Result<String, Failure> {
    if let Some(path) = &target.token_file {
        return token::read(path);
    }
    match std::env::var("WINDLASS_TOKEN") {
        Ok(token) if !token.is_empty() => return Ok(token),
        _ => {}
    }
    match token::pointer_path(addr) {
        Some(path) if path.exists() => token::read(&path),
        _ => Err(Failure::new(format!("no token for the node at {addr}")).hint(
            "another user may have started it: give `--token-file DATA_DIR/token` or WINDLASS_TOKEN",
        )),
    }
}
