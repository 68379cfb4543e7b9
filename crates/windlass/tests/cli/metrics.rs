//! Metrics: what is measured of real work, who may read it, and the pages that speak of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::node::{Home, Node};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/metrics.md");
const DASHBOARD: &str = include_str!("../../../../contrib/grafana/windlass.json");
/// What follows in the page is made from the code.
const MARK: &str = "<!-- From here on this page is made from the code. -->\n";
/// Set to write the page anew.
const WRITE: &str = "WINDLASS_TEST_WRITE";

/// The head and the body of an answer.
fn get(node: &Node, path: &str, token: &str) -> (String, String) {
    let mut stream = TcpStream::connect(node.api()).unwrap();
    let api = node.api();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {api}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn metrics(node: &Node) -> String {
    let (head, body) = get(node, "/metrics", &node.token());
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/openmetrics-text"));
    body
}

/// The value of a metric with its labels.
fn value(text: &str, metric: &str) -> f64 {
    let line =
        text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == metric));
    let line = line.unwrap_or_else(|| panic!("there is no `{metric}` in\n{text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// The type and help of each family.
fn families(text: &str) -> BTreeMap<String, (String, String)> {
    let mut all = BTreeMap::<String, (String, String)>::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), Some(help)) => {
                all.entry(name.to_owned()).or_default().1 = help.to_owned();
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                all.entry(name.to_owned()).or_default().0 = kind.to_owned();
            }
            _ => {}
        }
    }
    all
}

#[test]
fn work_is_measured() {
    let node = Home::new().up();
    assert!(node.windlass(&["run", "--", "echo", "hello"]).0.status.success());
    assert_eq!(node.windlass(&["run", "--array", "1-3", "--", "false"]).0.status.code(), Some(1));
    assert_eq!(node.windlass(&["run", "--", "/absent"]).0.status.code(), Some(127));
    let _ = get(&node, "/v1/runs", "wrong");
    let _ = get(&node, "/absent", &node.token());
    let text = metrics(&node);
    assert!(text.ends_with("# EOF\n"), "{text}");
    for (metric, wanted) in [
        ("windlass_runs_submitted_total", 3.0),
        ("windlass_runs_ended_total", 3.0),
        ("windlass_elements_placed_total", 5.0),
        ("windlass_attempts_ended_total", 5.0),
        ("windlass_elements_ended_total{state=\"succeeded\"}", 1.0),
        ("windlass_elements_ended_total{state=\"failed\"}", 3.0),
        ("windlass_output_bytes_total", 6.0),
        ("windlass_start_seconds_count", 4.0),
        ("windlass_starts_refused_total", 1.0),
        ("windlass_plan_elements_sum", 5.0),
        ("windlass_elements{state=\"queued\"}", 0.0),
        ("windlass_nodes{state=\"ready\"}", 1.0),
        ("windlass_sessions", 1.0),
        ("windlass_cpus", 4.0),
        ("windlass_requests_refused_total{reason=\"token\"}", 1.0),
        (
            "windlass_requests_total{route=\"/windlass.v1.Windlass/Run\",method=\"gRPC\",status=\"0\"}",
            3.0,
        ),
        ("windlass_requests_total{route=\"other\",method=\"GET\",status=\"404\"}", 1.0),
        ("windlass_requests_in_flight", 1.0),
        ("windlass_history_behind", 0.0),
        ("windlass_node_epoch", 1.0),
        ("windlass_picks_refused_total{reason=\"no_room\"}", 0.0),
        ("windlass_nodes_leased", 0.0),
        ("windlass_oldest_heartbeat_seconds", 0.0),
        ("windlass_nodes_lost_total", 0.0),
        ("windlass_heartbeats_acknowledged_total", 0.0),
        ("windlass_lease_confirmation_failures_total", 0.0),
    ] {
        assert_eq!(value(&text, metric), wanted, "{metric} in\n{text}");
    }
    for metric in [
        "windlass_commit_seconds_count",
        "windlass_batch_bytes_sum",
        "windlass_batch_commands_sum",
        "windlass_journal_sync_seconds_count",
        "windlass_journal_bytes",
        "windlass_resident_bytes",
        "windlass_supervisor_resident_bytes",
        "windlass_disk_free_bytes",
        "windlass_connections",
    ] {
        assert!(value(&text, metric) > 0.0, "{metric} in\n{text}");
    }
    let count = |name: &str| value(&text, &format!("windlass_{name}_count"));
    assert_eq!(count("batch_commands"), count("commit_seconds"), "counted once, with the commit");
    assert!(count("journal_sync_seconds") >= count("commit_seconds"));
    assert!((0.0..600.0).contains(&value(&text, "windlass_supervisor_silent_seconds")));
    the_dashboard_asks_for_what_there_is(&text);
    the_page_lists_every_metric(&text);
}

#[test]
fn metrics_want_a_token_and_begin_anew_with_the_daemon() {
    let node = Home::new().up();
    assert!(get(&node, "/metrics", "wrong").0.starts_with("HTTP/1.1 401"));
    assert!(node.windlass(&["run", "--", "true"]).0.status.success());
    assert_eq!(value(&metrics(&node), "windlass_runs_submitted_total"), 1.0);
    let home = node.crash();
    let node = home.up();
    // The journal was read again, with the run in it.
    assert_eq!(value(&metrics(&node), "windlass_runs_submitted_total"), 0.0);
    assert!(node.windlass(&["run", "--", "true"]).0.status.success());
    assert_eq!(value(&metrics(&node), "windlass_runs_submitted_total"), 1.0);
}

#[test]
fn leases_are_measured_where_there_are_any() {
    // The only voter's own node has none; its workers that run nothing have one each.
    let node = Home::new().up_with(&["--noop-workers", "2"]);
    let deadline = Instant::now() + Duration::from_secs(120);
    let text = loop {
        let text = metrics(&node);
        if value(&text, "windlass_heartbeats_acknowledged_total") >= 4.0 {
            break text;
        }
        assert!(Instant::now() < deadline, "no heartbeats in\n{text}");
        assert!(node.windlass(&["node", "ls"]).0.status.success());
    };
    assert_eq!(value(&text, "windlass_nodes_leased"), 2.0, "{text}");
    assert!(value(&text, "windlass_lease_confirmations_total") >= 1.0, "{text}");
    assert_eq!(value(&text, "windlass_lease_confirmation_failures_total"), 0.0, "{text}");
    assert!(value(&text, "windlass_oldest_heartbeat_seconds") > 0.0, "{text}");
    assert!(value(&text, "windlass_oldest_heartbeat_seconds") < 32.0, "{text}");
}

fn the_dashboard_asks_for_what_there_is(text: &str) {
    let names: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let asked = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut count = 0;
    let asked = asked.map(|target| target["expr"].as_str().unwrap());
    let lists = dashboard["templating"]["list"].as_array().unwrap();
    for query in asked.chain(lists.iter().filter_map(|list| list["query"].as_str())) {
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("windlass_")) {
            assert!(names.contains(word), "the dashboard asks for `{word}`, which there is not");
            count += 1;
        }
    }
    assert!(count > 30);
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
}

fn the_page_lists_every_metric(text: &str) {
    let mut table = String::from("\n| metric | type | labels | |\n| --- | --- | --- | --- |\n");
    for (name, (kind, help)) in families(text) {
        let suffix = match kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.split_once('{'))
            .filter(|(metric, _)| {
                *metric == format!("{name}{suffix}") || *metric == format!("{name}_bucket")
            })
            .flat_map(|(_, rest)| rest.split('"').step_by(2))
            .filter_map(|part| part.trim_start_matches(',').strip_suffix('='))
            .filter(|label| *label != "le")
            .collect();
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(table, "| `{name}{suffix}` | {kind} | {} | {help} |", labels.join(", "));
    }
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (written, _) = page.split_once(MARK).expect("the page has the mark");
    let wanted = format!("{written}{MARK}{table}");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(PAGE, &wanted).unwrap();
    } else {
        assert!(
            page == wanted,
            "the page is old: `{WRITE}=1 cargo test -p windlass --test cli work_is_measured` writes it anew"
        );
    }
}
