//! How things came about: `why`, `events`, `history`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::node::{Home, Node};

/// The reasons of the first answer.
fn codes(node: &Node, id: &str) -> Vec<String> {
    let value = node.windlass(&["why", "--json", id]).json();
    let reasons = value["groups"][0]["reasons"].as_array().unwrap().clone();
    reasons.iter().map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
}

/// The events that a call prints, and the index to go on after.
fn events(node: &Node, args: &[&str]) -> (Vec<serde_json::Value>, u64) {
    let shown = node.windlass(&[&["events", "--json"], args].concat());
    let lines = shown.stdout();
    let stderr = String::from_utf8(shown.0.stderr.clone()).unwrap();
    let token = stderr.rsplit("--after ").next().unwrap().trim_end_matches(['`', '\n']);
    let token = token.parse().unwrap_or_else(|_| panic!("{stderr}"));
    (lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), token)
}

#[test]
fn why_answers_before_during_and_after() {
    let node = Home::new().up();
    let hold = [
        "run",
        "-d",
        "--cpus",
        "4",
        "--name",
        "hold",
        "--",
        "sh",
        "-c",
        "while test ! -e go; do sleep 0.05; done",
    ];
    node.windlass(&hold);
    node.until(&["status", "--json", "1"], |run| run["run"]["state"] == "running");
    node.windlass(&["run", "-d", "--", "false"]);
    assert_eq!(codes(&node, "1"), ["runs"]);
    assert_eq!(codes(&node, "2"), ["no_room"]);
    let shown = node.windlass(&["why", "2"]).stdout();
    assert!(shown.starts_with("2/main  queued for "), "{shown}");
    for words in [
        "node alpha has too little free: cpus (it wants 1, 0 of 4 are free)",
        "held by run 1 (hold): 1 element",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
    std::fs::write(node.home().path().join("go"), "").unwrap();
    assert_eq!(node.windlass(&["wait", "2"]).0.status.code(), Some(1));
    let shown = node.windlass(&["why", "2"]).stdout();
    assert!(shown.starts_with("2/main  failed, "), "{shown}");
    // However long the lines are.
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("exit code 1 on node alpha after "), "{shown}");
    assert!(shown.contains("the job allows no retry"), "{shown}");
    check!(node, ["why", "99"], @r"
    exit code: 1
    --- stderr ---
    error: cannot ask why `99`: there is no run 99
    hint: `windlass ps --all` lists all runs
    ");
}

#[test]
fn events_tell_what_happened_and_go_on_where_they_were() {
    let node = Home::new().up();
    node.windlass(&["run", "--name", "a", "--array", "1-3", "--", "true"]);
    let (told, token) = events(&node, &["--run", "1"]);
    let kinds: Vec<_> = told.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], *kinds.last().unwrap()), ("run_created", "run_ended"), "{told:#?}");
    let ended: u64 = told
        .iter()
        .filter(|event| event["kind"] == "attempt_ended")
        .map(|event| event["count"].as_u64().unwrap())
        .sum();
    assert_eq!(ended, 3, "{told:#?}");
    node.windlass(&["run", "--name", "b", "--", "false"]);
    let after = token.to_string();
    let (told, last) = events(&node, &["--after", &after, "--kind", "run_created,run_ended"]);
    let told: Vec<_> = told.iter().map(|e| (e["run"].as_u64(), e["exit_code"].as_i64())).collect();
    assert_eq!(told, [(Some(2), None), (Some(2), Some(1))]);
    assert!(last > token);
    let of_a = events(&node, &["--name", "a", "--state", "succeeded", "--kind", "run_ended"]).0;
    assert_eq!(of_a.len(), 1);
    let ahead = node.windlass(&["events", "--after", "999999999"]);
    let stderr = String::from_utf8(ahead.0.stderr).unwrap();
    assert!(stderr.contains("index 999999999 is not reached yet"), "{stderr}");
}

#[test]
fn events_are_followed_as_they_come() {
    let node = Home::new().up();
    let mut follow = node.command(&["events", "-f", "-n", "0", "--kind", "run_ended", "--json"]);
    let mut follow = follow.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    // Nobody can tell when it listens, so runs end until one of them is told of.
    let told = std::thread::spawn(move || lines.next());
    while !told.is_finished() {
        node.windlass(&["run", "--", "true"]);
    }
    let line = told.join().unwrap().unwrap().unwrap();
    assert!(line.contains(r#""kind":"run_ended""#), "{line}");
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn history_lists_what_ended_with_its_attempts() {
    let node = Home::new().up();
    node.windlass(&[
        "run",
        "--name",
        "n",
        "--retries",
        "1",
        "--retry-backoff",
        "10ms",
        "--",
        "false",
    ]);
    node.windlass(&["run", "--", "true"]);
    let all = node.windlass(&["history", "--json"]).json();
    let told: Vec<_> =
        all["runs"].as_array().unwrap().iter().map(|run| (&run["run"], &run["attempts"])).collect();
    assert_eq!(told, [(&2.into(), &1.into()), (&1.into(), &2.into())]);
    let failed = node.windlass(&["history", "--json", "--state", "failed"]).json();
    assert_eq!(failed["runs"].as_array().unwrap().len(), 1);
    assert_eq!(failed["runs"][0]["exit_code"], 1);
    check!(node, ["history", "--name", "nobody"], @r"
    exit code: 0
    --- stdout ---
    RUN  NAME  STATE  EXIT  ENDED  WAITED  TOOK  CPU  TRIES  COMMAND
    --- stderr ---
    windlass: no run that has ended is meant; `windlass ps` shows those that have not
    ");
}
