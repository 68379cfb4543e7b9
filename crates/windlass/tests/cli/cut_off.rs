//! A node that goes away in the middle, and Ctrl-C: what a waiting command makes of them.

use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::api::*;
use rustix::process::{Pid, Signal, kill_process};

use crate::node::own_addr;
use crate::scripted::{Heard, Life, Script};

/// A client, and the node it speaks to.
struct Scene {
    life: Option<Life>,
    addr: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    calls: Receiver<()>,
    child: Child,
    stdout: ChildStdout,
    stderr: ChildStderr,
    shown: String,
}

impl Scene {
    fn begin(script: Script, args: &[&str]) -> Scene {
        let (bell, calls) = mpsc::channel();
        let heard = Arc::new(Mutex::new(Heard { bell: Some(bell), ..Heard::default() }));
        let life = Life::begin(own_addr(), script, &heard);
        let (verb, rest) = args.split_first().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_windlass"))
            .args([verb, "-N", &life.addr.to_string()])
            .args(rest)
            .env("WINDLASS_TOKEN", "any")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        Scene {
            addr: life.addr,
            life: Some(life),
            heard,
            calls,
            child,
            stdout,
            stderr,
            shown: String::new(),
        }
    }

    /// Reads stdout until it has said `text`.
    fn shows(mut self, text: &str) -> Scene {
        while !self.shown.contains(text) {
            let mut byte = [0];
            assert_eq!(self.stdout.read(&mut byte).unwrap(), 1, "ended after {:?}", self.shown);
            self.shown.push(byte[0] as char);
        }
        self
    }

    /// Reads stderr until a line has `text`.
    fn notes(mut self, text: &str) -> Scene {
        let mut noted = String::new();
        while !(noted.contains(text) && noted.ends_with('\n')) {
            let mut byte = [0];
            assert_eq!(self.stderr.read(&mut byte).unwrap(), 1, "ended after {noted:?}");
            noted.push(byte[0] as char);
        }
        self
    }

    /// Waits until the node was asked.
    fn hears_of_it(self) -> Scene {
        self.calls.recv_timeout(Duration::from_secs(10)).unwrap();
        self
    }

    fn node_dies(mut self) -> Scene {
        self.life = None;
        self
    }

    fn node_is_back(mut self, script: Script) -> Scene {
        self.life = Some(Life::begin(self.addr, script, &self.heard));
        self
    }

    fn ctrl_c(self) -> Scene {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        self
    }

    /// Everything on stdout and what is left of stderr.
    fn ends(mut self, code: i32, stdout: &str, stderr: &str) -> Arc<Mutex<Heard>> {
        let mut text = self.shown.clone();
        self.stdout.read_to_string(&mut text).unwrap();
        let mut noted = String::new();
        self.stderr.read_to_string(&mut noted).unwrap();
        assert_eq!((text.as_str(), noted.as_str()), (stdout, stderr));
        assert_eq!(self.child.wait().unwrap().code(), Some(code));
        self.heard
    }
}

fn submitted() -> RunEvent {
    let kind = run_event::Kind::Submitted(SubmitResponse { run: 7, repeated: false });
    RunEvent { kind: Some(kind) }
}

fn chunk(offset: u64, text: &str) -> OutputChunk {
    OutputChunk { attempt: 1, stream: 1, offset, data: text.into(), ..Default::default() }
}

fn output(offset: u64, text: &str) -> RunEvent {
    RunEvent { kind: Some(run_event::Kind::Output(chunk(offset, text))) }
}

fn end(exit_code: i32) -> RunEnd {
    let run = RunSummary { run: 7, state: "failed".into(), elements: 1, ..Default::default() };
    RunEnd { exit_code, summary: format!("failed: exit code {exit_code}"), run: Some(run) }
}

fn ended(exit_code: i32) -> RunEvent {
    RunEvent { kind: Some(run_event::Kind::Ended(end(exit_code))) }
}

fn run(events: Vec<RunEvent>) -> Script {
    Script { run: events, ..Script::default() }
}

#[test]
fn run_goes_on_where_the_node_was_cut_off() {
    let heard = Scene::begin(run(vec![submitted(), output(0, "one\ntw")]), &["run", "--", "x"])
        .shows("tw")
        .node_dies()
        .node_is_back(run(vec![submitted(), output(0, "one\n"), output(4, "two\n"), ended(3)]))
        .ends(3, "one\ntwo\n", "");
    let heard = heard.lock().unwrap();
    assert_eq!(heard.runs.len(), 2);
    assert_eq!(heard.runs[0], heard.runs[1], "the same job under the same key");
    assert!(!heard.runs[0].idempotency_key.is_empty());
}

#[test]
fn a_node_that_has_no_room_is_asked_again() {
    let heard = Scene::begin(
        Script { refuse: 2, ..run(vec![submitted(), output(0, "a"), ended(3)]) },
        &["run", "--", "x"],
    )
    .ends(3, "a", "");
    let heard = heard.lock().unwrap();
    assert_eq!(heard.runs.len(), 3);
    assert!(heard.runs.iter().all(|asked| *asked == heard.runs[0]), "the same key each time");
}

#[test]
fn a_stream_that_ends_early_is_no_end_of_the_run() {
    let early = Script { close: true, ..run(vec![submitted(), output(0, "a")]) };
    Scene::begin(early, &["run", "--", "x"])
        .shows("a")
        .node_dies()
        .node_is_back(run(vec![submitted(), output(0, "a"), ended(0)]))
        .ends(0, "a", "");
}

#[test]
fn logs_go_on_where_the_node_was_cut_off() {
    let first = Script { logs: vec![chunk(0, "abc")], ..Script::default() };
    let second =
        Script { logs: vec![chunk(0, "ab"), chunk(2, "cd\n")], close: true, ..Script::default() };
    Scene::begin(first, &["logs", "-f", "7"])
        .shows("abc")
        .node_dies()
        .node_is_back(second)
        .ends(0, "abcd\n", "");
}

#[test]
fn wait_survives_a_node_that_is_away_for_a_moment() {
    let event = WaitEvent { kind: Some(wait_event::Kind::Ended(end(4))) };
    let first = Script { wait: vec![], close: true, ..Script::default() };
    Scene::begin(first, &["wait", "7"])
        .hears_of_it()
        .node_dies()
        .node_is_back(Script { wait: vec![event], ..Script::default() })
        .ends(4, "7: failed: exit code 4\n", "");
}

#[test]
fn the_first_ctrl_c_cancels_and_the_second_leaves() {
    let heard = Scene::begin(run(vec![submitted(), output(0, "a")]), &["run", "--", "x"])
        .shows("a")
        .ctrl_c()
        .notes("canceling run 7; Ctrl-C again to leave it")
        .ctrl_c()
        .ends(
            130,
            "a",
            "windlass: left run 7; follow it with `windlass logs -f 7`, end it with `windlass cancel 7`\n",
        );
    let heard = heard.lock().unwrap();
    assert!(heard.cancels.iter().all(|cancel| cancel.ids == ["7"]));
}
