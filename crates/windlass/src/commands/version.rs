//! `windlass version`: of this client, and of the node it would speak to.

use api::json::{ServerVersion, Versions};
use proto::api::{GetServerRequest, GetServerResponse};

use crate::client::{Client, Target};
use crate::failure::Failure;
use crate::show::out;

const VERSION: &str = env!("CARGO_PKG_VERSION");

const ABOUT: &str = "\
The level is that of the records a node writes: a binary that knows a lower
one cannot read them. Client and server of neighbouring versions work
together. A node that does not answer is no failure here.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = ABOUT)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let server = server(&target).await;
    if args.json {
        out::json(&value(server.as_ref().ok()))?;
    } else {
        out::data(text(server.as_ref().ok()))?;
    }
    if let Err(failure) = server {
        out::note(failure.message);
    }
    Ok(0)
}

/// The node's answer and its address.
async fn server(target: &Target) -> Result<(GetServerResponse, String), Failure> {
    let mut client = Client::connect(target).await?;
    let answer = client.rpc.get_server(GetServerRequest {}).await;
    let answer = answer.map_err(|status| client.failure("ask for the version", &status))?;
    Ok((answer.into_inner(), client.addr))
}

fn text(server: Option<&(GetServerResponse, String)>) -> String {
    let client = format!("client  {VERSION}, level {}\n", node::LEVEL);
    match server {
        None => client,
        Some((server, addr)) => {
            let (version, level, name) = (&server.version, server.level, &server.node_name);
            format!("{client}server  {version}, level {level}, node {name} at {addr}\n")
        }
    }
}

fn value(server: Option<&(GetServerResponse, String)>) -> Versions {
    let server = server.map(|(server, address)| ServerVersion {
        version: server.version.clone(),
        level: server.level,
        node: server.node_name.clone(),
        address: address.clone(),
    });
    Versions { version: VERSION.to_owned(), level: node::LEVEL, server }
}
