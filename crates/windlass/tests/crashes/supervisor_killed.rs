//! The supervisor is killed: its orphans live on, are found and proved gone, and only then does
//! an element run again.

use std::collections::BTreeSet;
use std::fs::File;

use model::{Attempt, Element, RunId, TaskSpec};
use proto::job::OnLost;
use proto::job::outcome::Ending;
use runner::output::Store;
use rustix::fs::{FlockOperation, flock};

use crate::ground::{Ground, task};
use crate::left::task_processes;
use crate::node::runs;
use crate::patience::until;
use crate::victim::Victim;

/// Longer than any test.
const LONG: f64 = 600.0;

#[test]
fn orphans_are_unknown_until_they_are_proved_gone() {
    let ground = Ground::new();
    let victim = Victim::new();
    let caller = victim.caller();
    let run = caller.submit(&ground.job(1, LONG, "first"), "");
    caller.until_state(run, "running");
    let orphan = started(&ground, run);

    // As long as the test has the lock no other supervisor begins, and the orphan is safe.
    victim.hold();
    victim.kill_supervisor();
    let lock = File::open(victim.home.path().join("data/supervisor.lock")).unwrap();
    until("the lock is free", || flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok());
    victim.go_on();
    let shown = caller.until_state(run, "unknown");
    assert_eq!(shown.elements[0].state, "unknown");
    assert_eq!(shown.elements[0].attempts.len(), 1);
    assert!(runs(orphan), "the orphan lives on");
    assert_eq!(ground.truth()[&(run, 0)].len(), 1, "nothing replaces it");
    drop(lock);

    let shown = caller.until_state(run, "succeeded");
    assert!(!runs(orphan), "it was killed before another began");
    let attempts = &shown.elements[0].attempts;
    let told: Vec<_> = attempts.iter().map(|a| (a.number, a.state.as_str())).collect();
    assert_eq!(told, [(1, "lost"), (2, "succeeded")]);
    assert!(attempts[0].fence < attempts[1].fence);
    let lines = ground.truth().remove(&(run, 0)).unwrap();
    let lines: Vec<_> = lines.iter().map(|line| (line.attempt, line.start)).collect();
    assert_eq!(lines, [(1, true), (2, true), (2, false)]);
    victim.down();
}

#[test]
fn orphans_outlive_both_processes_and_are_found_by_the_next() {
    let ground = Ground::new();
    let mut victim = Victim::new();
    let caller = victim.caller();
    // A child in a session of its own, whose parent has gone, belongs to the task all the same.
    let runaway = crate::ground::job(&["sh", "-c", "setsid sleep 600 & sleep 600"]);
    let runaway = caller.submit(&runaway, "");
    let run = caller.submit(&ground.job(1, LONG, "first"), "");
    caller.until_state(run, "running");
    let orphan = started(&ground, run);
    until("all of the other has started", || task_processes(victim.node).len() >= 5);

    victim.hold();
    victim.kill_supervisor();
    victim.kill();
    let orphans = task_processes(victim.node);
    assert!(orphans.contains(&orphan) && orphans.len() >= 5, "{orphans:?}");
    assert!(orphans.iter().all(|pid| runs(*pid)), "the orphans live on");

    victim.start();
    victim.ready();
    caller.until_state(run, "succeeded");
    assert!(orphans.iter().all(|pid| !runs(*pid)), "each was found and killed");
    let shown = caller.until(runaway, |shown| {
        let attempts = &shown.elements[0].attempts;
        attempts.len() == 2 && attempts[1].state == "running"
    });
    assert_eq!(shown.elements[0].attempts[0].state, "lost");
    caller.cancel(runaway, "seen enough");
    caller.end(runaway);
    victim.down();
}

#[test]
fn an_end_that_a_dead_supervisor_wrote_is_not_run_again() {
    let ground = Ground::new();
    let mut victim = Victim::new();
    let caller = victim.caller();
    let mut job = ground.job(7, 0.3, "7");
    // It may be that its end is unknown; that it is not is what this is about.
    task(&mut job).on_lost = OnLost::Fail as i32;
    let run = caller.submit(&job, "");
    caller.until_state(run, "running");
    victim.hold();
    let element = Element { run: RunId(run), task: 0, index: 0 };
    let wanted = BTreeSet::from([Attempt { element, number: 1 }]);
    let output = Store::open(victim.home.path().join("data/output"));
    until("its end is on disk", || !output.recover(&wanted).is_empty());
    victim.kill_supervisor();
    victim.kill();

    victim.start();
    let end = caller.end(run);
    assert_eq!((end.exit_code, end.summary.as_str()), (7, "failed: exit code 7"));
    let shown = caller.run(run);
    assert_eq!(shown.elements[0].attempts.len(), 1);
    let attempt = &shown.elements[0].attempts[0];
    assert!(attempt.started_us > 0 && attempt.ended_us - attempt.started_us >= 250_000);
    let written: Vec<u8> = caller.output(run).into_iter().flat_map(|chunk| chunk.data).collect();
    assert_eq!(written.len(), crate::ground::stdout(7).len() + "0\n".len());
    assert_eq!(ground.truth()[&(run, 0)].len(), 2, "it ran once");
    victim.down();
}

#[test]
fn what_may_not_run_again_is_lost_at_once_and_the_rest_after_its_limit() {
    let ground = Ground::new();
    let victim = Victim::new();
    let caller = victim.caller();
    let mut fail = ground.job(0, LONG, "0");
    task(&mut fail).on_lost = OnLost::Fail as i32;
    let mut once = ground.job(0, LONG, "0");
    task(&mut once).at_most_once = true;
    let requeue = ground.job(0, LONG, "0");
    let [fail, once, requeue] = [fail, once, requeue].map(|job| caller.submit(&job, ""));
    for run in [fail, once] {
        caller.until_state(run, "running");
    }
    let tries = TaskSpec::LOSSES_MAX + 1;
    for number in 1..=tries {
        caller.until(requeue, |shown| {
            let last = shown.elements[0].attempts.last();
            last.is_some_and(|last| (last.number, last.state.as_str()) == (number, "running"))
        });
        victim.kill_supervisor();
    }
    for (run, tries) in [(fail, 1), (once, 1), (requeue, tries)] {
        let end = caller.end(run);
        assert_eq!(end.exit_code, 125, "{end:?}");
        let shown = caller.run(run);
        assert_eq!(shown.elements[0].state, "lost");
        let attempts = &shown.elements[0].attempts;
        assert_eq!(attempts.len(), tries as usize);
        for attempt in attempts {
            let ending = attempt.outcome.as_ref().unwrap().ending.as_ref().unwrap();
            assert!(matches!(ending, Ending::Gone(_)), "{attempt:?}");
            assert_eq!(attempt.because.as_ref().unwrap().actor, "supervisor-lost");
        }
        let starts = ground.truth().remove(&(run, 0)).unwrap().len();
        assert_eq!(starts, tries as usize);
    }
    victim.down();
}

/// The process of the first attempt, once it has written its start.
fn started(ground: &Ground, run: u64) -> u64 {
    until("the task has started", || ground.truth().contains_key(&(run, 0)));
    ground.truth()[&(run, 0)][0].pid
}
