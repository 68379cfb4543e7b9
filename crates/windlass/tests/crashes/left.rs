//! Whether anything of a node is left on this machine once it is down.

use std::path::{Path, PathBuf};

use model::NodeId;

use crate::patience::find;

/// Processes of a node's tasks, by the mark in their environment or by their cgroup.
pub(crate) fn task_processes(node: NodeId) -> Vec<u64> {
    let mark = format!("{}={node}", runner::env::NODE_ID);
    let marked = |pid: &u64| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let mut pids: Vec<u64> = processes().filter(marked).collect();
    for dir in cgroups(node) {
        let text = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        pids.extend(text.lines().filter_map(|line| line.parse::<u64>().ok()));
    }
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// The supervisors of a node: the one that serves, and one that may be about to.
pub(crate) fn supervisors(node: NodeId) -> Vec<u64> {
    let own = node.to_string();
    let of_node = |pid: &u64| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == own.as_bytes())
    };
    processes().filter(of_node).collect()
}

/// Fails unless all processes and cgroups of the node are gone.
pub(crate) fn nothing_is_left(node: NodeId) {
    find(|| {
        let mut left: Vec<String> = Vec::new();
        left.extend(task_processes(node).iter().map(|pid| format!("process {pid}")));
        left.extend(supervisors(node).iter().map(|pid| format!("supervisor {pid}")));
        left.extend(cgroups(node).iter().map(|dir| format!("cgroup {}", dir.display())));
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}")) }
    });
}

/// The node's own cgroups with all inside them.
fn cgroups(node: NodeId) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (_, base) in runner::containment::bases(node) {
        collect(&base, &mut found);
    }
    found
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    found.push(dir.to_owned());
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found);
        }
    }
}

fn processes() -> impl Iterator<Item = u64> {
    let names = std::fs::read_dir("/proc").unwrap().flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
