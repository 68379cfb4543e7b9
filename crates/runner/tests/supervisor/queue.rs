//! Who starts when, and what is asked twice.

use model::{Ending, NotStarted, StopCause};
use proto::supervisor::from_supervisor::Kind as Said;
use proto::supervisor::to_supervisor::Kind as Ask;

use super::support::*;

#[test]
fn the_higher_priority_starts_first_and_the_capacity_holds() {
    let mut node = Node::with(None, 1000);
    let file = node.path("order").display().to_string();
    // The first holds the only place until the others wait.
    let gate = node.path("gate").display().to_string();
    let first = shell(&format!("while [ ! -e {gate} ]; do sleep 0.01; done; echo 1 >> {file}"));
    node.started(&first, 1);
    for (index, priority) in [(2, 10), (3, 90), (4, 10), (5, 50)] {
        let mut spec = shell(&format!("echo {index} >> {file}"));
        spec.priority = priority;
        node.start(&spec, &[index]);
    }
    // What is asked after the starts is answered after they are taken in.
    node.ask(greeting(1000));
    node.hello = Default::default();
    node.hear_until("hello", |node| node.hello.held.len() == 5);
    std::fs::write(gate, "").unwrap();
    (1..=5).for_each(|index| drop(node.end(index)));
    let order = std::fs::read_to_string(file).unwrap();
    assert_eq!(order.split_whitespace().collect::<String>(), "13524");
}

#[test]
fn an_end_in_a_crowd_is_told_though_nothing_else_happens() {
    let mut node = Node::with(None, 1000);
    let gate = node.path("gate").display().to_string();
    node.started(&shell(&format!("while [ ! -e {gate} ]; do sleep 0.01; done; exit 3")), 1);
    let crowd: Vec<u32> = (2..40).collect();
    node.start(&task(&["sleep", "1000"]), &crowd);
    node.ask(greeting(1000));
    node.hello = Default::default();
    node.hear_until("the crowd is held", |node| node.hello.held.len() == 39);
    std::fs::write(gate, "").unwrap();
    // From here on nothing writes and nothing else ends.
    assert_eq!(node.end(1).ending, Ending::Exited { code: 3 });
    crowd.iter().for_each(|index| node.stop(*index, StopCause::Cancel));
    crowd.iter().for_each(|index| drop(node.end(*index)));
}

#[test]
fn what_is_more_urgent_than_all_that_wait_is_not_of_the_crowd() {
    let mut node = Node::with(None, 2000);
    let gate = node.path("gate").display().to_string();
    node.started(&shell(&format!("while [ ! -e {gate} ]; do sleep 0.01; done")), 1);
    node.started(&task(&["sleep", "1000"]), 2);
    let crowd: Vec<u32> = (10..40).collect();
    let mut low = task(&["sleep", "1000"]);
    low.priority = 10;
    node.start(&low, &crowd);
    node.ask(greeting(2000));
    node.hello = Default::default();
    node.hear_until("the crowd is held", |node| node.hello.held.len() == 32);
    let urgent = |node: &Node, index| {
        node.said.iter().rev().find_map(|said| match said {
            Said::Ended(ended) if ended.attempt == Some(attempt(index).into()) => {
                Some(ended.urgent)
            }
            _ => None,
        })
    };
    // One of the crowd is withdrawn, and is as urgent as the others.
    node.stop(39, StopCause::Cancel);
    node.end(39);
    assert_eq!(urgent(&node, 39), Some(false));
    std::fs::write(gate, "").unwrap();
    node.end(1);
    assert_eq!(urgent(&node, 1), Some(true));
    crowd.iter().for_each(|index| node.stop(*index, StopCause::Cancel));
    crowd.iter().for_each(|index| drop(node.end(*index)));
    node.stop(2, StopCause::Cancel);
    node.end(2);
    assert_eq!(urgent(&node, 2), Some(false), "nobody waits");
}

#[test]
fn what_is_no_process_takes_its_seat_and_succeeds() {
    let mut node = Node::with(None, 2000);
    node.started(&task(&["sleep", "1000"]), 0);
    let mut noop = task(&["no-such"]);
    noop.runner = model::Runner::Noop;
    let indices: Vec<u32> = (1..3000).collect();
    node.start(&noop, &indices);
    node.hear_until("all have ended", |node| node.ended.len() == 2999);
    for outcome in node.ended.values() {
        assert_eq!((&outcome.ending, outcome.stopped), (&Ending::Exited { code: 0 }, None));
        assert!(outcome.started_us > 0 && outcome.ended_us >= outcome.started_us);
        assert_eq!(outcome.output, None);
    }
    assert_eq!(node.started.len(), 1, "only the process was said to start");
    // Without a seat it waits, and can be withdrawn.
    let mut large = noop.clone();
    large.resources.cpu_milli = 2000;
    node.start(&large, &[5000, 5001]);
    node.stop(5000, StopCause::Cancel);
    assert_eq!(node.end(5000).ending, Ending::NotStarted(NotStarted::Withdrawn));
    assert!(!node.ended.contains_key(&attempt(5001)));
    node.stop(0, StopCause::Cancel);
    assert_eq!(node.end(5001).ending, Ending::Exited { code: 0 });
    // Their ends are where a new supervisor's daemon would look for them.
    let store = runner::output::Store::open(node.path("output"));
    let found = store.recover(&indices.iter().map(|index| attempt(*index)).collect());
    assert_eq!(found.len(), 2999);
    node.forget(&indices);
}

#[test]
fn what_was_seen_is_not_started_again() {
    let mut node = Node::new();
    let file = node.path("ran").display().to_string();
    let start = node.start_message(&shell(&format!("echo x >> {file}")), &[1, 2]);
    let (mut again, mut old) = (start.clone(), start.clone());
    node.ask(Ask::Start(start.clone()));
    node.ask(Ask::Start(start));
    node.end(1);
    node.end(2);
    node.forget(&[1, 2]);
    // Not even when nothing is known of it any more, nor in an epoch that is over.
    node.ask(Ask::Start(again.clone()));
    again.epoch = 2;
    again.items.truncate(1);
    node.ask(Ask::Start(again));
    node.ended.clear();
    node.end(1);
    old.seq = 100;
    node.ask(Ask::Start(old));
    node.reconnect(4000);
    assert_eq!((node.hello.seen_epoch, node.hello.seen_seq), (2, 1));
    assert_eq!(node.hello.held, [attempt(1).into()]);
    let ran = std::fs::read_to_string(file).unwrap();
    assert_eq!(ran.lines().count(), 3);
    node.hear_until("the end is told again", |node| node.ended.contains_key(&attempt(1)));
}

#[test]
fn a_waiting_attempt_is_withdrawn_and_an_unknown_one_ignored() {
    let mut node = Node::with(None, 1000);
    node.started(&task(&["sleep", "1000"]), 1);
    node.start(&task(&["true"]), &[2]);
    node.stop(3, StopCause::Cancel);
    node.stop(2, StopCause::Cancel);
    let outcome = node.end(2);
    assert_eq!(outcome.ending, Ending::NotStarted(NotStarted::Withdrawn));
    assert_eq!(outcome.stopped, Some(StopCause::Cancel));
    assert!(!node.ended.contains_key(&attempt(3)));
    node.stop(1, StopCause::Cancel);
    node.end(1);
}

#[test]
fn what_is_stopped_as_it_starts_is_stopped() {
    let mut node = Node::with(None, 100_000);
    let indices: Vec<u32> = (0..60).collect();
    node.start(&task(&["sleep", "1000"]), &indices);
    indices.iter().for_each(|index| node.stop(*index, StopCause::Cancel));
    node.hear_until("all have ended", |node| node.ended.len() == 60);
    let canceled = |cause| cause == Some(StopCause::Cancel);
    assert!(node.ended.values().all(|outcome| canceled(outcome.stopped)));
}

#[test]
fn a_shutdown_stops_all_and_takes_nothing_more() {
    let mut node = Node::with(None, 1000);
    node.start(&task(&["sleep", "1000"]), &[1, 2]);
    node.hear_until("it is started", |node| node.started.contains_key(&attempt(1)));
    node.ask(Ask::Shutdown(proto::supervisor::Shutdown {}));
    node.start(&task(&["true"]), &[3]);
    for index in [1, 2, 3] {
        assert_eq!(node.end(index).stopped, Some(StopCause::Down));
    }
    assert_eq!(node.ended[&attempt(3)].ending, Ending::NotStarted(NotStarted::Withdrawn));
    node.forget(&[1, 2]);
    assert!(node.supervisor.try_wait().unwrap().is_none(), "one is not forgotten");
    // The rest is what every test ends with: forget all, and it leaves.
}

#[test]
fn a_new_daemon_calls_the_shutdown_off() {
    let mut node = Node::with(None, 2000);
    let mut stubborn = shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
    stubborn.grace_ms = 300;
    node.started(&stubborn, 1);
    node.hear_until("it ignores the signal", |node| {
        node.said.iter().any(|said| matches!(said, Said::Output(_)))
    });
    node.ask(Ask::Shutdown(proto::supervisor::Shutdown {}));
    node.reconnect(2000);
    assert_eq!(node.run(&shell("exit 3"), 2).ending, Ending::Exited { code: 3 });
    let first = node.end(1);
    assert_eq!(first.stopped, Some(StopCause::Down), "what was told to stop still stops");
}

#[test]
fn each_attempt_is_said_to_start_before_it_is_said_to_end() {
    let mut node = Node::new();
    let indices: Vec<u32> = (0..300).collect();
    node.start(&task(&["/bin/true"]), &indices);
    node.hear_until("all have ended", |node| node.ended.len() == 300);
    let mut running = std::collections::HashSet::new();
    for said in &node.said {
        match said {
            Said::Started(started) => assert!(running.insert(started.pid)),
            Said::Ended(ended) => {
                let attempt = ended.attempt.unwrap().into();
                assert!(running.remove(&node.started[&attempt].pid));
            }
            _ => {}
        }
    }
}
