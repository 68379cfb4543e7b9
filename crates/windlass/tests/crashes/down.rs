//! `down` while tasks run: each is told to stop and given its grace, and what may run again does.

use crate::ground::{Ground, job, task};
use crate::left::task_processes;
use crate::node::runs;
use crate::patience::until;
use crate::victim::Victim;

#[test]
fn down_gives_each_task_its_grace_and_the_next_node_goes_on() {
    let ground = Ground::new();
    let victim = Victim::new();
    let caller = victim.caller();
    let path = victim.home.path();
    // It cleans up when it is told to; the second attempt has nothing to wait for.
    let tidy = format!(
        "trap 'echo tidied; sleep 0.3; touch {0}/tidied; exit 0' TERM
         [ $WINDLASS_ATTEMPT = 2 ] && exit 6
         echo waits; while :; do sleep 0.05; done",
        path.display()
    );
    let tidy = caller.submit(&job(&["sh", "-c", &tidy]), "");
    let mut stubborn = job(&["sh", "-c", "trap '' TERM; [ $WINDLASS_ATTEMPT = 2 ] || sleep 600"]);
    task(&mut stubborn).grace_ms = Some(200);
    let stubborn = caller.submit(&stubborn, "");
    // More than there is room for, so that some have never started.
    let mut many = ground.job(1, 600.0, "first");
    let array = proto::job::Array { first: 1, last: 20, step: 1, parallel_max: 0 };
    task(&mut many).array = Some(array);
    let many = caller.submit(&many, "");
    for run in [tidy, stubborn, many] {
        caller.until_state(run, "running");
    }
    until("the tidy one waits", || {
        caller.output(tidy).iter().any(|chunk| chunk.data.starts_with(b"waits"))
    });
    until("the array has started", || !ground.truth().is_empty());
    let orphans = task_processes(victim.node);
    assert!(orphans.len() >= 4, "{orphans:?}");

    let home = victim.down();
    assert!(home.path().join("tidied").exists(), "it had its grace");
    let started = ground.truth();
    assert!(started.len() < 20 && started.values().all(|lines| lines.len() == 1), "{started:?}");

    let victim = Victim::at(home);
    let caller = victim.caller();
    assert_eq!(caller.end(tidy).exit_code, 6);
    assert_eq!(caller.end(stubborn).exit_code, 0);
    until("the first of the array runs again", || {
        let truth = ground.truth();
        started.keys().all(|element| truth[element].iter().any(|line| line.attempt == 2))
    });
    for run in [tidy, stubborn] {
        let shown = caller.run(run);
        let attempts = &shown.elements[0].attempts;
        assert_eq!(attempts.len(), 2, "{attempts:#?}");
        assert_eq!(attempts[0].state, "lost");
        let first = attempts[0].outcome.as_ref().unwrap();
        assert_eq!(first.stopped(), proto::job::StopCause::Down);
    }
    let output = caller.output(tidy).into_iter().filter(|chunk| chunk.stream == 1);
    let output: Vec<u8> = output.flat_map(|chunk| chunk.data).collect();
    assert_eq!(String::from_utf8(output).unwrap(), "waits\ntidied\n");
    caller.cancel(many, "seen enough");
    caller.end(many);
    victim.down();
}

#[test]
fn a_node_that_dies_on_its_way_down_goes_on_with_the_next_start() {
    let ground = Ground::new();
    let mut victim = Victim::new();
    let supervisor = victim.supervisor();
    let caller = victim.caller();
    let script = "trap '' TERM; echo here; [ $WINDLASS_ATTEMPT = 2 ] || sleep 600";
    let mut stubborn = job(&["sh", "-c", script]);
    task(&mut stubborn).grace_ms = Some(700);
    let stubborn = caller.submit(&stubborn, "");
    let gentle = caller.submit(&ground.job(3, 600.0, "first"), "");
    until("both have started", || {
        !ground.truth().is_empty() && !caller.output(stubborn).is_empty()
    });
    let mut down = victim.home.command(&["down", "-N", &victim.api]);
    let mut down = down.stderr(std::process::Stdio::null()).spawn().unwrap();
    until("the tasks are told to stop", || !runs(ground.truth()[&(gentle, 0)][0].pid));
    victim.kill();
    assert_ne!(down.wait().unwrap().code(), None);

    victim.start();
    victim.ready();
    let fresh = caller.submit(&ground.job(0, 0.0, "5"), "");
    assert_eq!(caller.end(fresh).exit_code, 5);
    assert_eq!(caller.end(stubborn).exit_code, 0);
    assert_eq!(caller.end(gentle).exit_code, 0);
    for run in [stubborn, gentle] {
        let attempts = caller.run(run).elements[0].attempts.len();
        assert_eq!(attempts, 2, "it was stopped once");
    }
    assert_eq!(victim.supervisor(), supervisor, "a new daemon has called off its end");
    victim.down();
}
