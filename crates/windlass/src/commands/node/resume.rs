//! `windlass node resume`: takes a node back into work.

use api::json;
use proto::api::ResumeNodeRequest;

use crate::client::{self, Client, Target};
use crate::failure::Failure;
use crate::show::out;
use crate::show::table::plain;

const EXAMPLES: &str = "\
Examples:
  windlass node resume alpha

What a drain is stopping already stays so: it waits for a node again.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// Its name or its id
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::nodes))]
    name: String,
    /// Say why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut client = Client::connect(&target).await?;
    let what = format!("resume `{}`", args.name);
    let actor = format!("user:{}", client::user());
    let request = ResumeNodeRequest { id: args.name, reason: args.reason, actor };
    let answer = client.rpc.resume_node(request).await;
    let answer = answer.map_err(|status| client.failure(&what, &status))?.into_inner();
    if args.json {
        out::json(&json::Resumed::from(&answer))?;
        return Ok(0);
    }
    let name = plain(&answer.node.unwrap_or_default().name);
    out::line(match answer.was_drained {
        true => format!("{name} takes work again"),
        false => format!("{name} was not drained"),
    })?;
    Ok(0)
}
