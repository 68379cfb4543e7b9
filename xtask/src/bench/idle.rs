//! What a node costs while it has nothing to do: memory and processor time of daemon and supervisor together.
//!
//! The memory is the sum of what each process has resident. What both share, such as the program's code, counts twice.

use std::time::Duration;

use anyhow::Result;

use super::table::Row;
use crate::node::Node;
use crate::proc;

const SETTLE: Duration = Duration::from_secs(3);
const WATCH: Duration = Duration::from_secs(20);
const RESIDENT_MIB_MAX: f64 = 45.0;
const CORE_PERCENT_MAX: f64 = 0.5;

/// Watches the idle node for a while.
pub(super) fn rows(when: &str, node: &Node) -> Result<Vec<Row>> {
    std::thread::sleep(SETTLE);
    let before = proc::cpu_seconds(&node.pids())?;
    std::thread::sleep(WATCH);
    let percent = (proc::cpu_seconds(&node.pids())? - before) / WATCH.as_secs_f64() * 100.0;
    let mib = proc::resident_mib(&node.pids())?;
    Ok(vec![
        row(
            format!("idle, {when}: memory"),
            format!("{mib:.1} MiB"),
            format!("at most {RESIDENT_MIB_MAX} MiB"),
            mib <= RESIDENT_MIB_MAX,
        ),
        row(
            format!("idle, {when}: processor"),
            format!("{percent:.2} % of a core"),
            format!("under {CORE_PERCENT_MAX} %"),
            percent < CORE_PERCENT_MAX,
        ),
    ])
}

fn row(work: String, windlass: String, target: String, met: bool) -> Row {
    Row::new(work, windlass).target(target, Some(met))
}
