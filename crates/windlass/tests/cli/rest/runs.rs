//! Runs: submitted, listed, looked at, waited for, canceled, repeated, forgotten.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::client::Call;
use crate::node::{Home, Node};

fn submit(node: &Node, task: Value) -> u64 {
    let job = json!({ "tasks": [task] });
    Call::post(node, "/v1/runs", &job).answer().with(201)["run"].as_u64().unwrap()
}

fn ended(node: &Node, run: u64) -> Value {
    let waited = Call::get(node, format!("/v1/runs/{run}/wait?timeout=60")).answer().with(200);
    assert_ne!(waited["ended"], Value::Null, "{waited}");
    waited
}

#[test]
fn a_run_is_submitted_once_and_followed_to_its_end() {
    let node = Home::new().up();
    let job = json!({
        "name": "nightly", "labels": { "team": "a" },
        "tasks": [{ "command": ["sh", "-c", "exit 4"], "array": { "first": 1, "last": 3 } }],
    });
    let submit = |job| Call::post(&node, "/v1/runs", job).header("idempotency-key", "one").answer();
    let first = submit(&job);
    assert_eq!(first.header("location"), "/v1/runs/1");
    assert_eq!(first.header("idempotent-replayed"), "");
    assert_eq!(first.with(201), json!({ "run": 1, "repeated": false }));
    let again = submit(&job);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.with(201), json!({ "run": 1, "repeated": true }));
    let other = submit(&json!({ "tasks": [{ "command": ["true"] }] })).with(422);
    assert_eq!(other["type"], "urn:windlass:problem:key-used");

    let waited = ended(&node, 1);
    assert_eq!((&waited["ended"]["exit_code"], &waited["elements"]), (&json!(4), &json!(3)));
    for id in ["1", "last", "nightly"] {
        let run = Call::get(&node, format!("/v1/runs/{id}")).answer().with(200);
        assert_eq!((&run["run"]["state"], &run["run"]["run"]), (&json!("failed"), &json!(1)));
        assert_eq!(run["job"]["tasks"][0]["command"], json!(["sh", "-c", "exit 4"]));
        assert_eq!(run["job"]["actor"], "user:api");
    }
    let run = Call::get(&node, "/v1/runs/1").answer().with(200);
    let first_task = run["job"]["tasks"][0].clone();
    let tasks = Call::get(&node, "/v1/runs/1/tasks").answer().with(200);
    assert_eq!(tasks["tasks"][0]["elements"], 3);
    assert_eq!(tasks["tasks"][0]["counts"], json!({ "failed": 3 }));
    assert_eq!(tasks["tasks"][0]["task"], first_task);
    let element = Call::get(&node, "/v1/runs/1/tasks/main/elements/2").answer().with(200);
    assert_eq!((&element["id"], &element["state"]), (&json!("1/main[2]"), &json!("failed")));
    assert_eq!(element["attempts"][0]["outcome"]["exit_code"], 4);
    Call::get(&node, "/v1/runs/1/tasks/main/elements/9").answer().with(404);

    // What the command line shows is the same.
    let shown = node.windlass(&["status", "--json", "1"]).json();
    let run = Call::get(&node, "/v1/runs/1").answer().with(200);
    assert_eq!((&shown["run"], &shown["job"]), (&run["run"], &run["job"]));
}

#[test]
fn pages_have_every_run_once_while_more_come() {
    let node = Home::new().up();
    let job = |name: &str| json!({ "name": name, "tasks": [{ "runner": "noop" }] });
    for at in 0..11 {
        let name = if at % 2 == 0 { "even" } else { "odd" };
        Call::post(&node, "/v1/runs", &job(name)).answer().with(201);
    }
    let all = |query: &str| -> Vec<u64> {
        let mut path = format!("/v1/runs?{query}");
        let mut seen = Vec::new();
        loop {
            let answer = Call::get(&node, path.as_str()).answer();
            let link = answer.header("link").to_owned();
            let page = answer.with(200);
            let runs = page["runs"].as_array().unwrap();
            seen.extend(runs.iter().map(|run| run["run"].as_u64().unwrap()));
            // The latest come before the first page, and so on none that follows.
            Call::post(&node, "/v1/runs", &job("later")).answer().with(201);
            let Some(next) = page["next_cursor"].as_str() else { return seen };
            assert_eq!(link, format!("</v1/runs?{query}&cursor={next}>; rel=\"next\""));
            path = format!("/v1/runs?{query}&cursor={next}");
        }
    };
    assert_eq!(all("all=true&limit=3"), (1..=11).rev().collect::<Vec<_>>());
    assert_eq!(all("name=odd&state=succeeded,queued,running&limit=2"), [10, 8, 6, 4, 2]);
}

#[test]
fn pages_have_every_element_once_in_order() {
    let node = Home::new().up();
    let task = json!({
        "command": ["sh", "-c", "test $WINDLASS_INDEX -lt 30 || exit 3"],
        "array": { "first": 10, "last": 60, "step": 5 },
    });
    let job = json!({ "tasks": [
        { "name": "one", "command": ["true"] }, task,
        { "name": "never", "command": ["true"], "resources": { "cpu_milli": 4000 } },
    ] });
    let run = Call::post(&node, "/v1/runs", &job).answer().with(201)["run"].as_u64().unwrap();
    ended(&node, run);
    let all = |query: &str| -> Vec<String> {
        let mut cursor = String::new();
        let mut seen = Vec::new();
        loop {
            let path = format!("/v1/runs/{run}/elements?{query}{cursor}");
            let page = Call::get(&node, path).answer().with(200);
            let elements = page["elements"].as_array().unwrap();
            seen.extend(elements.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { return seen };
            cursor = format!("&cursor={next}");
        }
    };
    let main: Vec<_> = (10..=60).step_by(5).map(|at| format!("{run}/main[{at}]")).collect();
    let every: Vec<_> =
        [vec![format!("{run}/one")], main.clone(), vec![format!("{run}/never")]].concat();
    assert_eq!(all("limit=4"), every);
    assert_eq!(all("limit=3&select=main"), main);
    assert_eq!(all("limit=2&state=failed"), main[4..]);
    assert_eq!(all("limit=1&select=main[20-30]"), main[2..=4]);
    assert_eq!(all("limit=2&state=queued,succeeded&select=main"), main[..4]);
}

#[test]
fn a_run_that_was_not_changed_is_not_sent_again_nor_changed_by_mistake() {
    let node = Home::new().up();
    let run = submit(&node, json!({ "command": ["sleep", "60"] }));
    node.until(&["status", "--json", "1"], |value| value["run"]["state"] == "running");
    let path = format!("/v1/runs/{run}");
    let etag = Call::get(&node, path.as_str()).answer().header("etag").to_owned();
    let known = Call::get(&node, path.as_str()).header("if-none-match", etag.as_str()).answer();
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, etag.as_str()));

    let cancel = |etag: &str| {
        let body = json!({ "reason": "wrong day" });
        Call::post(&node, format!("{path}/cancel"), &body).header("if-match", etag).answer()
    };
    let refused = cancel("\"another\"").with(412);
    assert_eq!(refused["etag"], etag.as_str());
    assert_eq!(cancel(&etag).with(200)["canceled"][0]["stopping"], 1);
    assert_eq!(ended(&node, run)["ended"]["run"]["state"], "canceled");
    let after = Call::get(&node, path.as_str()).header("if-none-match", etag.as_str()).answer();
    assert_ne!(after.header("etag"), etag);
    assert_eq!(after.with(200)["canceled"]["reason"], "wrong day");
}

#[test]
fn what_has_ended_is_repeated_and_forgotten() {
    let node = Home::new().up();
    let task = json!({
        "command": ["sh", "-c", "test $WINDLASS_INDEX = 1"],
        "array": { "first": 1, "last": 3 },
    });
    let run = submit(&node, task);
    ended(&node, run);
    let body = json!({ "failed": true });
    let rerun = Call::post(&node, format!("/v1/runs/{run}/rerun"), &body).answer().with(201);
    let rerun = rerun["run"].as_u64().unwrap();
    assert_eq!(Call::get(&node, format!("/v1/runs/{rerun}")).answer().with(200)["rerun_of"], run);
    ended(&node, rerun);
    // Nothing need be sent where nothing must be said.
    let whole = Call::new(&node, "POST", format!("/v1/runs/{run}/rerun")).answer().with(201);
    ended(&node, whole["run"].as_u64().unwrap());

    Call::post(&node, "/v1/runs/purge", &json!({})).answer().with(422);
    let purge = |body| Call::post(&node, "/v1/runs/purge", &body).answer().with(200);
    assert_eq!(purge(json!({ "states": ["failed"], "dry_run": true }))["runs"], 3);
    assert_eq!(purge(json!({ "all": true }))["runs"], 3);
    Call::get(&node, format!("/v1/runs/{run}")).answer().with(404);
}

#[test]
fn a_node_is_drained_and_taken_back() {
    let node = Home::new().up();
    let run = Call::post(&node, "/v1/runs", &json!({ "tasks": [{ "command": ["sleep", "600"] }] }));
    run.answer().with(201);
    let placed = || Call::get(&node, "/v1/nodes/alpha/elements").answer().with(200);
    node.until(&["ps", "--json"], |runs| runs["runs"][0]["counts"]["running"] == 1);
    assert_eq!(placed()["elements"][0]["id"], "1/main");

    let body = json!({ "wait_ms": 3_600_000, "reason": "disk" });
    let drained = Call::post(&node, "/v1/nodes/alpha/drain", &body).answer().with(200);
    assert_eq!(
        (&drained["state"], &drained["drain"]["stops"]),
        (&json!("draining"), &json!(false))
    );
    assert!(drained["drain"]["until_at"].is_string(), "{drained}");
    assert_eq!(drained["drain"]["because"], json!({ "actor": "user:api", "reason": "disk" }));
    let refused = Call::new(&node, "POST", "/v1/nodes/alpha/remove").answer().with(409);
    assert_eq!(refused["type"], "urn:windlass:problem:in-the-way");
    assert!(refused["hint"].is_string(), "{refused}");
    let resumed = Call::new(&node, "POST", "/v1/nodes/alpha/resume").answer().with(200);
    assert_eq!(
        (&resumed["node"]["state"], &resumed["was_drained"]),
        (&json!("ready"), &json!(true))
    );
    Call::new(&node, "POST", "/v1/nodes/omega/drain").answer().with(404);
    let wrong = json!({ "deadline": "1h" });
    assert!(Call::post(&node, "/v1/nodes/alpha/drain", &wrong).answer().status >= 400);
}

#[test]
fn nodes_and_the_cluster_are_shown() {
    let node = Home::new().up();
    let nodes = Call::get(&node, "/v1/nodes").answer().with(200);
    assert_eq!(nodes, node.windlass(&["node", "ls", "--json"]).json());
    let one = &nodes["nodes"][0];
    for id in [one["id"].as_str().unwrap(), "alpha"] {
        assert_eq!(Call::get(&node, format!("/v1/nodes/{id}")).answer().with(200)["id"], one["id"]);
    }
    Call::get(&node, "/v1/nodes/omega").answer().with(404);
    let cluster = Call::get(&node, "/v1/cluster").answer().with(200);
    assert_eq!((&cluster["voters"], &cluster["node_id"]), (&json!(1), &one["id"]));
    let version = Call::get(&node, "/v1/version").answer().with(200);
    assert_eq!(version["version"], cluster["version"]);
    for (path, word) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        assert_eq!(Call::get(&node, path).answer().body, word.as_bytes());
    }
    let paths = Call::get(&node, "/v1/openapi.json").answer().with(200);
    let paths: BTreeSet<_> = paths["paths"].as_object().unwrap().keys().cloned().collect();
    assert!(paths.contains("/v1/runs/{id}/output"));
}

#[test]
fn a_token_is_made_used_and_revoked_and_all_of_it_is_told() {
    let node = Home::new().up();
    let body = json!({ "name": "ci", "role": "submitter" });
    let made = Call::post(&node, "/v1/tokens", &body).answer().with(201);
    let bearer = format!("Bearer {}", made["text"].as_str().unwrap());
    let job = json!({ "tasks": [{ "command": ["true"] }] });
    let submit = || Call::post(&node, "/v1/runs", &job).header("authorization", bearer.as_str());
    submit().answer().with(201);
    let denied = Call::get(&node, "/v1/tokens").header("authorization", bearer.as_str()).answer();
    assert_eq!(denied.with(403)["type"], "urn:windlass:problem:forbidden");
    let tokens = Call::get(&node, "/v1/tokens").answer().with(200);
    assert_eq!(tokens["tokens"][0]["name"], "ci");
    assert!(!tokens.to_string().contains(made["text"].as_str().unwrap()));
    Call::post(&node, "/v1/tokens/ci/revoke", &json!({ "reason": "left" })).answer().with(200);
    submit().answer().with(401);
    let audit = Call::get(&node, "/v1/audit?limit=2").answer().with(200);
    assert_eq!(audit["changes"][0]["action"], "revoke-token");
    assert_eq!(
        (&audit["changes"][1]["action"], &audit["changes"][1]["actor"]),
        (&json!("submit"), &json!("token:ci"))
    );
}

#[test]
fn a_node_goes_down_when_it_is_told() {
    let mut node = Home::new().up();
    let down = Call::new(&node, "POST", "/v1/node/down").answer();
    assert_eq!(down.with(202), json!({ "tasks_left": 0 }));
    assert_eq!(node.ended().0, Some(0));
    node.into_home();
}
