//! A node that is drained, taken back, and cannot be removed while it lives.

use crate::node::Home;

/// Says when it is told to end, and does.
const TOLD: &str =
    "trap 'echo told; exit 0' TERM; echo attempt $WINDLASS_ATTEMPT; while :; do sleep 0.1; done";

#[test]
fn what_runs_on_a_drained_node_is_stopped_at_the_deadline_and_runs_again_when_it_is_resumed() {
    let node = Home::new().up();
    node.windlass(&["run", "-d", "--", "sh", "-c", TOLD]);
    node.until(&["status", "1", "--json"], |run| run["elements"][0]["state"] == "running");
    let shown = node.windlass(&["node", "drain", "alpha", "--deadline", "1s", "--reason", "disk"]);
    let text = shown.to_string();
    assert_eq!((shown.0.status.code(), shown.stdout().as_str()), (Some(0), "alpha is drained\n"));
    assert!(text.contains("node alpha takes no work any more; what is there may go on"), "{text}");
    assert!(text.contains("left: 1/main running"), "{text}");

    // Nothing is charged: it has no retries, and waits all the same.
    let run = node.windlass(&["status", "1", "--json"]).json();
    let element = &run["elements"][0];
    assert_eq!(element["state"], "queued");
    assert_eq!(element["attempts"][0]["outcome"]["stopped"], "drain");
    assert_eq!(element["attempts"][0]["because"]["actor"], "drain");
    let why = node.windlass(&["why", "1"]).stdout();
    let word = "node alpha takes no work: it is drained by user:ann: disk";
    assert!(why.contains(word) && why.contains("windlass node resume alpha"), "{why}");

    // It stays so when the daemon dies.
    let node = node.crash().up();
    let of_node = node.windlass(&["node", "status", "--json"]).json();
    assert_eq!(of_node["node"]["state"], "drained");
    assert_eq!(of_node["elements"], serde_json::json!([]));
    assert_eq!(of_node["node"]["drain"]["because"]["reason"], "disk");
    node.windlass(&["run", "-d", "--", "true"]);
    node.until(&["ps", "--json"], |runs| runs["runs"][0]["counts"]["queued"] == 1);

    check!(node, ["node", "resume", "alpha"], @r"
    exit code: 0
    --- stdout ---
    alpha takes work again
    ");
    node.until(&["status", "1", "--json"], |run| {
        let element = &run["elements"][0];
        element["attempts"][1]["number"] == 2 && element["state"] == "running"
    });
    node.windlass(&["wait", "2"]);
    node.windlass(&["cancel", "1"]);
    node.windlass(&["wait", "1"]);
    let logs = node.windlass(&["logs", "1"]).stdout();
    for line in ["attempt 1\n", "told\n", "attempt 2\n"] {
        assert!(logs.contains(line), "{logs}");
    }
    let audit = node.windlass(&["audit"]).stdout();
    for action in ["drain-node", "resume-node"] {
        assert!(audit.contains(action) && audit.contains("alpha"), "{audit}");
    }
}

#[test]
fn a_drain_goes_on_without_whoever_asked_for_it_and_shows_what_is_left() {
    let mut node = Home::new().up();
    node.windlass(&["run", "-d", "--array", "1-2", "--", "sleep", "600"]);
    node.until(&["ps", "--json"], |runs| runs["runs"][0]["counts"]["running"] == 2);
    let shown = node.windlass(&["node", "drain", "alpha", "--no-deadline", "-d", "--json"]);
    assert_eq!(shown.json()["state"], "draining");
    assert_eq!(shown.json()["drain"]["until_at"], serde_json::Value::Null);
    let status = node.windlass(&["node", "status"]).stdout();
    assert!(status.contains("waits as long as it takes"), "{status}");
    assert!(status.contains("1/main[1]") && status.contains("1/main[2]"), "{status}");
    let ls = node.windlass(&["node", "ls"]).to_string();
    assert!(ls.contains("windlass: alpha is draining: drained by user:ann\n"), "{ls}");

    // The time of a drain passes while the daemon is away; it is told another before.
    let args = ["node", "drain", "alpha", "--deadline", "1s", "-d"];
    assert!(node.windlass(&args).0.status.success());
    node.signal(rustix::process::Signal::INT);
    node.ended();
    let node = node.into_home().up();
    node.until(&["node", "ls", "--json"], |nodes| nodes["nodes"][0]["state"] == "drained");
    node.until(&["ps", "--json"], |runs| runs["runs"][0]["counts"]["queued"] == 2);
    let events = node.windlass(&["events", "--kind", "node_draining,node_drained"]).stdout();
    assert!(events.contains("node_drained"), "{events}");
    node.windlass(&["cancel", "1"]);
}

#[test]
fn what_cannot_be_done_to_a_node_says_what_can() {
    let node = Home::new().up();
    check!(node, ["node", "drain", "omega"], @r"
    exit code: 1
    --- stderr ---
    error: cannot drain `omega`: there is no node `omega`
    hint: `windlass node ls` lists all nodes
    ");
    check!(node, ["node", "resume", "alpha"], @r"
    exit code: 0
    --- stdout ---
    alpha was not drained
    ");
    check!(node, ["node", "drain", "alpha", "--deadline", "400d"], @r"
    exit code: 1
    --- stderr ---
    error: cannot drain `alpha`: wait_ms: must be at most 366 days
    hint: without one it is waited as long as it takes
    ");
    check!(node, ["node", "rm", "alpha"], @r"
    exit code: 1
    --- stderr ---
    error: cannot remove `alpha`: node `alpha` cannot be removed: it is connected, so it lives
    hint: `windlass node drain alpha`, then end it with `windlass down` there
    ");
    check!(node, ["node", "rm", "alpha", "--force", "-y"], @r"
    exit code: 1
    --- stderr ---
    error: cannot remove `alpha`: node `alpha` cannot be removed: it is connected, so it lives
    hint: `windlass node drain alpha`, then end it with `windlass down` there
    ");
    check!(node, ["node", "rm", "alpha", "--force"], @r"
    exit code: 2
    --- stderr ---
    error: nobody is there to be asked
    hint: give `-y` to cut it off or, where it is not connected, to vouch that its machine is off
    ");
}
