//! `windlass node rm`: forgets a node.

use api::json;
use proto::api::{GetNodeRequest, NodeStatus, RemoveNodeRequest};

use crate::client::{self, Client, Target};
use crate::failure::Failure;
use crate::show::table::plain;
use crate::show::{ask, out};

const EXAMPLES: &str = "\
Examples:
  windlass node rm alpha
  windlass node rm alpha --force --reason 'its disk is broken'

A node that is connected stays: drain it and end it first. So does one whose
lease has not run out, or where something is placed.

With `--force` a node that only works is cut off: nothing it says counts from
then on, and it is removed when its lease has run out, which is waited for. What
it ran is started elsewhere then, and not twice.

It belongs to the cluster no more: its certificates count for nothing from then
on, and its vote goes to another control node. To come back it needs an empty
data directory and a join token.

With `--force` for a node that is not connected you also vouch that its machine
is off: tasks submitted with `--on-lost wait` are started elsewhere, too, and for
a control node no lease is waited for. If it does run still, they run twice.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::commands) struct Args {
    /// Its name or its id
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::nodes))]
    name: String,
    /// Cut it off where it lives; else its machine is surely off: start elsewhere what it ran
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Say why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(in crate::commands) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let Args { name, force, yes, reason, json } = args;
    let asks = force && !yes;
    if asks && !ask::is_possible() {
        return Err(Failure::usage("nobody is there to be asked")
            .hint("give `-y` to cut it off or, where it is not connected, to vouch that its machine is off"));
    }
    let mut client = Client::connect(&target).await?;
    let what = format!("remove `{name}`");
    if asks {
        let answer = client.rpc.get_node(GetNodeRequest { id: name.clone() }).await;
        let node = answer.map_err(|status| client.failure(&what, &status))?.into_inner();
        if !ask::whether(&question(&node))? {
            return Ok(1);
        }
    }
    let actor = format!("user:{}", client::user());
    let request = RemoveNodeRequest { id: name, force, reason, actor };
    let answer = client.rpc.remove_node(request).await;
    let answer = answer.map_err(|status| client.failure(&what, &status))?.into_inner();
    if json {
        out::json(&json::Removed::from(&answer))?;
        return Ok(0);
    }
    let name = plain(&answer.node.unwrap_or_default().name);
    out::line(match answer.returned {
        0 => format!("{name} is removed"),
        1 => format!("{name} is removed; 1 attempt is given back"),
        count => format!("{name} is removed; {count} attempts are given back"),
    })?;
    Ok(0)
}

fn question(node: &NodeStatus) -> String {
    let name = plain(&node.name);
    if node.state != "disconnected" {
        return format!(
            "{name} is connected ({}). Cut it off, and remove it when its lease has run out?",
            node.state
        );
    }
    let placed = match node.running + node.waiting {
        0 => "Nothing is placed there".to_owned(),
        1 => "What is placed there (1 attempt) is started elsewhere".to_owned(),
        count => format!("What is placed there ({count} attempts) is started elsewhere"),
    };
    format!(
        "Is the machine of {name} ({}) surely off? {placed}, and runs twice if it is not.",
        node.state
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_learns_what_they_vouch_for() {
        let node = |running, waiting| NodeStatus {
            name: "alpha".into(),
            state: "disconnected".into(),
            running,
            waiting,
            ..Default::default()
        };
        assert_eq!(
            question(&node(2, 1)),
            "Is the machine of alpha (disconnected) surely off? What is placed there (3 attempts) is started elsewhere, and runs twice if it is not."
        );
        assert!(question(&node(1, 0)).contains("(1 attempt)"));
        let lives = NodeStatus { state: "ready".into(), ..node(1, 0) };
        assert!(question(&lives).starts_with("alpha is connected (ready). Cut it off"));
    }
}
