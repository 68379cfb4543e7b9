//! The daemon's log: what is asked for, in the form that is asked for.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::node::Home;

fn logged(args: &[&str], variables: &[(&str, &str)]) -> String {
    logged_with(args, variables).0
}

/// What a node logs from its start to its end, and its token.
fn logged_with(args: &[&str], variables: &[(&str, &str)]) -> (String, String) {
    let home = Home::new();
    let words = ["up", "--data-dir", "data", "--api", "127.0.0.1:0", "--ready-file", "ready"];
    let mut command = home.command(&[&words, args].concat());
    // A file, for a pipe that nobody reads meanwhile would hold the node up.
    let log = home.path().join("log");
    let stderr = std::fs::File::create(&log).unwrap();
    command.envs(variables.iter().copied()).stdout(Stdio::null()).stderr(stderr);
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !home.path().join("ready").exists() {
        assert!(Instant::now() < deadline, "the node is not ready");
        std::thread::yield_now();
    }
    let ready = std::fs::read_to_string(home.path().join("ready")).unwrap();
    let api = serde_json::from_str::<Value>(&ready).unwrap()["api"].as_str().unwrap().to_owned();
    let run = home.windlass(&["-N", &api, "run", "--env", "SECRET=hunter2", "--", "true"]);
    assert!(run.0.status.success());
    assert!(home.windlass(&["-N", &api, "down"]).0.status.success());
    assert!(child.wait().unwrap().success());
    let token = std::fs::read_to_string(home.path().join("data/token")).unwrap();
    (std::fs::read_to_string(log).unwrap(), token)
}

#[test]
fn each_line_is_an_object_of_json() {
    let (log, token) = logged_with(&["--log", "trace", "--log-format", "json"], &[]);
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 5, "{log}");
    for line in &lines {
        assert!(["timestamp", "level", "target"].iter().all(|key| line[key].is_string()), "{line}");
    }
    // The important moments are told once, with fields.
    let of = |message: &str| {
        let mut found = lines.iter().filter(|line| line["message"] == message);
        let first = found.next().unwrap_or_else(|| panic!("`{message}` is not in {log}"));
        assert!(found.next().is_none(), "`{message}` is logged twice");
        first
    };
    assert!(of("the node serves")["node"].is_string());
    // Where in the journal: the end is behind the submission.
    let (submitted, ended) = (of("a run is submitted"), of("a run has ended"));
    assert_eq!((&submitted["level"], &ended["level"]), (&"DEBUG".into(), &"DEBUG".into()));
    assert_eq!((submitted["run"].as_u64(), ended["run"].as_u64()), (Some(1), Some(1)));
    assert_eq!(ended["state"], "succeeded");
    let index = |line: &Value| line["index"].as_u64().unwrap_or_else(|| panic!("{line}"));
    assert!(0 < index(submitted) && index(submitted) < index(ended), "{submitted} {ended}");
    assert!(of("a node is registered")["epoch"].is_u64());
    assert!(of("the node goes down")["tasks"].is_u64());
    // The page tells them with their levels and fields.
    let page = include_str!("../../../../docs/reference/log.md");
    let mut rows = 0;
    for row in page.lines().filter(|row| row.starts_with("| `") && row.matches('|').count() == 4) {
        let mut words = row.split('`').skip(1).step_by(2);
        let (message, level) = (words.next().unwrap(), words.next().unwrap());
        let Some(line) = lines.iter().find(|line| line["message"] == message) else { continue };
        assert_eq!(line["level"], level, "{row}");
        let told: BTreeSet<&str> = words.collect();
        let usual = ["timestamp", "level", "target", "message"];
        let keys = line.as_object().unwrap().keys().map(String::as_str);
        let fields: BTreeSet<&str> = keys.filter(|key| !usual.contains(key)).collect();
        assert_eq!(fields, told, "{row}");
        rows += 1;
    }
    assert_eq!(rows, 5, "the others need more than a run and an end of the node");
    // Whatever is logged, it is nothing that a task was given, and nobody's token.
    let told = lines.iter().map(Value::to_string);
    let leaks = told.filter(|line| line.contains("hunter2") || line.contains(&token));
    assert_eq!(leaks.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn levels_go_by_module_and_a_flag_wins_over_the_variable() {
    let quiet = logged(&["--log", "off"], &[("WINDLASS_LOG", "trace")]);
    assert_eq!(quiet, "");
    let node = logged(&[], &[("WINDLASS_LOG", "off,node=debug")]);
    assert!(node.contains("a run is submitted") && !node.contains("openraft"), "{node}");
    assert!(!node.contains('\u{1b}'), "colours only for a terminal");
}

#[test]
fn what_is_no_filter_is_refused() {
    let home = Home::new();
    let output = home.command(&["up", "--log", "node=loud"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("hint: "));
    assert!(!home.path().join("data").exists());
}
