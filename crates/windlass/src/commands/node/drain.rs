//! `windlass node drain`: takes a node out of work, and waits until nothing is left there.

use std::collections::BTreeSet;
use std::time::Duration;

use api::json;
use model::text;
use proto::api::{DrainNodeRequest, ElementStatus, GetNodeRequest, NodeStatus};

use crate::client::patience::Patience;
use crate::client::{self, Client, Target};
use crate::commands::status::attempt_took;
use crate::failure::Failure;
use crate::show::progress::Progress;
use crate::show::table::plain;
use crate::show::{out, time};

/// How often it is looked what is left.
const LOOK: Duration = Duration::from_millis(500);
/// Elements that are named each time.
const NAMED_MAX: usize = 10;

const EXAMPLES: &str = "\
Examples:
  windlass node drain alpha --reason 'new kernel'
  windlass node drain alpha --deadline 10m
  windlass node drain alpha --deadline 0s -d

Nothing more is placed on the node. What waits there for its start goes back to
the queue at once. What runs may go on until the deadline; then it gets SIGTERM
and, after its grace, SIGKILL, and goes back to the queue too. No failure is
counted, but after 5 drains or losses an element is given up as lost, and tasks
submitted with `--on-lost fail` or `--at-most-once` do not run again.

It stays drained over restarts until `windlass node resume`. This command waits
until nothing is left there and says what is; left early, the drain goes on.
A second drain gives a new deadline and a new reason.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// Its name or its id
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::nodes))]
    name: String,
    /// Let what runs go on for so long, and stop it then: `10m`; `0s`: at once
    #[arg(long, value_name = "TIME", value_parser = text::parse_duration_ms)]
    #[arg(default_value = "1h")]
    deadline: u64,
    /// Let what runs go on as long as it takes
    #[arg(long, conflicts_with = "deadline")]
    no_deadline: bool,
    /// Say why, for whoever looks at it later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Do not wait until nothing is left there
    #[arg(short, long)]
    detach: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut client = Client::connect(&target).await?;
    let what = format!("drain `{}`", args.name);
    let request = DrainNodeRequest {
        id: args.name,
        wait_ms: (!args.no_deadline).then_some(args.deadline),
        reason: args.reason,
        actor: format!("user:{}", client::user()),
    };
    let answer = client.rpc.drain_node(request).await;
    let mut node = answer.map_err(|status| client.failure(&what, &status))?.into_inner();
    out::note(begun(&node, time::now_ms()));
    if !args.detach {
        node = wait(&mut client, &node.id).await?;
    }
    if args.json {
        out::json(&json::Node::from(&node))?;
    } else if left(&node) == 0 {
        out::line(format!("{} is drained", plain(&node.name)))?;
    }
    Ok(0)
}

/// Waits until nothing is left, over restarts of the node that answers.
async fn wait(client: &mut Client, id: &str) -> Result<NodeStatus, Failure> {
    let what = format!("wait until nothing is left on `{id}`");
    let (mut patience, mut progress) = (Patience::new(), Progress::new());
    let (mut named, mut most, mut stops) = (BTreeSet::new(), 0, false);
    loop {
        let node = match client.rpc.get_node(GetNodeRequest { id: id.to_owned() }).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                progress.clear();
                patience.bear(client, &what, &status).await?;
                continue;
            }
        };
        patience.answered();
        let Some(drain) = &node.drain else {
            let message = format!("node {} takes work again", plain(&node.name));
            return Err(Failure::new(message).hint("somebody has resumed it meanwhile"));
        };
        let left = left(&node);
        if left == 0 {
            return Ok(node);
        }
        if drain.stops && !std::mem::replace(&mut stops, true) {
            progress.beside(|| out::note("the deadline is over: what is left is being stopped"));
        }
        for line in news(&node, &mut named, time::now_ms()) {
            progress.beside(|| out::note(line));
        }
        most = left.max(most);
        progress.update("have left", most - left, most);
        tokio::time::sleep(LOOK).await;
    }
}

/// How many attempts are placed on a node.
fn left(node: &NodeStatus) -> u64 {
    node.running + node.waiting
}

/// What it means that the drain has begun.
fn begun(node: &NodeStatus, now_ms: u64) -> String {
    let name = plain(&node.name);
    let until = match node.drain.as_ref().and_then(|drain| drain.until_ms) {
        _ if left(node) == 0 => "nothing is left there".to_owned(),
        None => "what is there may go on as long as it takes".to_owned(),
        Some(until_ms) if until_ms <= now_ms => "what is there is being stopped".to_owned(),
        Some(until_ms) => {
            format!("what is there may go on for {}", text::duration_ms(until_ms - now_ms))
        }
    };
    format!("node {name} takes no work any more; {until}")
}

/// A line for each element that was not named yet, as long as they are few.
fn news(node: &NodeStatus, named: &mut BTreeSet<String>, now_ms: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut more = 0;
    for element in &node.elements {
        if !named.insert(element.id.clone()) {
            continue;
        }
        match lines.len() < NAMED_MAX {
            true => lines.push(kept_by(element, now_ms)),
            false => more += 1,
        }
    }
    if more > 0 {
        let name = plain(&node.name);
        lines.push(format!("and {more} more; `windlass node status {name}` lists what is left"));
    }
    lines
}

fn kept_by(element: &ElementStatus, now_ms: u64) -> String {
    let took = element.attempts.last().map(|attempt| attempt_took(attempt, now_ms));
    let took = took.unwrap_or_default();
    format!("left: {} {} {took}", plain(&element.id), plain(&element.state)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proto::api::{AttemptStatus, Drain};

    use super::*;

    fn node(elements: u32, until_ms: Option<u64>) -> NodeStatus {
        let element = |index: u32| ElementStatus {
            id: format!("812/main[{index}]"),
            state: "running".into(),
            attempts: vec![AttemptStatus { started_us: 1_000_000, ..Default::default() }],
            ..Default::default()
        };
        NodeStatus {
            name: "alpha".into(),
            running: elements.into(),
            drain: Some(Drain { until_ms, ..Default::default() }),
            elements: (0..elements).map(element).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn it_is_said_what_becomes_of_what_is_there() {
        let said = |elements, until_ms| begun(&node(elements, until_ms), 1_000);
        let takes = "node alpha takes no work any more";
        assert_eq!(said(0, Some(9)), format!("{takes}; nothing is left there"));
        let goes_on = "what is there may go on";
        assert_eq!(said(1, None), format!("{takes}; {goes_on} as long as it takes"));
        assert_eq!(said(1, Some(61_000)), format!("{takes}; {goes_on} for 1m 0s"));
        assert_eq!(said(1, Some(1_000)), format!("{takes}; what is there is being stopped"));
    }

    #[test]
    fn what_keeps_it_is_named_once() {
        let mut named = BTreeSet::new();
        assert_eq!(news(&node(1, None), &mut named, 3_000), ["left: 812/main[0] running 2.0s"]);
        let lines = news(&node(14, None), &mut named, 3_000);
        assert_eq!(lines.len(), NAMED_MAX + 1);
        assert!(lines[NAMED_MAX].starts_with("and 3 more; "), "{lines:?}");
        assert!(news(&node(14, None), &mut named, 3_000).is_empty());
    }
}
