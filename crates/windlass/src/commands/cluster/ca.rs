//! `windlass cluster ca`: prints what a client on another machine believes the cluster's nodes by.

use proto::api::GetAuthorityRequest;

use crate::client::{Client, Target};
use crate::failure::Failure;
use crate::show::out;

const EXAMPLES: &str = "\
Examples:
  windlass cluster ca > cluster.crt
  WINDLASS_TOKEN=wl_… windlass -N https://alpha:7400 --ca cluster.crt ps

It is the certificate of the cluster's own authority, a PEM without a secret.
Give it to `--ca` and the like, not to a system: whoever has its key could then
answer there for any site.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {}

pub(super) async fn execute(_: Args, target: Target) -> Result<u8, Failure> {
    let mut client = Client::connect(&target).await?;
    let answer = client.rpc.get_authority(GetAuthorityRequest {}).await;
    let answer = answer.map_err(|status| client.failure("ask for the authority", &status))?;
    out::data(answer.into_inner().certificate)?;
    Ok(0)
}
