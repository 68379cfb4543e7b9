//! `windlass node`, also `windlass workers`: who runs tasks.

mod drain;
mod resume;
pub(super) mod rm;
mod status;

use model::text;
use proto::api::{ListNodesRequest, NodeStatus};
use proto::job::Resources;

use crate::client::{Client, Target};
use crate::failure::Failure;
use crate::show::out;
use crate::show::table::{Align, Table};

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// List nodes (the default)
    Ls(ListArgs),
    /// Show one node in full, and what runs there
    Status(status::Args),
    /// Take a node out of work, and wait until nothing is left there
    Drain(drain::Args),
    /// Take a node back into work
    Resume(resume::Args),
    /// Forget a node that is gone
    Rm(rm::Args),
}

#[derive(clap::Args, Debug)]
struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let args = match args.command {
        Some(Command::Ls(list)) => list,
        Some(Command::Status(args)) => return status::execute(args, target).await,
        Some(Command::Drain(args)) => return drain::execute(args, target).await,
        Some(Command::Resume(args)) => return resume::execute(args, target).await,
        Some(Command::Rm(args)) => return rm::execute(args, target).await,
        None => args.list,
    };
    let mut client = Client::connect(&target).await?;
    let answer = client.rpc.list_nodes(ListNodesRequest {}).await;
    let nodes = answer.map_err(|status| client.failure("list nodes", &status))?.into_inner().nodes;
    if args.json {
        out::json(&api::json::Nodes::from(&nodes[..]))?;
        return Ok(0);
    }
    out::data(table(&nodes))?;
    for node in nodes.iter().filter(|node| !node.reason.is_empty()) {
        out::note(format!("{} is {}: {}", node.name, node.state, node.reason));
    }
    Ok(0)
}

fn table(nodes: &[NodeStatus]) -> String {
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("STATE", Align::Left),
        ("CPUS", Align::Right),
        ("MEMORY", Align::Right),
        ("RUNNING", Align::Right),
        ("WAITING", Align::Right),
        ("CONTAINMENT", Align::Left),
        ("VERSION", Align::Left),
    ])
    .states_in(1);
    for node in nodes {
        table.row(vec![
            node.name.clone(),
            node.state.clone(),
            part(node, |resources| text::cpus(resources.cpu_milli)),
            part(node, |resources| text::size(resources.memory_bytes)),
            node.running.to_string(),
            node.waiting.to_string(),
            node.containment.clone(),
            node.version.clone(),
        ]);
    }
    table.render()
}

/// What is reserved of what there is.
fn part(node: &NodeStatus, show: impl Fn(&Resources) -> String) -> String {
    let reserved = show(&node.reserved.unwrap_or_default());
    format!("{reserved}/{}", show(&node.capacity.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_fits_the_screen() {
        let node = NodeStatus {
            name: "alpha".into(),
            state: "ready".into(),
            capacity: Some(Resources { cpu_milli: 64_000, memory_bytes: 24 << 30 }),
            reserved: Some(Resources { cpu_milli: 1_500, memory_bytes: 512 << 20 }),
            running: 2,
            waiting: 10_000,
            version: "0.1.0".into(),
            containment: "cgroup-v2".into(),
            ..Default::default()
        };
        insta::assert_snapshot!(table(&[node]), @r"
        NAME   STATE    CPUS          MEMORY  RUNNING  WAITING  CONTAINMENT  VERSION
        alpha  ready  1.5/64  512 MiB/24 GiB        2    10000  cgroup-v2    0.1.0
        ");
    }
}
