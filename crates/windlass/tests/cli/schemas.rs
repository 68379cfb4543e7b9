//! What each command really prints with `--json`, held against its published schema.

use jsonschema::Validator;
use serde_json::Value;

use crate::node::{Home, Node};

fn schema(name: &str) -> Validator {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/schemas");
    let text = std::fs::read_to_string(format!("{dir}/{name}.json")).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

fn hold(name: &str, value: &Value) {
    let validator = schema(name);
    let faults: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{name}: {faults:#?}\n{value:#}");
}

/// Runs a command and holds all it printed.
fn check(node: &Node, name: &str, args: &[&str]) {
    let shown = node.windlass(args);
    let text = shown.stdout();
    let values: Vec<Value> = match serde_json::from_str(&text) {
        Ok(value) => vec![value],
        Err(_) => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
    };
    assert!(!values.is_empty(), "{args:?}: {shown}");
    values.iter().for_each(|value| hold(name, value));
}

#[test]
fn what_is_printed_is_what_the_schemas_say() {
    let node = Home::new().up();
    let script = "echo out; printf '\\377' >&2; exit 3";
    check(&node, "run", &["run", "--json", "--array", "1-2", "--", "sh", "-c", script]);
    check(&node, "run-detach", &["run", "-d", "--json", "--name", "nap", "--", "sleep", "600"]);
    check(&node, "logs", &["logs", "--json", "1"]);
    check(&node, "ps", &["ps", "--json", "--all"]);
    for id in ["1", "nap"] {
        check(&node, "status", &["status", "--json", id]);
    }
    check(&node, "why", &["why", "--json", "nap"]);
    check(&node, "cancel", &["cancel", "--json", "nap", "--reason", "enough"]);
    check(&node, "wait", &["wait", "--json", "1", "nap"]);
    check(&node, "status", &["status", "--json", "nap"]);
    check(&node, "rerun", &["rerun", "--json", "--failed", "1"]);
    check(&node, "wait", &["wait", "--json", "last"]);
    check(&node, "why", &["why", "--json", "1"]);
    check(&node, "history", &["history", "--json"]);
    check(&node, "events", &["events", "--json", "-n", "100"]);
    check(&node, "purge", &["purge", "--json", "--dry-run", "--all"]);
    check(&node, "node-ls", &["node", "ls", "--json"]);
    check(&node, "node-status", &["node", "status", "--json"]);
    check(&node, "version", &["version", "--json"]);
    check(&node, "config-show", &["config", "show", "--json"]);
    check(&node, "version", &["version", "--json", "-N", "127.0.0.1:1"]);
    check(&node, "token-create", &["token", "create", "--json", "ci", "--role", "viewer"]);
    check(&node, "audit", &["audit", "--json"]);
    check(&node, "audit-follow", &["audit", "--json", "--after", "0"]);
    check(&node, "token-ls", &["token", "ls", "--json"]);
}

#[test]
fn a_schema_refuses_what_is_not_of_its_form() {
    assert!(!schema("ps").is_valid(&serde_json::json!({ "runs": [{}], "next_before": null })));
    assert!(!schema("run").is_valid(&serde_json::json!({ "event": "weather" })));
}
