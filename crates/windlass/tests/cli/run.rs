//! `run`: whatever a task does, its caller sees it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::node::{Home, Node, own_addr};

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
    check!(node, ["run", "--timeout", "500ms", "--", "sleep", "60"], @r"
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
    error: cannot submit: the job is not valid: --cpus: no node has cpus 99; the most there is: cpus 4, memory 1 GiB
    hint: ask for less; `windlass node ls` shows what nodes have
    ");
    check!(node, ["run", "--memory", "2GiB", "--", "true"], @r"
    exit code: 125
    --- stderr ---
    error: cannot submit: the job is not valid: --memory: no node has cpus 1, memory 2 GiB; the most there is: cpus 4, memory 1 GiB
    hint: ask for less; `windlass node ls` shows what nodes have
    ");
}

/// A `run` that goes on while the test does something else.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(node: &Node, command: &[&str]) -> Running {
        let mut child = node
            .command(&[&["run", "--"], command].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running { child, stdout }
    }

    fn shows(&mut self, line: &str) {
        let mut read = String::new();
        self.stdout.read_line(&mut read).unwrap();
        assert_eq!(read, format!("{line}\n"));
    }

    /// What is left of stdout, all of stderr, and the exit code.
    fn ended(mut self) -> (String, String, Option<i32>) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (stdout, stderr, self.child.wait().unwrap().code())
    }
}

/// A named pipe on which a task waits.
fn gate(home: &Home) -> PathBuf {
    let path = home.path().join("gate");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn ctrl_c_cancels_and_waits_for_the_end() {
    let node = Home::new().up();
    let mut run = Running::start(&node, &["sh", "-c", "echo started; exec sleep 600"]);
    run.shows("started");
    kill_process(Pid::from_raw(run.child.id() as i32).unwrap(), Signal::INT).unwrap();
    let (stdout, stderr, code) = run.ended();
    assert_eq!((stdout.as_str(), code), ("", Some(143)));
    insta::assert_snapshot!(stderr, @r"
    windlass: canceling run 1; Ctrl-C again to leave it
    windlass: run 1 canceled: signal 15 (SIGTERM)
    ");
    let status = node.windlass(&["status", "--json", "1"]).json();
    assert_eq!(status["canceled"]["reason"], "Ctrl-C");
}

#[test]
fn a_run_outlives_a_crash_of_the_node() {
    let node = Home::new().up_at(own_addr());
    let gate = gate(node.home());
    let script = "echo one; read x < $1; echo $x; exit 3";
    let mut run = Running::start(&node, &["sh", "-c", script, "sh", gate.to_str().unwrap()]);
    run.shows("one");
    let addr = node.api().parse().unwrap();
    let node = node.crash().up_at(addr);
    std::fs::OpenOptions::new().write(true).open(&gate).unwrap().write_all(b"two\n").unwrap();
    assert_eq!(run.ended(), ("two\n".to_owned(), String::new(), Some(3)));
    let runs = node.windlass(&["ps", "--all", "--json"]).json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "nothing was submitted twice");
}

#[test]
fn a_reader_that_leaves_does_not_change_the_exit_code() {
    let node = Home::new().up();
    let gate = gate(node.home());
    let script = "echo one; read x < $1; echo two; exit 3";
    let mut run = Running::start(&node, &["sh", "-c", script, "sh", gate.to_str().unwrap()]);
    run.shows("one");
    drop(run.stdout);
    std::fs::OpenOptions::new().write(true).open(&gate).unwrap().write_all(b"x\n").unwrap();
    assert_eq!(run.child.wait().unwrap().code(), Some(3));
}
