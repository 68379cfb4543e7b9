//! `run`: whatever a task does, its caller sees it.

use crate::node::Home;

#[test]
fn output_and_exit_code_pass_through() {
    let node = Home::new().up();
    check!(node, ["run", "--", "sh", "-c", "echo out; echo err >&2"], @"");
    check!(node, ["run", "--", "sh", "-c", "printf 'no newline'; exit 3"], @"");
    check!(node, ["run", "--success-codes", "3", "--", "sh", "-c", "exit 3"], @"");
    check!(node, ["run", "--", "sh", "-c", "kill -9 $$"], @"");
    check!(node, ["run", "--timeout", "50ms", "--", "sleep", "60"], @"");
    check!(node, ["run", "--", "./is-not-there"], @"");
    check!(node, ["run", "--", "/etc/passwd"], @"");
    check!(node, ["run", "--cwd", "/is/not/there", "--", "true"], @"");
}

#[test]
fn bytes_are_left_alone() {
    let node = Home::new().up();
    let shown = node.windlass(&["run", "--", "printf", r"\377\000\n\r\t"]);
    assert_eq!(shown.0.stdout, b"\xff\x00\n\r\t");
}

#[test]
fn a_task_gets_what_was_asked_for_it() {
    let node = Home::new().up();
    let script = "pwd; echo $A $WINDLASS_RUN $WINDLASS_TASK $WINDLASS_INDEX $WINDLASS_ATTEMPT; readlink /proc/self/fd/0";
    check!(node, ["run", "--env", "A=b c", "--name", "n", "--", "sh", "-c", script], @"");
    check!(node, ["run", "--cwd", "/usr", "--", "pwd"], @"");
}

#[test]
fn an_array_is_told_apart_by_index() {
    let node = Home::new().up();
    let script = "test $WINDLASS_INDEX -lt 2 || { echo to $WINDLASS_INDEX; exit $WINDLASS_INDEX; }";
    check!(node, ["run", "--array", "1-3%1", "--", "sh", "-c", script], @"");
    check!(node, ["run", "--raw", "--array", "4-4", "--", "sh", "-c", script], @"");
    check!(node, ["run", "--array", "1-2", "--", "true"], @"");
}

#[test]
fn json_tells_the_whole_story() {
    let node = Home::new().up();
    let shown = node.windlass(&["run", "--json", "--", "sh", "-c", "echo hi; exit 4"]);
    let lines = shown.stdout();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["submitted", "output", "ended"]);
    assert_eq!((&lines[1]["data"], &lines[1]["run"]), (&"hi\n".into(), &lines[0]["run"]));
    assert_eq!(lines[2]["exit_code"], 4);
    assert_eq!(shown.0.status.code(), Some(4));
}

#[test]
fn a_key_submits_once() {
    let node = Home::new().up();
    check!(node, ["run", "-d", "--idempotency-key", "k", "--", "echo", "hi"], @"");
    check!(node, ["run", "-d", "--idempotency-key", "k", "--", "echo", "hi"], @"");
    check!(node, ["run", "--idempotency-key", "k", "--", "echo", "hi"], @"");
    check!(node, ["run", "-d", "--idempotency-key", "k", "--", "echo", "ho"], @"");
    check!(node, ["run", "-d", "--", "echo", "hi"], @"");
}

#[test]
fn what_can_never_run_is_refused() {
    let node = Home::new().up();
    check!(node, ["run", "--cpus", "99", "--", "true"], @"");
    check!(node, ["run", "--memory", "2GiB", "--", "true"], @"");
}
