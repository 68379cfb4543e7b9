//! The routes held against their own description by a stranger: schemathesis makes requests of it,
//! good ones and bad ones, and looks whether every answer is one that is described.

use std::process::Command;

use serde_json::json;

use super::client::Call;
use crate::node::Home;
use crate::python::python;

#[test]
fn a_stranger_finds_every_answer_described() {
    let node = Home::new().up();
    let task = json!({ "command": ["echo", "hello"], "array": { "first": 1, "last": 3 } });
    let job = json!({ "name": "known", "tasks": [task] });
    Call::post(&node, "/v1/runs", &job).answer().with(201);
    Call::get(&node, "/v1/runs/1/wait").answer().with(200);
    let description = Call::get(&node, "/v1/openapi.json").answer().body;
    std::fs::write(node.home().path().join("openapi.json"), description).unwrap();
    let config = node.home().path().join("schemathesis.toml");
    let known = r#"
        [parameters]
        "path.id" = ["1", "last", "known"]
        "path.task" = "main"
        "path.index" = [1, 2]
        "path.node" = "alpha"
        "path.token" = "ci"
        "query.timeout" = [0, 1]
        "query.follow" = "false"
        "query.after" = 1

        [auth.openapi.token]
        bearer = "TOKEN"

        # What can be read and still cannot be done is 422, or 409 where a live node is in the way: not
        # all of it can be described.
        [checks.positive_data_acceptance]
        expected-statuses = ["2xx", "3xx", 404, 409, 410, 422]
    "#;
    std::fs::write(&config, known.replace("TOKEN", node.token().trim())).unwrap();
    let shown = Command::new(python("strangers"))
        .args(["-m", "schemathesis.cli"])
        .current_dir(node.home().path())
        .arg("--config-file")
        .arg(config)
        .args(["run", "openapi.json", "--url", &format!("http://{}", node.api())])
        .args(["--checks", "all", "--max-examples", "12", "--seed", "1", "--no-color"])
        .args(["--exclude-path", "/v1/node/down", "--request-timeout", "40"])
        .args(["--generation-database", "none", "--warnings", "off"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success(), "{said}{}", String::from_utf8_lossy(&shown.stderr));
    assert!(said.contains("Tested: "), "it had nothing to look at: {said}");
}
