//! Many elements: tried again, given up, each with an item of its own, millions of them.

use std::io::Write;
use std::process::Stdio;

use crate::node::{Home, Node, Shown, peak_mib};

/// Runs a command with something on its standard input.
fn with_stdin(node: &Node, args: &[&str], stdin: &[u8]) -> Shown {
    let mut command = node.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    Shown(child.wait_with_output().unwrap())
}

#[test]
fn what_fails_is_tried_again_as_often_as_was_said() {
    let node = Home::new().up();
    let again = ["run", "--retries", "3", "--retry-backoff", "1ms"];
    let until = |n: u32| format!("test $WINDLASS_ATTEMPT -ge {n} || exit 75");
    let run = |more: &[&str], script: &str| {
        node.windlass(&[&again[..], more, &["--", "sh", "-c", script]].concat())
    };
    let attempts = |run: &str| {
        let status = node.windlass(&["status", "--json", run]).json();
        let attempts = status["elements"][0]["attempts"].as_array().unwrap().clone();
        let states: Vec<_> = attempts.iter().map(|a| a["summary"].clone()).collect();
        (attempts.len(), states)
    };
    assert_eq!(run(&[], &until(3)).0.status.code(), Some(0));
    let (count, summaries) = attempts("1");
    assert_eq!(count, 3);
    assert_eq!(summaries, ["exit code 75", "exit code 75", "exit code 0"]);
    assert_eq!(run(&[], &until(9)).0.status.code(), Some(75), "the last one's code");
    assert_eq!(attempts("2").0, 4);
    assert_eq!(run(&["--retry-on", "1,SIGKILL"], &until(9)).0.status.code(), Some(75));
    assert_eq!(attempts("3").0, 1, "75 is none of them");
    assert_eq!(run(&["--no-retry-on", "75"], &until(9)).0.status.code(), Some(75));
    assert_eq!(attempts("4").0, 1);
    let late = ["run", "--retries", "5", "--retry-backoff", "1h", "--total-timeout", "100ms"];
    let late = node.windlass(&[&late[..], &["--", "sh", "-c", "exit 3"]].concat());
    assert_eq!(late.0.status.code(), Some(124), "{late}");
    check!(node, ["wait", "5/main"], @r"
    exit code: 124
    --- stdout ---
    5/main: timed_out: before its next attempt
    ");
    let status = node.windlass(&["status", "--json", "1"]).json();
    assert_eq!(status["elements"][0]["attempts"][0]["state"], "failed");
}

#[test]
fn too_many_failures_end_the_rest() {
    let node = Home::new().up();
    let shown = node.windlass(&[
        "run",
        "--array",
        "1-200%1",
        "--max-failed",
        "2",
        "--",
        "sh",
        "-c",
        "exit 3",
    ]);
    assert_eq!(shown.0.status.code(), Some(3), "{shown}");
    let status = node.windlass(&["status", "--json", "1"]).json();
    assert_eq!(status["run"]["counts"]["failed"], 3, "{status:#}");
    assert_eq!(status["run"]["state"], "failed");
}

#[test]
fn each_line_or_item_is_given_to_an_element() {
    let node = Home::new().up();
    let script = ["--", "sh", "-c", "echo \"<$WINDLASS_ITEM>\""];
    let path = node.home().path().join("list");
    std::fs::write(&path, "a\nb  c\n\nd").unwrap();
    check!(node, [&["run", "--parallel", "1", "--each-line", "list"][..], &script].concat(), @r"
    exit code: 0
    --- stdout ---
    [1] <a>
    [2] <b  c>
    [3] <>
    [4] <d>
    ");
    std::fs::write(&path, r#"["x", {"k": [1, "]"]}, 3.5]"#).unwrap();
    let args = ["run", "--raw", "--array", "2-3%1", "--each-item", "list"];
    check!(node, [&args[..], &script].concat(), @r#"
    exit code: 0
    --- stdout ---
    <{"k": [1, "]"]}>
    <3.5>
    "#);
    let piped = ["run", "--each-line", "-", "--", "sh", "-c", "test $WINDLASS_ITEM = one"];
    assert_eq!(with_stdin(&node, &piped, b"one\n").0.status.code(), Some(0));
    check!(node, [&["run", "--array", "3-9", "--each-item", "list"][..], &script].concat(), @r"
    exit code: 125
    --- stderr ---
    error: cannot submit: the job is not valid: tasks[0].array: ends at 9, and the list has 3 items
    ");
    std::fs::write(&path, "[1, oh]").unwrap();
    check!(node, [&["run", "--each-item", "list"][..], &script].concat(), @r"
    exit code: 125
    --- stderr ---
    error: cannot give `list` to the node: the list cannot be used: item 2 is no valid JSON: expected value at line 1 column 1
    ");
    std::fs::write(&path, "").unwrap();
    check!(node, [&["run", "--each-line", "list"][..], &script].concat(), @r"
    exit code: 2
    --- stderr ---
    error: `list` has no items: there is nothing to run
    ");
    check!(node, [&["run", "--each-line", "not-there"][..], &script].concat(), @r"
    exit code: 125
    --- stderr ---
    error: cannot read `not-there`: No such file or directory (os error 2)
    ");
}

#[test]
fn an_element_whose_list_is_gone_never_starts() {
    let node = Home::new().up();
    let home = node.home().path();
    std::fs::write(home.join("list"), "a\nb\n").unwrap();
    let gate = home.join("gate");
    let script = format!("while ! test -e {}; do sleep 0.05; done", gate.display());
    let run = ["run", "-d", "--cpus", "4", "--parallel", "1", "--each-line", "list"];
    let shown = node.windlass(&[&run[..], &["--", "sh", "-c", &script]].concat());
    assert_eq!(shown.stdout(), "1\n", "{shown}");
    node.until(&["status", "--json", "1/main[1]"], |status| {
        status["elements"][0]["state"] == "running"
    });
    let blob = std::fs::read_dir(home.join("data/blobs")).unwrap().next().unwrap().unwrap();
    std::fs::write(blob.path(), "a\nx\n").unwrap();
    // A list that is open is not looked at again, so it is a new daemon that finds it.
    let node = node.crash().up();
    std::fs::write(&gate, "").unwrap();
    let shown = node.windlass(&["wait", "1"]);
    assert_eq!(shown.0.status.code(), Some(125), "{shown}");
    let status = node.windlass(&["status", "--json", "1/main[2]"]).json();
    let element = &status["elements"][0];
    assert_eq!(element["state"], "dead", "{status:#}");
    let why = element["attempts"][0]["summary"].as_str().unwrap();
    assert!(why.contains("its list is damaged or gone"), "{why}");
}

#[test]
fn ten_million_elements_cost_what_one_does() {
    let node = Home::new().up();
    let pid = node.ready["pid"].as_u64().unwrap();
    let gate = node.home().path().join("gate");
    let script = format!("while ! test -e {}; do sleep 0.05; done", gate.display());
    let array = ["run", "-d", "--array", "1-10000000%2", "--cpus", "1", "--", "sh", "-c", &script];
    let before = peak_mib(pid);
    assert_eq!(node.windlass(&array).stdout(), "1\n");
    let status = |id: &str| node.windlass(&["status", "--json", "-n", "3", id]).json();
    assert_eq!(status("1")["elements_total"], 10_000_000);
    let part = status("1/main[7,9000000-9999999]");
    assert_eq!(
        (&part["elements_total"], &part["elements"][0]["index"]),
        (&1_000_001.into(), &7.into())
    );
    check!(node, ["cancel", "1/main[3,7-9,500000-10000000]"], @r"
    exit code: 0
    --- stdout ---
    1/main[3,7-9,500000-10000000]: 9500005 canceled before they started
    ");
    check!(node, ["wait", "1/main[600000-900000]"], @r"
    exit code: 130
    --- stdout ---
    1/main[600000-900000]: canceled: before it started
    ");
    let canceled = status("1/main[5000000-6000000]");
    assert_eq!(canceled["elements"][2]["state"], "canceled", "{canceled:#}");
    node.windlass(&["cancel", "1"]);
    node.windlass(&["wait", "1"]);
    let run = &node.windlass(&["ps", "--all", "--json"]).json()["runs"][0];
    assert_eq!(run["counts"]["canceled"], 10_000_000, "{run:#}");
    assert_eq!(node.windlass(&["logs", "1/main[4-9999999]"]).0.status.code(), Some(0));
    let again = node.windlass(&["rerun", "1/main[5]"]);
    assert_eq!(again.stdout(), "2\n", "{again}");
    let after = peak_mib(pid);
    assert!(after < before + 64, "{before} MiB before, {after} MiB after");
    std::fs::write(&gate, "").unwrap();
    check!(node, ["wait", "2/main[5]"], @r"
    exit code: 0
    --- stdout ---
    2/main[5]: succeeded
    ");
}
