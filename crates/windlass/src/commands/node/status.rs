//! `windlass node status`: one node in full, and what is placed there.

use api::json;
use model::text;
use proto::api::{Drain, GetNodeRequest, GetServerRequest, NodeStatus};
use proto::job::Resources;

use crate::client::{Client, Target};
use crate::commands::status::attempt_took;
use crate::failure::Failure;
use crate::show::table::{Align, Table, plain};
use crate::show::{color, out, time};

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
    let answer = client.rpc.get_node(GetNodeRequest { id }).await;
    let node = answer.map_err(|status| client.failure("show a node", &status))?;
    let node = node.into_inner();
    if args.json {
        out::json(&json::NodeDetail::from(&node))?;
        return Ok(0);
    }
    out::data(page(&node, time::now_ms()))?;
    let (shown, placed) = (node.elements.len() as u64, node.running + node.waiting);
    if shown < placed {
        let note = format!("{shown} of {placed} elements there; `windlass ps` shows the runs");
        out::note(note);
    }
    Ok(0)
}

/// The node's facts, then what is placed there.
fn page(node: &NodeStatus, now_ms: u64) -> String {
    let mut page: String = facts(node, now_ms)
        .into_iter()
        .map(|(name, value)| format!("{name:<13}{value}\n"))
        .collect();
    if node.elements.is_empty() {
        return page;
    }
    let mut table = Table::new(&[
        ("ELEMENT", Align::Left),
        ("STATE", Align::Left),
        ("TRY", Align::Right),
        ("TOOK", Align::Right),
    ])
    .states_in(1);
    for element in &node.elements {
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

fn facts(node: &NodeStatus, now_ms: u64) -> Vec<(&'static str, String)> {
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
    let drain = node.drain.as_ref().map(|drain| ("drain", drained(drain, now_ms)));
    let mut facts = vec![
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
    ];
    facts.splice(3..3, drain);
    facts
}

/// Since when it is drained, and what becomes of what is there.
fn drained(drain: &Drain, now_ms: u64) -> String {
    let since = time::ago(now_ms, drain.since_ms);
    let until = match drain.until_ms {
        None => "waits as long as it takes".to_owned(),
        Some(_) if drain.stops => "stops what is left".to_owned(),
        Some(until_ms) => format!("stops what is left in {}", time::ago(until_ms, now_ms)),
    };
    format!("for {since}; {until}")
}

#[cfg(test)]
mod tests {
    use proto::api::{AttemptStatus, ElementStatus};

    use super::*;

    #[test]
    fn a_node_is_told_in_full() {
        let mut node = NodeStatus {
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
            ..Default::default()
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
        node.elements = vec![element];
        insta::assert_snapshot!(page(&node, 3_000), @r"
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

        node.state = "draining".into();
        node.reason = "drained by user:ann: new kernel".into();
        node.elements.clear();
        node.drain =
            Some(Drain { since_ms: 1_000, until_ms: Some(3_603_000), ..Default::default() });
        let told = page(&node, 3_000);
        assert!(
            told.contains("state        draining: drained by user:ann: new kernel\n"),
            "{told}"
        );
        assert!(told.contains("drain        for 2s; stops what is left in 1h\n"), "{told}");
    }
}
