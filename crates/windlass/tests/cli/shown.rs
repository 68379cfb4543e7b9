//! A secret by every way of looking: its name is told, its value nowhere.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use proto::api::windlass_client::WindlassClient;
use proto::api::{
    AuditRequest, EventsRequest, GetRunRequest, ListElementsRequest, ListRunsRequest, LogsRequest,
    SubmitRequest, WaitRequest, WhyRequest,
};
use proto::job::{Job, Secret, Task};
use serde_json::json;
use tonic::Streaming;

use crate::grpc::connected;
use crate::secrets::Chatty;
use crate::tokens::holding;

const SECRET: &str = crate::secrets::SECRET;

/// The secret as it is, in base64, and as Rust shows bytes.
fn forms() -> [String; 3] {
    let base64 = "bWFya2VyLW9mLWEtc2VjcmV0LTVkMWM5M"; // Without the end, which depends on what follows.
    [SECRET.to_owned(), base64.to_owned(), format!("{:?}", SECRET.as_bytes())]
}

fn check(what: &str, shown: &str) {
    for form in forms() {
        let form = form.trim_matches(['[', ']']);
        assert!(!shown.contains(form), "{what} shows the secret: {shown}");
    }
}

fn seen(what: &str, shown: &impl Debug) {
    check(what, &format!("{shown:?}"));
}

/// All messages of a stream that ends.
async fn all<T: Debug>(what: &str, mut messages: Streaming<T>) {
    while let Some(message) = messages.message().await.unwrap() {
        seen(what, &message);
    }
}

/// The whole answer, head and all.
fn http(node: &Chatty, request: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(node.api()).unwrap();
    let (api, token, length) = (node.api(), node.token(), body.len());
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: {api}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    check(request, &answer);
    answer
}

fn metric(node: &Chatty, name: &str) -> u64 {
    let text = http(node, "GET /metrics", "");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn a_secret_shows_its_name_and_nowhere_its_value() {
    let node = Chatty::start(crate::node::Home::new(), "log", "1B");
    std::fs::write(node.file("from-file"), SECRET).unwrap();
    // One has ended, one runs, one waits; by the command line, REST and gRPC.
    let both = ["--secret-env", "KEY", "--secret-file", "FILE_KEY=from-file"];
    let run = |args: &[&str]| {
        let shown = node.windlass(&[&["run"], &both[..], args].concat());
        check("run", &shown.to_string());
    };
    run(&[
        "--name",
        "ended",
        "--label",
        "a=b",
        "--",
        "sh",
        "-c",
        "test -n \"$KEY$FILE_KEY\"; exit 3",
    ]);
    run(&["-d", "--cpus", "4", "--", "sleep", "1000"]);
    let job = json!({ "tasks": [{ "command": ["true"], "secrets": { "KEY": SECRET } }] });
    let waits = http(&node, "POST /v1/runs", &job.to_string());
    assert!(waits.contains("\"run\":3"), "{waits}");
    let mut grpc = WindlassClient::new(connected(node.api(), &node.token()).await);
    let secret = Secret { name: "KEY".into(), key: 0, value: SECRET.into() };
    let task = Task { command: vec!["true".into()], secrets: vec![secret], ..Default::default() };
    let job = Some(Job { tasks: vec![task.clone()], ..Default::default() });
    let submitted = grpc.submit(SubmitRequest { job, ..Default::default() }).await.unwrap();
    assert_eq!(submitted.into_inner().run, 4);
    std::fs::remove_file(node.file("from-file")).unwrap();

    // What is refused does not say it back.
    for task in [
        json!({ "command": ["true"], "secrets": { "NO=NAME": SECRET } }),
        json!({ "command": ["true"], "secrets": SECRET }),
        json!({ "command": ["true"], "secrets": { "KEY": [SECRET] } }),
        json!({ "command": ["true"], "secrets": { "KEY": { "value": SECRET } } }),
        json!({ "command": ["true"], "env": { "KEY": "x" }, "secrets": { "KEY": SECRET } }),
        json!({ "command": [], "secrets": { "KEY": format!("{SECRET}\0") } }),
    ] {
        let refused = http(&node, "POST /v1/runs", &json!({ "tasks": [task] }).to_string());
        assert!(refused.starts_with("HTTP/1.1 422"), "{task}: {refused}");
    }
    let bad = Task { command: Vec::new(), ..task };
    let job = Some(Job { tasks: vec![bad], ..Default::default() });
    let refused = grpc.submit(SubmitRequest { job, ..Default::default() }).await.unwrap_err();
    seen("a refusal of gRPC", &refused);

    for run in 1..=4 {
        let get = |part: &str| http(&node, &format!("GET /v1/runs/{run}{part}"), "");
        for part in ["", "/tasks"] {
            assert!(get(part).contains("\"secrets\":{"), "the name is told");
            assert_eq!(get(part).contains("\"FILE_KEY\":null"), run < 3);
        }
        for part in ["/elements", "/tasks/main/elements/0", "/why", "/output", "/wait?timeout=0"] {
            assert!(get(part).starts_with("HTTP/1.1 200"), "{part}");
        }
        get("/events?follow=false&after=1");
        let id = run.to_string();
        let shown = grpc.get_run(GetRunRequest { id: id.clone(), ..Default::default() }).await;
        let shown = shown.unwrap().into_inner();
        assert_eq!(shown.job.as_ref().unwrap().tasks[0].secrets.last().unwrap().value, b"");
        seen("GetRun", &shown);
        let request = ListElementsRequest { id: id.clone(), ..Default::default() };
        seen("ListElements", &grpc.list_elements(request).await.unwrap());
        seen("Why", &grpc.why(WhyRequest { id: id.clone() }).await.unwrap());
        let request = LogsRequest { id: id.clone(), ..Default::default() };
        all("Logs", grpc.logs(request).await.unwrap().into_inner()).await;
        if run > 2 {
            continue; // The command line shows what gRPC tells.
        }
        for args in [&["status"][..], &["why"], &["events", "--run"], &["logs"]] {
            let shown = node.windlass(&[args, &[&id]].concat()).to_string();
            check(args[0], &shown);
            assert!(args[0] != "status" || shown.contains("KEY"), "{shown}");
        }
        for args in [&["status", "--json"][..], &["why", "--json"], &["events", "--json", "--run"]]
        {
            check(args[0], &node.windlass(&[args, &[&id]].concat()).to_string());
        }
    }
    for path in [
        "/v1/runs?all=true",
        "/v1/events?follow=false&after=1",
        "/v1/audit",
        "/v1/nodes",
        "/v1/cluster",
    ] {
        assert!(http(&node, &format!("GET {path}"), "").starts_with("HTTP/1.1 200"), "{path}");
    }
    seen("ListRuns", &grpc.list_runs(ListRunsRequest { all: true, ..Default::default() }).await);
    seen("Audit", &grpc.audit(AuditRequest::default()).await.unwrap());
    let events = EventsRequest { kept: true, ..Default::default() };
    all("Events", grpc.events(events).await.unwrap().into_inner()).await;
    all("Wait", grpc.wait(WaitRequest { ids: vec!["1".into()] }).await.unwrap().into_inner()).await;
    for args in ["history", "history --json", "audit", "audit --json", "ps --all", "ps --json"] {
        let args: Vec<_> = args.split(' ').collect();
        check(args[0], &node.windlass(&args).to_string());
    }

    // A snapshot stands for what runs and what waits, and everything is on disk by then.
    let applied = metric(&node, "windlass_applied_index");
    assert!(applied > 0, "the metric is there");
    let deadline = Instant::now() + Duration::from_secs(60);
    while metric(&node, "windlass_snapshot_index") < applied {
        assert!(Instant::now() < deadline, "no snapshot is made");
        node.windlass(&["token", "create", "t", "--role", "viewer"]);
        node.windlass(&["token", "revoke", "t"]);
    }
    let home = node.crash();
    let home = Chatty::up(home, "log-2").down();
    for form in forms() {
        assert_eq!(holding(&home.path(), form.as_bytes()), Vec::<String>::new());
    }
    let named = holding(&home.path().join("data"), b"FILE_KEY");
    assert!(!named.is_empty(), "the search finds what is there");
    let log = std::fs::read_to_string(home.path().join("log")).unwrap();
    assert!(log.contains("TRACE"), "it logs all it can");
}
