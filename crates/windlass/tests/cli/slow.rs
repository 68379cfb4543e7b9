//! A reader who does not read: it keeps nobody waiting but itself, and costs the node nothing.

use std::process::{Child, Stdio};

use crate::node::{Home, Node, peak_mib};

/// A command whose output nobody takes.
struct Stuck(Child);

impl Stuck {
    fn start(node: &Node, args: &[&str]) -> Stuck {
        let mut command = node.command(args);
        Stuck(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn who_reads_nothing_holds_up_nobody_and_costs_nothing() {
    let node = Home::new().up();
    let pid = node.ready["pid"].as_u64().unwrap();
    let supervisor = node.ready["supervisor_pid"].as_u64().unwrap();
    let before = (peak_mib(pid), peak_mib(supervisor));
    let writes = ["run", "--", "head", "-c", "1G", "/dev/zero"];
    let mut stuck = vec![Stuck::start(&node, &writes)];
    node.until(&["ps", "--json", "--all"], |ps| ps["runs"][0]["run"] == 1);
    stuck.extend((0..4).map(|_| Stuck::start(&node, &["logs", "-f", "1"])));
    let other = node.windlass(&["run", "--", "echo", "fine"]);
    assert_eq!((other.0.status.code(), other.stdout().as_str()), (Some(0), "fine\n"), "{other}");
    // The task never waits for them either.
    assert_eq!(node.windlass(&["wait", "1"]).0.status.code(), Some(0));
    let status = node.windlass(&["status", "--json", "1"]).json();
    let outcome = &status["elements"][0]["attempts"][0]["outcome"];
    assert_eq!(outcome["output_bytes"], 1 << 30, "{outcome:#}");
    assert!(stuck.iter_mut().all(|stuck| stuck.0.try_wait().unwrap().is_none()), "they are stuck");
    let after = (peak_mib(pid), peak_mib(supervisor));
    assert!(after.0 < before.0 + 64, "the node: {before:?} MiB before, {after:?} MiB after");
    assert!(after.1 < before.1 + 128, "the supervisor: {before:?} MiB before, {after:?} MiB after");
}
