//! Calls that do nothing: what connections, HTTP/2 and the gate cost before anything is decided.

use proto::api::GetServerRequest;
use serde_json::Value;
use tonic::Status;

use super::crowd::{Call, Crowd};
use crate::client::{Client, Target};
use crate::failure::Failure;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    clients: u32,
    /// Calls in all
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    calls: u64,
}

pub(super) async fn work(args: &Args, target: &Target) -> Result<Value, Failure> {
    Crowd { clients: args.clients, calls: args.calls }.make(target, Ping).await
}

struct Ping;

impl Call for Ping {
    const WHAT: &str = "ask the node about itself";

    async fn make(&self, client: &mut Client, _: u64) -> Result<(), Status> {
        client.rpc.get_server(GetServerRequest {}).await.map(drop)
    }
}
