//! `run`: whatever a task does, its caller sees it.

use crate::node::Home;

#[test]
fn output_and_exit_code_pass_through() {
    let node = Home::new().up();
    check!(node, ["run", "--", "sh", "-c", "echo out; echo err >&2"], @r"
    exit code: 0
    --- stdout ---
    out
    --- stderr ---
    err
    ");
    check!(node, ["run", "--", "sh", "-c", "printf 'no newline'; exit 3"], @r"
    exit code: 3
    --- stdout ---
    no newline
    ");
    check!(node, ["run", "--success-codes", "3", "--", "sh", "-c", "exit 3"], @r"exit code: 0");
    check!(node, ["run", "--", "sh", "-c", "kill -9 $$"], @r"
    exit code: 137
    --- stderr ---
    windlass: run 4 failed: signal 9 (SIGKILL)
    ");
    check!(node, ["run", "--timeout", "50ms", "--", "sleep", "60"], @r"
    exit code: 124
    --- stderr ---
    windlass: run 5 timed_out: signal 15 (SIGTERM)
    ");
    check!(node, ["run", "--", "./is-not-there"], @r"
    exit code: 127
    --- stderr ---
    windlass: run 6 dead: `./is-not-there`: no such file, or its interpreter is missing
    ");
    check!(node, ["run", "--", "/etc/passwd"], @r"
    exit code: 126
    --- stderr ---
    windlass: run 7 dead: cannot execute `/etc/passwd`: Permission denied (os error 13)
    ");
    check!(node, ["run", "--cwd", "/is/not/there", "--", "true"], @r"
    exit code: 125
    --- stderr ---
    windlass: run 8 dead: cannot change to `/is/not/there`: No such file or directory (os error 2)
    ");
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
    check!(node, ["run", "--env", "A=b c", "--name", "n", "--", "sh", "-c", script], @r"
    exit code: 0
    --- stdout ---
    [DIR]
    b c 1 main 0 1
    /dev/null
    ");
    check!(node, ["run", "--cwd", "/usr", "--", "pwd"], @r"
    exit code: 0
    --- stdout ---
    /usr
    ");
}

#[test]
fn an_array_is_told_apart_by_index() {
    let node = Home::new().up();
    let script = "test $WINDLASS_INDEX -lt 2 || { echo to $WINDLASS_INDEX; exit $WINDLASS_INDEX; }";
    check!(node, ["run", "--array", "1-3%1", "--", "sh", "-c", script], @r"
    exit code: 2
    --- stdout ---
    [2] to 2
    [3] to 3
    --- stderr ---
    windlass: run 1 failed: exit code 2 (1 succeeded, 2 failed)
    ");
    check!(node, ["run", "--raw", "--array", "4-4", "--", "sh", "-c", script], @r"
    exit code: 4
    --- stdout ---
    to 4
    ");
    check!(node, ["run", "--array", "1-2", "--", "true"], @r"exit code: 0");
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
    check!(node, ["run", "-d", "--idempotency-key", "k", "--", "echo", "hi"], @r"
    exit code: 0
    --- stdout ---
    1
    ");
    check!(node, ["run", "-d", "--idempotency-key", "k", "--", "echo", "hi"], @r"
    exit code: 0
    --- stdout ---
    1
    ");
    check!(node, ["run", "--idempotency-key", "k", "--", "echo", "hi"], @r"
    exit code: 0
    --- stdout ---
    hi
    ");
    check!(node, ["run", "-d", "--idempotency-key", "k", "--", "echo", "ho"], @r"
    exit code: 125
    --- stderr ---
    error: cannot submit: the idempotency key was used for another job, which is run 1
    hint: give this job a key of its own, or leave the key out
    ");
    check!(node, ["run", "-d", "--", "echo", "hi"], @r"
    exit code: 0
    --- stdout ---
    2
    ");
}

#[test]
fn what_can_never_run_is_refused() {
    let node = Home::new().up();
    check!(node, ["run", "--cpus", "99", "--", "true"], @r"
    exit code: 125
    --- stderr ---
    error: cannot submit: the job is not valid: tasks[0].resources: no node has cpus 99, memory 0 B; the most there is: cpus 4, memory 1 GiB
    ");
    check!(node, ["run", "--memory", "2GiB", "--", "true"], @r"
    exit code: 125
    --- stderr ---
    error: cannot submit: the job is not valid: tasks[0].resources: no node has cpus 1, memory 2 GiB; the most there is: cpus 4, memory 1 GiB
    ");
}
