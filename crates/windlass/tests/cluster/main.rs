//! Several nodes as real processes on loopback: joining, answering from anywhere, and the death of
//! the one that leads. What a single node does is shown elsewhere.

#![allow(clippy::unwrap_used)]

mod clocks;
mod copies;
mod full;
mod ground;
mod leaving;
#[path = "../crashes/mount.rs"]
#[allow(dead_code)]
mod mount;
mod secured;
mod stale;
mod turns;
mod working;

use std::collections::BTreeMap;

use ground::{Ground, LEASE, text, until};
use serde_json::json;

/// Tasks note their start and their end with their fence outside of the cluster. They take longer than a lease, so what
/// the dead node ran is ended there.
const NOTES: &str = "echo $WINDLASS_INDEX start $WINDLASS_FENCE $(date +%s%N) >> $0; \
    sleep 9; echo $WINDLASS_INDEX end $WINDLASS_FENCE $(date +%s%N) >> $0; echo done $WINDLASS_INDEX";

#[test]
fn any_of_three_nodes_takes_requests_and_shows_all_output() {
    let ground = Ground::new();
    let a = ground.found("a");
    let b = ground.join("b", &a, "control,worker");
    let c = ground.join("c", &b, "control,worker");
    ground.leader(&c, 3);
    for node in [&a, &b, &c] {
        let nodes = ground.json(node, &["node", "ls"]).unwrap();
        let nodes = nodes["nodes"].as_array().unwrap().clone();
        assert_eq!(nodes.len(), 3, "asked at {}", node.name);
        assert!(nodes.iter().all(|node| node["state"] == "ready"), "{nodes:?}");
        // More than one node has room for, so their output comes from all of them.
        let script = "sleep 0.5; echo $WINDLASS_INDEX on $WINDLASS_NODE_NAME";
        let words = ["run", "--array", "1-6", "--cpus", "1", "--", "sh", "-c", script];
        let run = ground.ask(node, &words);
        let shown = text(&run.stdout);
        assert!(run.status.success(), "{shown}{}", text(&run.stderr));
        assert_eq!(shown.lines().count(), 6, "{shown}");
        for name in ["on a", "on b", "on c"] {
            assert!(shown.contains(name), "{name} is not in: {shown}");
        }
    }
}

#[test]
fn what_one_node_has_acknowledged_every_other_one_knows_at_once() {
    let ground = Ground::new();
    let a = ground.found("a");
    let b = ground.join("b", &a, "control,worker");
    let c = ground.join("c", &a, "control,worker");
    ground.leader(&a, 3);
    // A follower hears with the next heartbeat what is committed: asked sooner, it has to ask itself.
    for (node, other) in [(&a, &b), (&b, &c), (&c, &a)].repeat(10) {
        let job = json!({ "tasks": [{ "name": "main", "command": ["true"] }] });
        let run = node.rest("POST", "/v1/runs", Some(job))["run"].as_u64().unwrap();
        let known = other.rest("GET", &format!("/v1/runs/{run}"), None);
        assert_eq!(known["run"]["run"], run, "submitted at {}, asked at {}", node.name, other.name);
    }
}

#[test]
fn when_the_leader_dies_its_tasks_start_elsewhere_and_never_twice_at_once() {
    let ground = Ground::new();
    let [mut dies, lives, other] = ground.three();
    let notes = ground.path("notes");
    let notes = notes.to_str().unwrap();
    let words = ["run", "-d", "--array", "1-6", "--cpus", "1", "--", "sh", "-c", NOTES, notes];
    let run = ground.json(&lives, &words).unwrap()["run"].as_u64().unwrap().to_string();
    until("all have started", || {
        let written = std::fs::read_to_string(notes).unwrap_or_default();
        (written.lines().count() >= 6).then_some(())
    });
    dies.kill();
    let after = ground.ask(&other, &["run", "-d", "--", "true"]);
    assert!(after.status.success(), "{}", text(&after.stderr));
    let end = ground.ask(&other, &["wait", &run]);
    assert!(end.status.success(), "{}", text(&end.stderr));
    let written = std::fs::read_to_string(notes).unwrap();
    let mut by_index: BTreeMap<&str, Vec<(u64, u64, bool)>> = BTreeMap::new();
    for line in written.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [index, what, fence, at] = words[..] else { panic!("{line}") };
        let note = (fence.parse().unwrap(), at.parse().unwrap(), what == "start");
        by_index.entry(index).or_default().push(note);
    }
    assert_eq!(by_index.len(), 6, "{written}");
    for (index, notes) in by_index {
        // In the order of time: what was started later has a greater fence, and whatever ended had
        // the greatest at that moment.
        let mut notes = notes;
        notes.sort_by_key(|(_, at, _)| *at);
        assert!(notes.is_sorted_by_key(|(fence, ..)| *fence), "{index} overlaps: {notes:?}");
        assert_eq!(notes.iter().filter(|(.., start)| !start).count(), 1, "{index}: {notes:?}");
    }
    let logs = text(&ground.ask(&other, &["logs", &run]).stdout);
    for index in 1..=6 {
        assert!(logs.contains(&format!("done {index}")), "{logs}");
    }
}

#[test]
fn a_node_that_only_works_is_called_by_nobody_and_runs_tasks() {
    let ground = Ground::new();
    let a = ground.found("a");
    let worker = ground.join("w", &a, "worker");
    assert_eq!(worker.ready["peer"], "", "it listens for nobody");
    until("it is ready", || {
        let nodes = ground.json(&a, &["node", "ls"])?;
        let nodes = nodes["nodes"].as_array()?.clone();
        nodes.iter().any(|node| node["name"] == "w" && node["state"] == "ready").then_some(())
    });
    let script = "sleep 0.5; echo $WINDLASS_INDEX on $WINDLASS_NODE_NAME";
    let words = ["run", "--array", "1-4", "--cpus", "1", "--", "sh", "-c", script];
    let shown = text(&ground.ask(&a, &words).stdout);
    assert!(shown.contains("on w") && shown.contains("on a"), "{shown}");
    let secret = ["run", "--secret-env", "KEY", "--array", "1-4", "--cpus", "1", "--", "sh", "-c"];
    let words = [&secret[..], &["sleep 0.5; test \"$KEY\" = hidden && echo $WINDLASS_NODE_NAME"]];
    let api = a.ready["api"].as_str().unwrap();
    let words = words.concat();
    let mut run = ground.windlass();
    let run = run.args(["run", "-N", api]).args(&words[1..]).env("KEY", "hidden").output().unwrap();
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert!(text(&run.stdout).contains('w'), "a secret reaches a worker that has no key");
}

#[test]
fn a_node_whose_supervisor_was_killed_is_heard_of_as_before() {
    let ground = Ground::new();
    let a = ground.found("a");
    let worker = ground.join("w", &a, "worker");
    let epoch = || {
        let nodes = ground.json(&a, &["node", "ls"])?;
        let node = nodes["nodes"].as_array()?.iter().find(|node| node["name"] == "w")?.clone();
        node["epoch"].as_u64().filter(|_| node["state"] == "ready")
    };
    let before = until("it is ready", epoch);
    worker.end_supervisor();
    let after = until("it has another one", || epoch().filter(|epoch| *epoch > before));
    // A node that is idle has nothing to say but that it lives, and would be lost by now.
    let begun = std::time::Instant::now();
    until("a lease and its margin are over", || {
        let now = epoch().unwrap_or(after);
        assert_eq!(now, after, "it was lost, {:?} after its supervisor came", begun.elapsed());
        (begun.elapsed() > LEASE * 2).then_some(())
    });
}

#[test]
fn nobody_comes_in_without_a_token_that_is_for_it() {
    let ground = Ground::new();
    let a = ground.found("a");
    let peer = a.ready["peer"].as_str().unwrap();
    let join = |token: &str, roles: &str| {
        let dir = tempfile::tempdir().unwrap();
        let words = ["join", peer, "--token", token, "--roles", roles, "--api", "127.0.0.1:0"];
        let mut command = ground.windlass();
        let joined = command.args(words).arg("--data-dir").arg(dir.path().join("x"));
        let joined = joined.output().unwrap();
        assert!(!joined.status.success());
        text(&joined.stderr)
    };
    assert!(join("wlj_nonsense", "worker").contains("cut off or mistyped"));
    assert!(join("@/nowhere/token", "worker").contains("cannot read the join token from"));
    let worker = ground.token(&a, &["--roles", "worker"]);
    assert!(join(&worker, "control").contains("is for nodes with worker"));
    let once = ground.token(&a, &["--roles", "worker"]);
    // From a file, where nobody reads it off the list of processes.
    std::fs::write(ground.path("token"), format!("{once}\n")).unwrap();
    let file = format!("@{}", ground.path("token").display());
    let words = ["join", peer, "--token", &file, "--peer", "127.0.0.1:0"];
    let _in = ground.start("w", &words);
    assert!(join(&once, "worker").contains("was used up"));
    let status = ground.json(&a, &["cluster", "status"]).unwrap();
    assert_eq!(status["members"].as_array().unwrap().len(), 2);
}
