//! The lease: what a node that hears of no leader ends by itself, and when.

use model::{Ending, NotStarted, OnLost, StopCause, TaskSpec};
use proto::supervisor::{Lease, from_supervisor::Kind as Said, to_supervisor::Kind as Ask};
use runner::containment::Kind;
use rustix::time::{ClockId, clock_gettime};

use super::support::*;

/// Short, but long enough for a start on a busy machine.
const LEASE_MS: u64 = 4_000;

fn boot_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.unsigned_abs() * 1000 + time.tv_nsec.unsigned_abs() / 1_000_000
}

fn stubborn() -> TaskSpec {
    shell("trap '' TERM; while :; do sleep 1; done")
}

fn waiting() -> TaskSpec {
    TaskSpec { on_lost: OnLost::Wait, ..task(&["sleep", "1000"]) }
}

/// Tells of a lease from now on; returns its deadline.
fn lease(node: &mut Node, lease_ms: u64) -> u64 {
    let deadline_ms = boot_ms() + lease_ms;
    let told = Lease { lease_ms, deadline_ms, term: 3 };
    node.ask(Ask::Lease(told));
    node.hear_until("the echo", |node| node.said.contains(&Said::Lease(told)));
    deadline_ms
}

#[test]
fn what_runs_has_ended_when_the_deadline_passes_but_for_what_waits_for_its_node() {
    for kind in Kind::ALL {
        let mut node = Node::with(Some(kind), 3000);
        let pids = [
            node.started(&task(&["sleep", "1000"]), 1),
            node.started(&stubborn(), 2),
            node.started(&waiting(), 3),
        ];
        node.start(&task(&["true"]), &[4]);
        let deadline_ms = lease(&mut node, LEASE_MS);
        node.hang_up();
        until("the deadline passes", || boot_ms() >= deadline_ms);
        let alive = pids.map(lives);
        assert_eq!(alive, [false, false, true], "{kind}: no daemon is needed for that");

        node.reconnect(3000);
        let told = node.hello.lease.unwrap();
        assert_eq!((told.lease_ms, told.deadline_ms, told.term), (LEASE_MS, deadline_ms, 3));
        let signals = [(1, 15), (2, 9)];
        for (index, signal) in signals {
            let outcome = node.end(index);
            assert_eq!(outcome.ending, Ending::Signaled { signal }, "{kind}");
            assert_eq!(outcome.stopped, Some(StopCause::Lease), "{kind}");
        }
        // It waited for room, and what comes now comes too late.
        node.start(&task(&["true"]), &[5]);
        for index in [4, 5] {
            let outcome = node.end(index);
            assert_eq!(outcome.ending, Ending::NotStarted(NotStarted::Withdrawn), "{kind}");
            assert_eq!(outcome.stopped, Some(StopCause::Lease), "{kind}");
        }
        // Nothing replaces what waits, so it may even start.
        node.started(&waiting(), 6);

        lease(&mut node, 600_000);
        assert_eq!(node.run(&task(&["true"]), 7).ending, Ending::Exited { code: 0 }, "{kind}");
        node.forget(&[1, 2, 4, 5, 7]);
        assert!(lives(pids[2]), "{kind}");
        for index in [3, 6] {
            node.stop(index, StopCause::Cancel);
            assert_eq!(node.end(index).stopped, Some(StopCause::Cancel), "{kind}");
        }
    }
}

#[test]
fn a_later_deadline_lets_tasks_go_on_and_without_a_lease_there_is_none() {
    let mut node = Node::new();
    let pid = node.started(&task(&["sleep", "1000"]), 1);
    let first_ms = lease(&mut node, LEASE_MS);
    let second_ms = lease(&mut node, 3 * LEASE_MS);
    until("the first deadline passes", || boot_ms() >= first_ms);
    assert!(lives(pid), "another has come");
    node.ask(Ask::Lease(Lease::default()));
    node.hear_until("the echo", |node| node.said.contains(&Said::Lease(Lease::default())));
    until("the end of the second would begin", || boot_ms() >= second_ms - 5_000);
    assert!(lives(pid), "it was taken back");
}

#[test]
fn a_lease_that_is_told_when_it_is_over_starts_nothing() {
    let mut node = Node::with(None, 3000);
    let ran = node.path("ran");
    let late = shell(&format!("echo >> {}", ran.display()));
    for index in 1..=20 {
        let deadline_ms = boot_ms() - 20_000 + u64::from(index);
        let told = Lease { lease_ms: LEASE_MS, deadline_ms, term: 3 };
        let start = node.start_message(&late, &[index]);
        node.ask_all([Ask::Lease(told), Ask::Start(start)]);
        let outcome = node.end(index);
        assert_eq!(outcome.ending, Ending::NotStarted(NotStarted::Withdrawn));
        assert_eq!(outcome.stopped, Some(StopCause::Lease));
    }
    assert!(!ran.exists(), "what waits at a paused daemon may be running elsewhere by now");
}
