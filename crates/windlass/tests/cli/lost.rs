//! What is left to see of output when the supervisor was killed or its files are damaged.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::node::{Home, Node};

const MARK: &str = "the supervisor ended here; what came after is not known";

/// A task that says something, then waits for ever.
const TALKS: &str = "echo said; echo complained >&2; exec sleep 600";

/// Follows the output of a task.
struct Follower {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Follower {
    /// Reads on until each of `texts` was on some line: two streams have no order between them.
    fn until_all(&mut self, mut texts: Vec<&str>) {
        while !texts.is_empty() {
            let line = self.lines.next().expect("it says more").unwrap();
            texts.retain(|text| !line.contains(text));
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the task and waits until all it says can be read.
fn talking(node: &Node, on_lost: &str) -> Follower {
    let shown = node.windlass(&["run", "-d", "--on-lost", on_lost, "--", "sh", "-c", TALKS]);
    assert_eq!(shown.0.status.code(), Some(0), "{shown}");
    let mut child = node.command(&["logs", "--json", "-f", "1"]);
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut follower = Follower { child, lines };
    follower.until_all(vec!["said", "complained"]);
    follower
}

fn kill_supervisor(node: &Node) {
    let pid = node.ready["supervisor_pid"].as_u64().unwrap();
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
}

fn until_lost(node: &Node) {
    node.until(&["status", "--json", "1"], |status| {
        status["elements"][0]["state"] == "lost" || status["state"] == "lost"
    });
}

fn check_shown(node: &Node) {
    let shown = node.windlass(&["logs", "1#1"]);
    assert_eq!(shown.0.status.code(), Some(0), "{shown}");
    assert_eq!(shown.stdout(), "said\n", "{shown}");
    let stderr = String::from_utf8(shown.0.stderr).unwrap();
    assert!(stderr.starts_with("complained\n"), "{stderr}");
    assert_eq!(stderr.matches(MARK).count(), 1, "{stderr}");
}

#[test]
fn what_was_said_before_the_supervisor_was_killed_stays() {
    let node = Home::new().up();
    let mut follower = talking(&node, "fail");
    kill_supervisor(&node);
    until_lost(&node);
    check_shown(&node);
    // Who has followed from the beginning sees nothing again, and the mark.
    let rest: Vec<String> = follower.lines.by_ref().map(Result::unwrap).collect();
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert!(rest[0].contains(MARK), "{rest:?}");
    // It is the disk that remembers.
    let node = node.crash().up();
    check_shown(&node);
}

#[test]
fn a_follower_sees_the_mark_before_the_next_attempt() {
    let node = Home::new().up();
    let mut follower = talking(&node, "requeue");
    kill_supervisor(&node);
    let next: Vec<String> = follower.lines.by_ref().take(3).map(Result::unwrap).collect();
    assert!(next[0].contains(MARK), "{next:?}");
    assert!(next[1..].concat().contains("complained"), "{next:?}");
    assert!(!next[1..].concat().contains(MARK), "{next:?}");
    node.windlass(&["cancel", "1"]);
    assert!(follower.lines.by_ref().all(|line| !line.unwrap().contains(MARK)), "it comes once");
}

#[test]
fn what_was_said_is_found_when_the_daemon_was_killed_too() {
    let node = Home::new().up();
    drop(talking(&node, "fail"));
    let supervisor = node.ready["supervisor_pid"].as_u64().unwrap();
    let home = node.crash();
    kill_process(Pid::from_raw(supervisor as i32).unwrap(), Signal::KILL).unwrap();
    let node = home.up();
    until_lost(&node);
    check_shown(&node);
}

#[test]
fn one_damaged_end_keeps_nobody_from_the_rest() {
    let node = Home::new().up();
    let command = "echo \"I am $WINDLASS_INDEX\"";
    let shown = node.windlass(&["run", "--array", "0-9", "--", "sh", "-c", command]);
    assert_eq!(shown.0.status.code(), Some(0), "{shown}");
    let output = node.home().path().join("data/output/00000001.seg");
    let mut bytes = fs::read(&output).unwrap();
    // The index is in each frame's header, and the kind too: 4 is an end.
    let (magic, header) = (b"\xf7Wf\x01", 56);
    let end = (0..bytes.len() - header)
        .find(|at| bytes[*at..].starts_with(magic) && bytes[at + 16] == 4 && bytes[at + 28] == 3);
    bytes[end.unwrap() + header] ^= 0xff;
    fs::write(&output, bytes).unwrap();
    let shown = node.windlass(&["logs", "--raw", "1"]);
    assert_eq!(shown.0.status.code(), Some(0), "{shown}");
    let stdout = shown.stdout();
    for index in 0..10 {
        let there = stdout.contains(&format!("I am {index}\n"));
        assert_eq!(there, index != 3, "{shown}");
    }
    let stderr = String::from_utf8_lossy(&shown.0.stderr).into_owned();
    assert_eq!(stderr.matches("the output of this attempt is missing").count(), 1, "{stderr}");
}
