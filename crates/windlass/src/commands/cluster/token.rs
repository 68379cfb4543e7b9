//! `windlass cluster token`: prints what lets a machine into the cluster.

use model::{Roles, text};
use proto::api::CreateJoinTokenRequest;

use crate::client::{self, Client, Target};
use crate::commands::up::place::roles;
use crate::failure::Failure;
use crate::show::{out, time};

const EXAMPLES: &str = "\
Examples:
  windlass cluster token
  windlass cluster token --roles worker --uses 20 --expires 1d

Whoever has the token can make a machine a node of the cluster, with the roles
it is for, until it expires or is used up. It is shown only now.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// Let nodes in as `control,worker`, `control` or `worker`
    #[arg(long, value_name = "ROLES", default_value = "control,worker", value_parser = roles)]
    roles: Roles,
    /// Expire after so long: `10m`, `1d`, 7 days at the most
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = text::parse_duration_ms)]
    expires: u64,
    /// Let N nodes in
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u32,
    /// Say why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut client = Client::connect(&target).await?;
    let request = CreateJoinTokenRequest {
        roles: args.roles.to_string(),
        lasts_ms: args.expires,
        uses_max: args.uses,
        reason: args.reason,
        actor: format!("user:{}", client::user()),
    };
    let made = client.rpc.create_join_token(request).await;
    let made = made.map_err(|status| client.failure("make a join token", &status))?.into_inner();
    if args.json {
        out::json(&api::json::JoinToken::from(&made))?;
        return Ok(0);
    }
    out::line(&made.text)?;
    let (nodes, until) = (made.uses_max, time::for_people_ms(made.expires_ms));
    let nodes = if nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
    out::note(format!(
        "it lets {nodes} in as {} until {until}; on the machine that joins:\n  windlass join {} --token {}",
        made.roles, made.address, made.text
    ));
    Ok(0)
}
