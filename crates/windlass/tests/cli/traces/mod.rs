//! Traces: what a collector is sent of real work, and that nobody ever waits for one.

mod collector;

use std::net::TcpListener;

use proto::api::SubmitRequest;
use proto::api::windlass_client::WindlassClient;
use serde_json::json;
use tonic::Request;

use crate::node::{Home, Node};
use crate::rest::client::Call;
use collector::{Collector, Trace, hex};

const CALLERS_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLERS_SPAN: &str = "00f067aa0ba902b7";

fn up(collector: &Collector) -> Node {
    Home::new().up_with(&["--otlp-endpoint", &collector.url()])
}

fn value<'a>(seen: &'a collector::Seen, key: &str) -> &'a str {
    seen.attributes.get(key).map_or("", |value| value)
}

#[test]
fn a_submission_is_followed_from_the_request_to_its_end() {
    let collector = Collector::new();
    let node = up(&collector);
    assert!(node.windlass(&["run", "--name", "hello", "--", "/bin/true"]).0.status.success());
    let trace = collector.run("1");
    trace.check();
    let mut names: Vec<_> = trace.0.iter().map(|seen| seen.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "assign", "attempt", "commit", "commit", "commit", "place", "process", "report", "run",
            "start", "submit",
        ]
    );
    let run = trace.one("run");
    for name in ["submit", "place", "assign", "attempt"] {
        assert_eq!(trace.one(name).parent, run.id, "{name}");
    }
    let attempt = trace.one("attempt");
    for name in ["start", "process", "report"] {
        assert_eq!(trace.one(name).parent, attempt.id, "{name}");
    }
    let commits = ["submit", "assign", "report"].map(|name| trace.below("commit", trace.one(name)));
    let index = |commit: &collector::Seen| -> u64 {
        value(commit, "windlass.journal.index").parse().unwrap()
    };
    assert!(commits.map(index).is_sorted() && index(commits[0]) > 0);
    for commit in commits {
        assert_ne!(value(commit, "windlass.batch.commands"), "0");
        assert_ne!(value(commit, "windlass.batch.bytes"), "0");
    }

    for of in [run, trace.one("submit")] {
        assert_eq!(value(of, "windlass.job.name"), "hello");
        assert_eq!(value(of, "windlass.job.owner"), "ann");
        assert_eq!(value(of, "windlass.job.namespace"), "default");
    }
    assert_eq!(value(run, "windlass.state"), "succeeded");
    assert_eq!(value(trace.one("submit"), "windlass.repeated"), "false");
    assert_eq!(trace.one("submit").span.kind, 2, "a server's");
    let node_id = node.ready["node_id"].as_str().unwrap();
    for name in ["assign", "attempt"] {
        assert_eq!(value(trace.one(name), "windlass.node"), node_id);
        assert_eq!(value(trace.one(name), "windlass.task"), "main");
    }
    assert_eq!(value(attempt, "windlass.exit_code"), "0");
    assert_eq!(value(attempt, "windlass.attempt"), "1");
    assert_eq!(value(trace.one("place"), "windlass.planned"), "1");
    assert_eq!(value(trace.one("place"), "windlass.refused"), "0");
    assert!(trace.0.iter().all(|seen| seen.span.status.is_none()));

    let resource = collector.resource();
    assert_eq!(resource["service.name"], "windlass");
    assert_eq!(resource["service.instance.id"], node_id);
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert!(!resource["host.name"].is_empty());
}

#[test]
fn each_try_is_an_attempt_and_the_run_tells_that_it_failed() {
    let collector = Collector::new();
    let node = up(&collector);
    let line = ["run", "--retries", "2", "--retry-backoff", "10ms", "--", "sh", "-c", "exit 3"];
    assert_eq!(node.windlass(&line).0.status.code(), Some(3));
    let trace = collector.run("1");
    trace.check();
    let attempts = trace.named("attempt");
    let tries: Vec<_> = attempts
        .iter()
        .map(|seen| {
            ["attempt", "state", "exit_code"].map(|k| value(seen, &format!("windlass.{k}")))
        })
        .collect();
    assert_eq!(tries, [["1", "queued", "3"], ["2", "queued", "3"], ["3", "failed", "3"]]);
    assert!(attempts.iter().all(|seen| seen.span.status.as_ref().unwrap().code == 2));
    assert_eq!(trace.named("place").len(), 3);
    let run = trace.one("run");
    assert_eq!(value(run, "windlass.exit_code"), "3");
    assert!(run.span.status.as_ref().unwrap().message.contains("exit code 3"));
}

#[test]
fn an_array_has_spans_of_its_first_elements_alone() {
    let collector = Collector::new();
    let node = up(&collector);
    assert!(node.windlass(&["run", "--array", "1-130", "--", "true"]).0.status.success());
    let trace = collector.run("1");
    trace.check();
    let mut indices: Vec<u32> = trace
        .named("attempt")
        .iter()
        .map(|seen| value(seen, "windlass.index").parse().unwrap())
        .collect();
    indices.sort_unstable();
    assert_eq!(indices, (1..=100).collect::<Vec<_>>());
    assert_eq!(value(trace.one("run"), "windlass.elements"), "130");
    assert_eq!(value(trace.one("run"), "windlass.elements_without_spans"), "30");
    assert_eq!(value(trace.one("run"), "windlass.elements.succeeded"), "130");
}

#[test]
fn a_submit_is_linked_to_the_callers_span_by_grpc_and_by_rest() {
    let collector = Collector::new();
    let node = up(&collector);
    let parent = format!("00-{CALLERS_TRACE}-{CALLERS_SPAN}-01");

    let body = json!({ "tasks": [{ "name": "main", "command": ["true"] }] });
    let call = || Call::post(&node, "/v1/runs", &body).header("traceparent", parent.clone());
    call().header("idempotency-key", "k").answer().with(201);
    let linked = |trace: &Trace| {
        let links = &trace.one("submit").span.links;
        assert_eq!(links.len(), 1);
        assert_eq!((hex(&links[0].trace_id), hex(&links[0].span_id)), {
            (CALLERS_TRACE.to_owned(), CALLERS_SPAN.to_owned())
        });
        assert_ne!(trace.one("submit").trace, CALLERS_TRACE, "it is a trace of its own");
    };
    let trace = collector.run("1");
    linked(&trace);
    assert_eq!(value(trace.one("submit"), "windlass.idempotent"), "true");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let api = format!("http://{}", node.api());
        let mut client = WindlassClient::connect(api).await.unwrap();
        let command = vec!["true".to_owned()];
        let task = proto::job::Task { name: "main".into(), command, ..Default::default() };
        let job = Some(proto::job::Job { tasks: vec![task], ..Default::default() });
        let mut request = Request::new(SubmitRequest { job, ..Default::default() });
        let bearer = format!("Bearer {}", node.token().trim());
        request.metadata_mut().insert("authorization", bearer.parse().unwrap());
        request.metadata_mut().insert("traceparent", parent.parse().unwrap());
        client.submit(request).await.unwrap();
    });
    linked(&collector.run("2"));

    // The same key again: a submit of its own in the trace of the run that it found.
    call().header("idempotency-key", "k").answer().with(201);
    let repeated = |seen: &collector::Seen| value(seen, "windlass.repeated") == "true";
    let all = collector.until("repeated submit", |all| all.iter().any(repeated));
    let again = all.iter().find(|seen| repeated(seen)).unwrap();
    assert_eq!((&again.trace, &again.parent), (&trace.one("run").trace, &trace.one("run").id));
    assert_ne!(again.id, trace.one("submit").id);

    // What is no span is no fault.
    let odd = Call::post(&node, "/v1/runs", &body).header("traceparent", "00-odd");
    odd.answer().with(201);
    assert!(collector.run("3").one("submit").span.links.is_empty());
}

#[test]
fn a_trace_goes_on_after_the_daemon_was_killed() {
    let collector = Collector::new();
    let node = up(&collector);
    let go = node.home().path().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.05; done", go.display());
    assert!(node.windlass(&["run", "-d", "--", "sh", "-c", &script]).0.status.success());
    let started = |all: &[collector::Seen]| all.iter().any(|seen| seen.name == "assign");
    let before = collector.until("assignment", started);
    node.until(&["status", "--json", "1"], |status| status["run"]["state"] == "running");

    let node = node.crash().up_with(&["--otlp-endpoint", &collector.url()]);
    std::fs::write(go, "").unwrap();
    assert!(node.windlass(&["wait", "1"]).0.status.success());
    let trace = collector.run("1");
    // The new daemon knows when the submit was stamped, not when the request came.
    trace.check_but(&["submit"]);
    assert!(before.iter().all(|seen| seen.trace == trace.one("run").trace));
    for name in ["submit", "assign", "attempt", "process", "report"] {
        trace.one(name);
    }
}

#[test]
fn a_collector_that_is_away_is_waited_for_by_nobody() {
    // It takes connections and never says a word.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let absent = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap()
    };
    for addr in [mute.local_addr().unwrap(), absent] {
        let mut node = Home::new().up_with(&["--otlp-endpoint", &format!("http://{addr}")]);
        for _ in 0..20 {
            assert!(node.windlass(&["run", "--", "true"]).0.status.success());
        }
        if addr == absent {
            let metrics = || {
                let text = Call::get(&node, "/metrics").answer().body;
                String::from_utf8(text).unwrap()
            };
            let failed = |text: &str| !text.contains("windlass_traces_export_failures_total 0\n");
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while !failed(&metrics()) {
                assert!(std::time::Instant::now() < deadline);
            }
        }
        assert!(node.windlass(&["down"]).0.status.success());
        let (code, said) = node.ended();
        assert_eq!(code, Some(0), "{said}");
        let warnings = said.matches("traces cannot be sent").count();
        assert!(warnings <= 1 && (addr != absent || warnings == 1), "{said}");
        node.into_home();
    }
}

#[test]
fn without_an_endpoint_nothing_connects() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    collector.set_nonblocking(true).unwrap();
    let url = format!("http://{}", collector.local_addr().unwrap());
    let nobody = |collector: &TcpListener| {
        let error = collector.accept().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    };
    let node = Home::new().up();
    assert!(node.windlass(&["run", "--", "true"]).0.status.success());
    drop(node); // Its last words would go now.
    nobody(&collector);

    // None of the runs is in, so there is nothing to send.
    let node = Home::new().up_with(&["--otlp-endpoint", &url, "--otlp-sample", "0"]);
    assert!(node.windlass(&["run", "--", "true"]).0.status.success());
    drop(node);
    nobody(&collector);
}

#[test]
fn the_endpoint_is_a_setting_and_the_standard_variables_stand_behind_it() {
    let [ours, standard] = [Collector::new(), Collector::new()];
    let url = standard.url();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str());
    let node = Home::new().up_within(&[
        endpoint,
        ("OTEL_SERVICE_NAME", "night"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=a%2Cb"),
    ]);
    assert!(node.windlass(&["run", "--", "true"]).0.status.success());
    standard.run("1").check();
    assert_eq!(standard.resource()["service.name"], "night");
    assert_eq!(standard.resource()["team"], "a,b");

    let node = Home::new().up_within(&[endpoint, ("WINDLASS_UP_OTLP_ENDPOINT", &ours.url())]);
    assert!(node.windlass(&["run", "--", "true"]).0.status.success());
    ours.run("1").check();

    let refused = node.windlass(&["up", "--otlp-endpoint", "https://collector"]);
    assert_eq!(refused.0.status.code(), Some(2));
    assert!(refused.to_string().contains("encryption is not spoken"), "{refused}");
}
