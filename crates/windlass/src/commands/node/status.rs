//! `windlass node status`: one node in full, and what runs there.

use api::json;
use model::text;
use proto::api::{
    ElementStatus, GetNodeRequest, GetRunRequest, GetServerRequest, ListRunsRequest, NodeStatus,
    RunFilter, RunSummary,
};
use proto::job::Resources;
use tonic::Code;

use crate::client::{Client, Target};
use crate::commands::status::attempt_took;
use crate::failure::Failure;
use crate::show::table::{Align, Table, plain};
use crate::show::{color, out, time};

/// Elements that are shown.
const ELEMENTS_MAX: usize = 20;
/// Runs that are asked for them, the latest first.
const RUNS_MAX: u32 = 50;
/// What of an element that is placed there is under way.
const THERE: [&str; 3] = ["running", "stopping", "unknown"];

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The node (else the one that answers)
    #[arg(value_name = "NAME", add = clap_complete::ArgValueCandidates::new(crate::complete::nodes))]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut client = Client::connect(&target).await?;
    let id = match args.name {
        Some(name) => name,
        None => {
            let answer = client.rpc.get_server(GetServerRequest {}).await;
            let answer = answer.map_err(|status| client.failure("ask the node", &status))?;
            answer.into_inner().node_id
        }
    };
    let answer = client.rpc.get_node(GetNodeRequest { id: id.clone() }).await;
    let node = answer.map_err(|status| client.failure("show a node", &status))?;
    let node = node.into_inner();
    let elements = elements(&mut client, &node.name).await?;
    if args.json {
        let elements = elements.iter().map(json::Element::from).collect();
        out::json(&json::NodeDetail { node: json::Node::from(&node), elements })?;
        return Ok(0);
    }
    out::data(page(&node, &elements, time::now_ms()))?;
    if (elements.len() as u64) < node.running {
        out::note(format!(
            "{} of {} elements that run there; `windlass ps` shows the runs",
            elements.len(),
            node.running
        ));
    }
    Ok(0)
}

/// The elements of the latest runs that are under way on a node.
async fn elements(client: &mut Client, node: &str) -> Result<Vec<ElementStatus>, Failure> {
    let what = "ask what runs there";
    let states = THERE.map(str::to_owned).to_vec();
    let filter = Some(RunFilter { states: states.clone(), ..Default::default() });
    let request = ListRunsRequest { limit: RUNS_MAX, filter, ..Default::default() };
    let runs = client.rpc.list_runs(request).await;
    let runs = runs.map_err(|status| client.failure(what, &status))?.into_inner().runs;
    let mut found: Vec<ElementStatus> = Vec::new();
    for RunSummary { run, .. } in runs {
        if found.len() >= ELEMENTS_MAX {
            break;
        }
        let limit = ELEMENTS_MAX as u32;
        let request = GetRunRequest { id: run.to_string(), limit, states: states.clone() };
        let elements = match client.rpc.get_run(request).await {
            Ok(answer) => answer.into_inner().elements,
            // It has ended and was purged since.
            Err(status) if status.code() == Code::NotFound => continue,
            Err(status) => return Err(client.failure(what, &status)),
        };
        let here = |one: &ElementStatus| one.attempts.last().is_some_and(|last| last.node == node);
        found.extend(elements.into_iter().filter(here));
    }
    found.truncate(ELEMENTS_MAX);
    Ok(found)
}

/// The node's facts, then what runs there.
fn page(node: &NodeStatus, elements: &[ElementStatus], now_ms: u64) -> String {
    let mut page: String =
        facts(node).into_iter().map(|(name, value)| format!("{name:<13}{value}\n")).collect();
    if elements.is_empty() {
        return page;
    }
    let mut table = Table::new(&[
        ("ELEMENT", Align::Left),
        ("STATE", Align::Left),
        ("TRY", Align::Right),
        ("TOOK", Align::Right),
    ])
    .states_in(1);
    for element in elements {
        let last = element.attempts.last();
        table.row(vec![
            element.id.clone(),
            element.state.clone(),
            last.map_or("-".to_owned(), |attempt| attempt.number.to_string()),
            last.map_or("-".to_owned(), |attempt| attempt_took(attempt, now_ms)),
        ]);
    }
    page.push('\n');
    page.push_str(&table.render());
    page
}

fn facts(node: &NodeStatus) -> Vec<(&'static str, String)> {
    let mut state = color::state(&plain(&node.state));
    if !node.reason.is_empty() {
        state.push_str(&format!(": {}", plain(&node.reason)));
    }
    let (has, taken) = (node.capacity.unwrap_or_default(), node.reserved.unwrap_or_default());
    let free = Resources {
        cpu_milli: has.cpu_milli.saturating_sub(taken.cpu_milli),
        memory_bytes: has.memory_bytes.saturating_sub(taken.memory_bytes),
    };
    let cpus = (text::cpus(free.cpu_milli), text::cpus(has.cpu_milli));
    let memory = (text::size(free.memory_bytes), text::size(has.memory_bytes));
    let mut labels: Vec<_> =
        node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.sort();
    let labels = if labels.is_empty() { "-".to_owned() } else { plain(&labels.join(", ")) };
    vec![
        ("node", plain(&node.name)),
        ("id", node.id.clone()),
        ("state", state),
        ("cpus", format!("{} of {} free", cpus.0, cpus.1)),
        ("memory", format!("{} of {} free", memory.0, memory.1)),
        ("attempts", format!("{} running, {} waiting for room", node.running, node.waiting)),
        ("containment", plain(&node.containment)),
        ("labels", labels),
        ("version", plain(&node.version)),
        ("epoch", node.epoch.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use proto::api::AttemptStatus;

    use super::*;

    #[test]
    fn a_node_is_told_in_full() {
        let node = NodeStatus {
            id: "0193d3c8-6f3e-7000-8000-000000000001".into(),
            name: "alpha".into(),
            state: "degraded".into(),
            reason: "a task's processes could not be ended".into(),
            capacity: Some(Resources { cpu_milli: 64_000, memory_bytes: 24 << 30 }),
            reserved: Some(Resources { cpu_milli: 1_500, memory_bytes: 512 << 20 }),
            running: 2,
            waiting: 7,
            epoch: 3,
            version: "0.1.0".into(),
            containment: "cgroup-v2".into(),
            labels: [("disk", "ssd"), ("zone", "b")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        };
        let attempt = AttemptStatus {
            number: 1,
            node: "alpha".into(),
            started_us: 1_000_000,
            ..Default::default()
        };
        let element = ElementStatus {
            id: "812/main[3]".into(),
            state: "running".into(),
            attempts: vec![attempt],
            ..Default::default()
        };
        insta::assert_snapshot!(page(&node, &[element], 3_000), @r"
        node         alpha
        id           0193d3c8-6f3e-7000-8000-000000000001
        state        degraded: a task's processes could not be ended
        cpus         62.5 of 64 free
        memory       24 GiB of 24 GiB free
        attempts     2 running, 7 waiting for room
        containment  cgroup-v2
        labels       disk=ssd, zone=b
        version      0.1.0
        epoch        3

        ELEMENT      STATE    TRY  TOOK
        812/main[3]  running    1  2.0s
        ");
    }
}
