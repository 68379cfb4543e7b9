//! The clocks of an attempt: its start, its run, and the warning before the end.

use std::fs;
use std::path::Path;

use model::{Ending, NotStarted, Outcome, StopCause, Warn};
use proto::supervisor::from_supervisor::Kind as Said;
use runner::containment::Kind;

use super::support::*;

fn not_started(outcome: &Outcome) -> &NotStarted {
    match &outcome.ending {
        Ending::NotStarted(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_program_that_is_not_executed_in_time_ends_as_timed_out() {
    for kind in Kind::ALL {
        let mut node = Node::with(Some(kind), 4000);
        let Some(hanging) = Hanging::new(&node, "hangs") else { return };
        let mut spec = hanging.task();
        spec.start_timeout_ms = 200;
        let outcome = node.run(&spec, 1);
        assert_eq!(outcome.stopped, Some(StopCause::Timeout), "{kind}");
        let NotStarted::Refused(why) = not_started(&outcome) else { panic!("{outcome:?}") };
        assert!(why.contains("was not executed within 200 ms"), "{why}");
        assert!(!node.started.contains_key(&attempt(1)), "it never was said to run");
        drop(hanging);
        // The run may not take that long either.
        let Some(hanging) = Hanging::new(&node, "hangs again") else { return };
        let mut spec = hanging.task();
        spec.timeout_ms = 100;
        assert_eq!(node.run(&spec, 2).stopped, Some(StopCause::Timeout), "{kind}");
        drop(hanging);
        assert_eq!(node.run(&task(&["true"]), 3).ending, Ending::Exited { code: 0 }, "{kind}");
    }
}

#[test]
fn a_program_that_is_executed_late_but_in_time_runs_with_all_its_time() {
    let mut node = Node::new();
    let Some(hanging) = Hanging::new(&node, "hangs") else { return };
    let mut spec = hanging.task();
    spec.start_timeout_ms = 1_000_000;
    node.start(&spec, &[1]);
    assert_eq!(node.run(&task(&["true"]), 2).ending, Ending::Exited { code: 0 });
    drop(hanging);
    let outcome = node.end(1);
    assert_eq!((outcome.ending, outcome.stopped), (Ending::Exited { code: 3 }, None));
}

#[test]
fn programs_that_hang_keep_nobody_from_starting_and_can_be_stopped() {
    let mut node = Node::with(None, 100_000);
    let hanging = |at| Hanging::new(&node, &format!("hangs{at}"));
    let Some(all) = (0..6).map(hanging).collect::<Option<Vec<_>>>() else { return };
    for (hanging, index) in all.iter().zip(0..) {
        node.start(&hanging.task(), &[index]);
    }
    // Others start, run and are killed.
    assert_eq!(node.run(&task(&["true"]), 10).ending, Ending::Exited { code: 0 });
    node.started(&task(&["sleep", "1000"]), 11);
    node.stop(11, StopCause::Cancel);
    assert_eq!(node.end(11).stopped, Some(StopCause::Cancel));
    for (index, cause) in [(0, StopCause::Cancel), (1, StopCause::Deadline)] {
        node.stop(index, cause);
        let outcome = node.end(index);
        assert_eq!(outcome.stopped, Some(cause));
        assert_eq!(not_started(&outcome), &NotStarted::Withdrawn);
    }
    drop(all);
    for index in 2..6 {
        assert_eq!(node.end(index).ending, Ending::Exited { code: 3 });
    }
}

#[test]
fn what_survives_killing_before_its_program_makes_the_node_degraded() {
    // As with a running one, the freezer of v1 plays the kernel that does not let it go.
    let freezer = Path::new("/sys/fs/cgroup/freezer");
    let mut node = Node::new();
    if node.hello.containment != "cgroup-v2" || !freezer.exists() {
        return;
    }
    let Some(hanging) = Hanging::new(&node, "hangs") else { return };
    let stuck = freezer.join(format!("stuck-{}", node.id));
    fs::create_dir(&stuck).unwrap();
    node.start(&hanging.task(), &[1]);
    let base = node.base().unwrap();
    let mut pid = String::new();
    until("it has a process", || {
        let procs = base.join("1/cgroup.procs");
        pid = fs::read_to_string(procs).unwrap_or_default().trim().to_owned();
        !pid.is_empty()
    });
    fs::write(stuck.join("cgroup.procs"), &pid).unwrap();
    fs::write(stuck.join("freezer.state"), "FROZEN").unwrap();
    node.stop(1, StopCause::Cancel);
    let degraded = |node: &Node, wanted: bool| {
        let last = node.said.iter().rev().find_map(|said| match said {
            Said::Condition(condition) => Some(condition.degraded.clone()),
            _ => None,
        });
        last.is_some_and(|text| text.contains("survives SIGKILL before its program") == wanted)
    };
    node.hear_until("it is degraded", |node| degraded(node, true));
    assert!(!node.ended.contains_key(&attempt(1)), "it has not ended before it is gone");
    assert_eq!(node.run(&task(&["true"]), 2).ending, Ending::Exited { code: 0 });
    fs::write(stuck.join("freezer.state"), "THAWED").unwrap();
    assert_eq!(node.end(1).stopped, Some(StopCause::Cancel));
    node.hear_until("it is well again", |node| degraded(node, false));
    until("the stuck cgroup is empty", || fs::remove_dir(&stuck).is_ok());
}

#[test]
fn a_total_deadline_ends_it_under_its_own_name() {
    let mut node = Node::with(None, 1000);
    node.started(&task(&["sleep", "1000"]), 1);
    node.start(&task(&["true"]), &[2]);
    node.stop(2, StopCause::Deadline);
    let waited = node.end(2);
    assert_eq!(waited.stopped, Some(StopCause::Deadline));
    assert_eq!(not_started(&waited), &NotStarted::Withdrawn);
    node.stop(1, StopCause::Deadline);
    node.stop(1, StopCause::Timeout);
    let ran = node.end(1);
    assert_eq!(ran.stopped, Some(StopCause::Deadline));
    assert_eq!(ran.ending, Ending::Signaled { signal: 15 });
}

/// Two processes of one tree, each of which notes the signal and goes on.
const NOTES: &str = "note() { trap \"echo $1 >> FILE\" USR1; echo $1 >> READY; \
                     while :; do sleep 0.01; done; }; note child & note main";

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn the_warning_reaches_the_whole_tree_once_and_it_runs_on() {
    // All at once: each takes as long as its timeout.
    let mut nodes = Kind::ALL.map(|kind| Node::with(Some(kind), 4000));
    for node in &mut nodes {
        let (file, ready) = (node.path("noted"), node.path("ready"));
        let script = NOTES.replace("FILE", file.to_str().unwrap());
        let mut spec = shell(&script.replace("READY", ready.to_str().unwrap()));
        // The traps are set long before the warning comes, on whatever machine.
        (spec.timeout_ms, spec.grace_ms) = (7_000, 100);
        spec.warn = Some(Warn { signal: libc::SIGUSR1, before_ms: 2_500 });
        node.start(&spec, &[1]);
    }
    for node in &mut nodes {
        let (file, ready) = (node.path("noted"), node.path("ready"));
        until("the traps are set", || lines(&ready).len() == 2);
        until("both have noted it", || lines(&file).len() >= 2);
        let outcome = node.end(1);
        assert_eq!(outcome.stopped, Some(StopCause::Timeout), "{:?}", node.kind);
        assert_eq!(lines(&file), ["child", "main"], "{:?}", node.kind);
    }
}

#[test]
fn a_warning_of_more_than_the_whole_time_comes_at_once() {
    let mut node = Node::new();
    let mut spec = task(&["sleep", "1000"]);
    spec.timeout_ms = 1_000_000;
    spec.warn = Some(Warn { signal: libc::SIGUSR1, before_ms: u64::MAX });
    let outcome = node.run(&spec, 1);
    // It has no handler for it.
    assert_eq!(outcome.ending, Ending::Signaled { signal: libc::SIGUSR1 });
    assert_eq!(outcome.stopped, None);
    // Without a run timeout there is nothing to warn of.
    spec.timeout_ms = 0;
    spec.command = vec!["true".to_owned()];
    assert_eq!(node.run(&spec, 2).ending, Ending::Exited { code: 0 });
}
