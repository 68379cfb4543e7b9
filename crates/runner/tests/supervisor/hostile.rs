//! Tasks that do what they should not: nothing is left of them, under any containment.

use model::{Ending, StopCause};
use runner::containment::Kind;

use super::support::*;

/// Runs the script under every containment, with a cancel once `ready` is there if it has to be
/// cancelled; the node then checks that nothing is left.
fn check(script: &str, cancel: bool, expected: Ending) {
    for kind in Kind::ALL {
        let mut node = Node::with(Some(kind), 4000);
        assert_eq!(node.hello.containment, kind.to_string());
        let ready = node.path("ready");
        let mut spec = shell(&script.replace("READY", ready.to_str().unwrap()));
        spec.grace_ms = 100;
        node.start(&spec, &[1]);
        if cancel {
            until("it is ready", || ready.exists());
            node.stop(1, StopCause::Cancel);
        }
        let outcome = node.end(1);
        assert_eq!(outcome.ending, expected, "{kind}");
        assert_eq!(outcome.stopped, cancel.then_some(StopCause::Cancel), "{kind}");
        assert!(!outcome.output_truncated, "{kind}");
        let mark = format!("WINDLASS_NODE_ID={}", node.id);
        assert_eq!(marked(&mark), Vec::<u32>::new(), "{kind}");
    }
}

const KILLED: Ending = Ending::Signaled { signal: 9 };

#[test]
fn one_that_ignores_term() {
    check("trap '' TERM; : > READY; while :; do sleep 1000; done", true, KILLED);
}

#[test]
fn who_comes_after_one_that_was_killed_is_left_alone() {
    for kind in Kind::ALL {
        let mut node = Node::with(Some(kind), 1000);
        let ready = node.path("ready");
        let stubborn = "trap '' TERM; : > READY; while :; do sleep 1000; done";
        let mut spec = shell(&stubborn.replace("READY", ready.to_str().unwrap()));
        spec.grace_ms = 10;
        node.start(&spec, &[1]);
        until("it is ready", || ready.exists());
        node.stop(1, StopCause::Cancel);
        assert_eq!(node.end(1).ending, KILLED, "{kind}");
        for index in 2..5 {
            let outcome = node.run(&task(&["true"]), index);
            assert_eq!(outcome.ending, Ending::Exited { code: 0 }, "{kind}");
        }
    }
}

#[test]
fn one_that_leaves_children_behind() {
    check("sleep 1000 & sleep 1000 & exit 4", false, Ending::Exited { code: 4 });
}

#[test]
fn one_that_leaves_children_that_ignore_term() {
    check("trap '' TERM; sleep 1000 & exit 0", false, Ending::Exited { code: 0 });
}

#[test]
fn one_that_makes_a_daemon_with_two_forks_and_a_new_session() {
    let script = "trap '' TERM; ( ( setsid sh -c ': > READY; while :; do sleep 1000; done' & ) & ); \
                  while [ ! -e READY ]; do sleep 0.01; done; exit 6";
    check(script, false, Ending::Exited { code: 6 });
}

#[test]
fn one_that_closes_its_output_and_lives_on() {
    check("exec >&- 2>&-; : > READY; sleep 1000", true, Ending::Signaled { signal: 15 });
}

#[test]
fn one_that_forks_without_end() {
    // Each copy makes another and lives on, and none heeds TERM.
    let script = "trap '' TERM; : > READY; bomb() { bomb & i=0; while [ $i -lt 20 ]; do \
                  sleep 0.05; i=$((i+1)); done; }; bomb; wait";
    check(script, true, KILLED);
}

#[test]
fn a_child_that_is_left_behind_can_end_in_its_own_way() {
    let mut node = Node::new();
    let (ready, ended) = (node.path("ready"), node.path("ended"));
    let script = "( trap ': > ENDED; exit' TERM; : > READY; while :; do sleep 0.01; done ) & \
                  while [ ! -e READY ]; do sleep 0.01; done; exit 0";
    let script = script.replace("READY", ready.to_str().unwrap());
    let outcome = node.run(&shell(&script.replace("ENDED", ended.to_str().unwrap())), 1);
    assert_eq!(outcome.ending, Ending::Exited { code: 0 });
    assert!(ended.exists(), "it was killed before it could act on the signal");
}

#[test]
fn a_gigabyte_passes_and_nobody_waits() {
    let mut node = Node::new();
    let gigabyte = "head -c 1073741824 /dev/zero";
    let outcome = node.run(&shell(gigabyte), 1);
    assert_eq!(outcome.ending, Ending::Exited { code: 0 });
    assert_eq!(outcome.output_bytes, 1 << 30);
}

#[test]
fn a_stranger_that_holds_the_pipe_is_not_waited_for_long() {
    let mut node = Node::new();
    let pid = node.started(&task(&["sleep", "1000"]), 1);
    // This test's own process holds the writing end from now on.
    let held = std::fs::File::options().write(true).open(format!("/proc/{pid}/fd/1")).unwrap();
    node.stop(1, StopCause::Cancel);
    let outcome = node.end(1);
    assert!(outcome.output_truncated);
    let took = outcome.ended_us - outcome.started_us;
    assert!(took >= 2_000_000, "{took} µs");
    drop(held);
}
