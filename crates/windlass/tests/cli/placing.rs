//! How nodes are chosen, as far as one node can show it: what is asked for is heeded, and said.

use crate::node::Home;

#[test]
fn what_does_not_wait_ends_and_headroom_is_kept() {
    let node = Home::new().up();
    node.windlass(&["run", "-d", "--cpus", "3", "--", "sleep", "600"]);
    check!(node, ["run", "--cpus", "2", "--when-full", "fail", "--", "true"], @r"
    exit code: 125
    --- stderr ---
    windlass: run 2 dead: no node had room for it
    ");
    node.windlass(&["run", "-d", "--placement", "spread,headroom=25%", "--", "true"]);
    check!(node, ["run", "--placement", "pack", "--", "echo", "packed"], @r"
    exit code: 0
    --- stdout ---
    packed
    ");
    let why = node.windlass(&["why", "3", "--json"]).json();
    assert_eq!(why["groups"][0]["reasons"][0]["code"], "headroom", "{why}");
    let status = node.windlass(&["status", "3", "--json"]).json();
    let expected = serde_json::json!({
        "policy": "spread", "headroom_percent": 25, "when_full": "wait",
    });
    assert_eq!(status["job"]["tasks"][0]["placement"], expected);
    node.windlass(&["cancel", "1"]);
    check!(node, ["wait", "3"], @r"
    exit code: 0
    --- stdout ---
    3: succeeded
    ");
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let node = Home::new().up();
    check!(node, ["run", "--cpus", "4", "--placement", "spread,headroom=25%", "--", "true"], @r"
    exit code: 125
    --- stderr ---
    error: cannot submit: the job is not valid: --placement: no node can hold cpus 4 and keep 25% free; the most there is: cpus 4, memory 1 GiB
    hint: ask for less; `windlass node ls` shows what nodes have
    ");
    check!(node, ["run", "--placement", "pack,headroom=25%", "--", "true"], @r"
    exit code: 2
    --- stderr ---
    error: placement.headroom: is for `spread`; `pack` keeps nothing free
    ");
}
