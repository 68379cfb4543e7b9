//! What a node costs while it has nothing to do: memory and processor time of daemon and supervisor together.
//!
//! The memory is the sum of what each process has resident. What both share, such as the program's code, counts twice.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::node::Node;
use super::table::Row;

const SETTLE: Duration = Duration::from_secs(3);
const WATCH: Duration = Duration::from_secs(20);
const RESIDENT_MIB_MAX: f64 = 45.0;
const CORE_PERCENT_MAX: f64 = 0.5;

/// The kernel shows processor time in this unit on every architecture, whatever it counts in.
const TICKS_PER_SECOND: f64 = 100.0;

/// Watches the idle node for a while.
pub(super) fn rows(when: &str, node: &Node) -> Result<Vec<Row>> {
    std::thread::sleep(SETTLE);
    let before = total(node, "stat", ticks)?;
    std::thread::sleep(WATCH);
    let ticks = total(node, "stat", ticks)? - before;
    let percent = ticks / TICKS_PER_SECOND / WATCH.as_secs_f64() * 100.0;
    let mib = total(node, "status", resident_kib)? / 1024.0;
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
    Row { work, windlass, beside: String::new(), ratio: None, target, met: Some(met) }
}

/// The sum over daemon and supervisor of a figure in one of their files in `/proc`.
fn total(node: &Node, file: &str, read: fn(&str) -> Option<f64>) -> Result<f64> {
    let figures = node.pids().map(|pid| {
        let path = format!("/proc/{pid}/{file}");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("reading {path}: has the process ended?"))?;
        read(&text).with_context(|| format!("understanding {path}"))
    });
    figures.into_iter().sum()
}

/// User and system time in `/proc/PID/stat`: the 14th and 15th field. The second, a name, may hold blanks.
fn ticks(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(ticks(11)? + ticks(12)?)
}

fn resident_kib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(ticks(stat), Some(300.0));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn the_own_process_has_figures() {
        let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap();
        assert!(resident_kib(&read("status")).unwrap() > 0.0);
        assert!(ticks(&read("stat")).is_some());
    }
}
