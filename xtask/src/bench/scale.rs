//! What the leader's processor does for 10 to 10,000 nodes: the deciding part alone, with workers that
//! answer at once, on virtual time (`crates/sim/src/bin/scale.rs`).

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::ground::{self, Ground};
use super::table::Row;

/// One cluster that was measured.
struct Measured {
    nodes: f64,
    connect_us: f64,
    heartbeat_us: f64,
    task_us: f64,
}

/// Runs it, and holds the growth of all that is done against that of n log n.
pub(super) fn rows(_ground: &Ground) -> Result<Vec<Row>> {
    let binary = super::build(&["--package", "sim", "--bin", "scale"], "scale")?;
    let output = Command::new(&binary).output().context("starting `scale`")?;
    if !output.status.success() {
        bail!("`scale` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let measured = text.lines().map(read).collect::<Result<Vec<Measured>>>()?;
    let [first, rest @ ..] = &measured[..] else { bail!("`scale` measured nothing") };
    let rows = rest.iter().map(|this| row(this, Some(first)));
    Ok(std::iter::once(row(first, None)).chain(rows).collect())
}

fn read(line: &str) -> Result<Measured> {
    let found: Value = serde_json::from_str(line).context("understanding what `scale` says")?;
    let number = |name| ground::number(&found, name);
    Ok(Measured {
        nodes: number("nodes")?,
        connect_us: number("connect_us")?,
        heartbeat_us: number("heartbeat_us")?,
        task_us: number("task_us")?,
    })
}

/// Held against n log n from the first on.
fn row(this: &Measured, first: Option<&Measured>) -> Row {
    let Measured { nodes, connect_us, heartbeat_us, task_us } = this;
    let work = format!("{nodes} nodes, simulated: the leader's processor");
    let figure = format!(
        "{task_us:.1} µs a task, {heartbeat_us:.1} µs a heartbeat, {connect_us:.0} µs a hello"
    );
    let row = Row::new(work, figure);
    let Some(first) = first else { return row };
    // As many heartbeats and tasks for each node.
    let total = |one: &Measured| one.nodes * (one.heartbeat_us + one.task_us);
    let most = this.nodes * this.nodes.log2() / (first.nodes * first.nodes.log2());
    let grown = total(this) / total(first);
    row.target(
        format!("in all at most {most:.1} times that of {} nodes ({grown:.1})", first.nodes),
        Some(grown <= most),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_held_against_n_log_n() {
        let of = |nodes: u32, task_us: f64| {
            read(&format!(
                r#"{{"nodes":{nodes},"connect_us":1,"heartbeat_us":0,"task_us":{task_us}}}"#
            ))
            .unwrap()
        };
        assert_eq!(row(&of(100, 1.0), None).met, None);
        assert_eq!(
            row(&of(100, 1.9), Some(&of(10, 1.0))).met,
            Some(true),
            "19 times, and 20 may be"
        );
        assert_eq!(row(&of(100, 3.0), Some(&of(10, 1.0))).met, Some(false));
        assert!(read("no").is_err() && read("{}").is_err());
    }
}
