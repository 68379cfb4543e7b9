//! Every kind of refusal, each a problem document.

use serde_json::{Value, json};

use super::client::{Answer, Call};
use crate::node::Home;

/// Checks the document and gives it back.
fn problem(answer: Answer, status: u16, name: &str) -> Value {
    assert_eq!(answer.header("content-type"), "application/problem+json", "{name}");
    let problem = answer.with(status);
    assert_eq!(problem["type"], format!("urn:windlass:problem:{name}"), "{problem}");
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    problem
}

#[test]
fn each_refusal_is_a_problem_document() {
    let node = &Home::new().up();
    let get = |path: &'static str| Call::get(node, path);
    let check = |call: Call<'_>, status, name: &str| problem(call.answer(), status, name);

    check(get("/v1/runs").header("authorization", "Bearer wrong"), 401, "unauthenticated");
    let unknown = get("/v1/runs").header("authorization", "Bearer wrong").answer();
    assert_eq!(unknown.header("www-authenticate"), "Bearer");
    check(get("/v1/runs").header("origin", "http://evil.example"), 403, "origin");
    check(get("/v1/runs").header("host", "evil.example"), 403, "host");
    check(get("/v1/nothing/here"), 404, "no-route");
    check(get("/v1"), 404, "no-route");
    check(get("/v1/runs/812"), 404, "not-found");
    check(get("/v1/runs/no!id"), 422, "not-an-id");
    let part = check(get("/v1/runs/812%2Fmain%5B3%5D"), 422, "bad-parameter");
    assert!(part["hint"].as_str().unwrap().contains("?select="));
    for path in ["/v1/runs?limit=x", "/v1/runs?limit=-1", "/v1/runs?colour=red"] {
        check(get(path), 400, "bad-request");
    }
    for (path, field) in [
        ("/v1/runs?limit=0", "limit"),
        ("/v1/runs?state=asleep", "state"),
        ("/v1/runs?since=yesterday", "since"),
        ("/v1/runs?cursor=x", "cursor"),
        ("/v1/runs?label=team", "label"),
        ("/v1/runs/1/wait?timeout=999", "timeout"),
    ] {
        assert_eq!(check(get(path), 422, "bad-parameter")["errors"][0]["field"], field);
    }
    let answer = Call::new(node, "DELETE", "/v1/runs").answer();
    let allow: std::collections::BTreeSet<_> = answer.header("allow").split(',').collect();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow:?}");
    problem(answer, 405, "method-not-allowed");
    check(get("/v1/runs").header("accept", "text/html"), 406, "not-acceptable");
    check(get("/v1/runs/1/output").header("accept", "image/png"), 406, "not-acceptable");

    let post = |body: &'static str| {
        Call::new(node, "POST", "/v1/runs").header("content-type", "application/json").body(body)
    };
    check(post("{").header("content-type", "text/plain"), 415, "unsupported-media-type");
    check(post("{"), 400, "bad-request");
    check(post("{}").header("idempotency-key", "x".repeat(256)), 422, "bad-parameter");
    let large = post("").body(vec![b' '; (4 << 20) + 1]);
    check(large, 413, "too-large");
    let faults = check(
        post(
            r#"{"colour":1,"tasks":[{"command":[],"cwd":"here","priority":"high"},{"command":["x"]}]}"#,
        ),
        422,
        "invalid-job",
    );
    let fields: Vec<_> = faults["errors"].as_array().unwrap().iter().map(|e| &e["field"]).collect();
    assert_eq!(
        fields,
        ["colour", "tasks[0].priority", "tasks[0].command", "tasks[0].cwd", "tasks[1].name"]
    );
}

#[test]
fn what_cannot_be_done_so_is_told_apart() {
    let node = &Home::new().up();
    let job = json!({ "tasks": [{ "command": ["sleep", "60"] }] });
    Call::post(node, "/v1/runs", &job).answer().with(201);
    let post = |path: &'static str, body| Call::post(node, path, &body).answer();
    problem(post("/v1/runs/1/rerun", json!({})), 422, "unfit");
    problem(post("/v1/runs/1/cancel", json!({ "select": "#1" })), 422, "unfit");
    problem(post("/v1/runs/1/cancel", json!({ "why": "x" })), 422, "invalid-job");
    problem(post("/v1/runs/1/cancel", json!({ "select": "other" })), 404, "not-found");
    let large = json!({ "tasks": [{ "command": ["x"], "resources": { "cpu_milli": 9_000_000 } }] });
    let large = problem(post("/v1/runs", large), 422, "invalid-job");
    assert_eq!(large["errors"][0]["field"], "tasks[0].resources.cpu_milli");
    let waited = Call::get(node, "/v1/runs/1/wait?timeout=0").answer().with(200);
    assert_eq!(waited, json!({ "ended": null, "elements_ended": 0, "elements": 1 }));
}
