//! Nodes that are drained, taken back and removed: what is placed there, and what becomes of it.

use machine::{Answer, Event, PickRefusal, Refusal, TaskRun};
use model::{RunId, StopCause, TaskState};
use proto::record::{self, Batch, Command, Header, command::Kind};

use crate::steps::{cancel, drain, lose, node_id, place, register, remove, report, resume, submit};
use crate::world::World;

/// A node with three processors, on which a task with as many elements as given is placed.
fn busy(elements: u8, flavor: u8) -> World {
    let mut world = crate::founded();
    world.apply(register(0, 0, 3), (1, 1));
    world.apply(submit(elements, 1, 0, flavor), (1, 1));
    for ahead in [false, true] {
        let count = if ahead { elements - 3 } else { 3 };
        let kind = place(&world.state, 0, 0, count, ahead, false);
        kind.into_iter().for_each(|kind| _ = world.apply(kind, (1, 1)));
    }
    assert_eq!(task(&world).live.len(), usize::from(elements));
    world
}

fn task(world: &World) -> TaskRun {
    world.state.run(RunId(1)).unwrap().tasks[0].clone()
}

/// The events of one command.
fn events(world: &mut World, kind: Kind) -> Vec<Event> {
    world.index += 1;
    world.time_ms += 1;
    let (leader_term, leader_node, time_ms) = (1, 1, world.time_ms);
    let header = Header { leader_term, leader_node, incarnation: 1, time_ms, ..Header::default() };
    let batch = Batch { header: Some(header), commands: vec![Command { kind: Some(kind) }] };
    let applied = world.state.apply(world.index, (1, 1), &batch);
    assert_eq!(world.state.check_invariants(), Vec::<String>::new());
    applied.events
}

/// How many attempts are asked back, and how many are stopped for what.
fn asked(events: &[Event]) -> (usize, Vec<(usize, StopCause)>) {
    let mut withdrawn = 0;
    let mut stopped = Vec::new();
    for event in events {
        match event {
            Event::Withdraw { attempts, .. } => withdrawn += attempts.len(),
            Event::Stop { attempts, cause, .. } => stopped.push((attempts.len(), *cause)),
            _ => {}
        }
    }
    (withdrawn, stopped)
}

fn is_drained(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::NodeDrained { .. }))
}

#[test]
fn nothing_is_placed_on_a_drained_node_until_it_is_resumed() {
    let mut world = crate::founded();
    world.apply(register(0, 0, 3), (1, 1));
    world.apply(submit(2, 1, 0, 0), (1, 1));
    assert_eq!(world.apply(drain(0, None), (1, 1)), [Answer::Draining]);
    let pick = place(&world.state, 0, 0, 1, false, false).unwrap();
    let refused = events(&mut world, pick.clone());
    let draining = |event: &Event| matches!(event, Event::PickRefused { reason, .. } if *reason == PickRefusal::Draining);
    assert!(refused.iter().any(draining), "{refused:?}");
    // It stays drained whoever comes back there.
    world.apply(register(0, 1, 3), (1, 1));
    assert!(!world.state.node(node_id(0)).unwrap().takes_work());
    assert_eq!(world.apply(resume(0), (1, 1)), [Answer::Resumed { was_drained: true }]);
    assert_eq!(world.apply(resume(0), (1, 1)), [Answer::Resumed { was_drained: false }]);
    let pick = place(&world.state, 0, 0, 1, false, false).unwrap();
    assert_eq!(world.apply(pick, (1, 1)), [Answer::Placed { count: 1 }]);
}

#[test]
fn what_runs_goes_on_until_the_time_is_over_and_what_waits_is_asked_back_at_once() {
    let mut world = busy(5, 0);
    let started = report(&world.state, 0, 0, 0, false).unwrap();
    world.apply(started, (1, 1));
    let asked_for = events(&mut world, drain(0, Some(100)));
    assert_eq!(asked(&asked_for), (4, vec![]), "all but the one that is known to have started");
    let until_ms = world.state.node(node_id(0)).unwrap().drain.as_ref().unwrap().until_ms.unwrap();
    assert_eq!(world.state.next_ms(), Some(until_ms), "the leader brings the time");
    // The last of them was taken back before it started: it waits again, and nothing is counted.
    let back = report(&world.state, 0, 4, 10, false).unwrap();
    world.apply(back, (1, 1));
    let tries = task(&world).tries.get(&4).copied().unwrap();
    assert_eq!((tries.failures, tries.losses, tries.due_ms), (0, 0, 0));

    world.time_ms = until_ms - 2;
    assert_eq!(asked(&events(&mut world, Kind::Wake(record::Wake {}))), (0, vec![]));
    let stopped = events(&mut world, Kind::Wake(record::Wake {}));
    assert_eq!(asked(&stopped), (0, vec![(4, StopCause::Drain)]));
    assert!(task(&world).live.values().all(|live| live.state() == TaskState::Stopping));
    // The last to go says that the node is drained.
    for left in (0..4).rev() {
        let ended = report(&world.state, 0, 0, 9, false).unwrap();
        assert_eq!(is_drained(&events(&mut world, ended)), left == 0);
    }
    let tries: Vec<_> = task(&world).tries.values().map(|t| (t.failures, t.losses)).collect();
    assert_eq!(tries, [(0, 1), (0, 1), (0, 1), (0, 1), (0, 0)], "no failure, one loss");
    assert_eq!(task(&world).queued.len(), 5);
}

#[test]
fn at_once_stops_at_once_and_a_node_with_nothing_is_drained_at_once() {
    let mut world = busy(4, 0);
    assert_eq!(asked(&events(&mut world, drain(0, Some(0)))), (0, vec![(4, StopCause::Drain)]));
    world.apply(register(1, 7, 3), (1, 1));
    assert!(is_drained(&events(&mut world, drain(1, None))));
}

#[test]
fn a_node_that_is_taken_back_keeps_what_runs_and_not_what_is_being_stopped() {
    let mut world = busy(3, 0);
    world.apply(drain(0, Some(50)), (1, 1));
    world.apply(resume(0), (1, 1));
    assert_eq!(world.state.next_ms(), None, "its time is not waited for any more");
    assert!(task(&world).live.values().all(|live| live.stop.is_none()));
    world.apply(drain(0, Some(0)), (1, 1));
    world.apply(resume(0), (1, 1));
    assert!(task(&world).live.values().all(|live| live.stop.is_some()));
}

#[test]
fn another_drain_has_another_time() {
    let mut world = busy(3, 0);
    world.apply(drain(0, Some(500)), (1, 1));
    let before = world.state.node(node_id(0)).unwrap().drain.clone().unwrap();
    world.apply(drain(0, None), (1, 1));
    let after = world.state.node(node_id(0)).unwrap().drain.clone().unwrap();
    assert_eq!((after.since_ms, after.until_ms), (before.since_ms, None));
    assert_eq!(world.state.next_ms(), None);
}

#[test]
fn what_ends_by_itself_has_ended_and_what_fails_is_tried_as_ever() {
    // Two retries.
    let mut world = busy(3, 12);
    world.apply(drain(0, Some(0)), (1, 1));
    for how in [1, 3] {
        let ended = report(&world.state, 0, 0, how, false).unwrap();
        world.apply(ended, (1, 1));
    }
    let task = task(&world);
    assert_eq!(task.ended, [(TaskState::Succeeded, 1)].into());
    assert_eq!(task.tries.get(&1).map(|t| (t.failures, t.losses)), Some((1, 0)));
}

#[test]
fn a_cancel_is_stronger_than_a_drain() {
    let mut world = busy(3, 0);
    world.apply(drain(0, Some(0)), (1, 1));
    let one = Kind::Cancel(record::Cancel {
        run: 1,
        task: Some(0),
        ordinals: vec![record::Range { first: 0, last: 0 }],
        ..Default::default()
    });
    assert_eq!(asked(&events(&mut world, one)), (0, vec![(1, StopCause::Cancel)]));
    // Its supervisor names who asked first.
    for _ in 0..2 {
        let ended = report(&world.state, 0, 0, 9, false).unwrap();
        world.apply(ended, (1, 1));
    }
    assert_eq!(task(&world).ended, [(TaskState::Canceled, 1)].into());
    assert_eq!(task(&world).queued.len(), 1);
    let all = cancel(&world.state, 0, 1, 0);
    world.apply(all, (1, 1));
    let ended = report(&world.state, 0, 0, 9, false).unwrap();
    world.apply(ended, (1, 1));
    assert!(world.state.runs().is_empty());
}

#[test]
fn a_supervisor_that_knows_no_drain_calls_it_a_cancel() {
    let mut world = busy(3, 0);
    world.apply(drain(0, Some(0)), (1, 1));
    let ended = report(&world.state, 0, 0, 6, false).unwrap();
    world.apply(ended, (1, 1));
    assert_eq!(task(&world).queued.len(), 1);
}

#[test]
fn what_is_drained_too_often_is_lost() {
    let mut world = crate::founded();
    world.apply(register(0, 0, 3), (1, 1));
    world.apply(submit(1, 1, 0, 0), (1, 1));
    let mut drains = 0;
    while !world.state.runs().is_empty() {
        let kind = place(&world.state, 0, 0, 1, false, false).unwrap();
        world.apply(kind, (1, 1));
        world.apply(drain(0, Some(0)), (1, 1));
        let ended = report(&world.state, 0, 0, 9, false).unwrap();
        world.apply(ended, (1, 1));
        world.apply(resume(0), (1, 1));
        drains += 1;
    }
    assert_eq!(drains, model::TaskSpec::LOSSES_MAX + 1);
}

#[test]
fn a_node_is_removed_when_nothing_of_it_can_run() {
    let refused = |world: &mut World, kind: Kind| match &world.apply(kind, (1, 1))[..] {
        [Answer::Refused(Refusal::NotRemovable { why, .. })] => *why,
        other => panic!("{other:?}"),
    };
    // What waits for the node to come back.
    let mut world = busy(3, 2);
    let kind = remove(&world.state, 0, false, false);
    assert_eq!(refused(&mut world, kind), "its lease has not run out");
    let kind = lose(&world.state, 0, false).unwrap();
    world.apply(kind, (1, 1));
    let kind = remove(&world.state, 0, false, false);
    assert_eq!(refused(&mut world, kind), "something is placed there");
    world.apply(drain(0, Some(500)), (1, 1));
    let kind = remove(&world.state, 0, true, false);
    assert_eq!(world.apply(kind, (1, 1)), [Answer::NodeRemoved { returned: 3 }]);
    assert_eq!(task(&world).queued.len(), 3, "what waited for it is released");
    assert_eq!(world.state.next_ms(), None);
    let kind = remove(&world.state, 0, true, false);
    let unknown = Answer::Refused(Refusal::UnknownNode { node: node_id(0) });
    assert_eq!(world.apply(kind, (1, 1)), [unknown]);
    // It comes back as a new one, and nothing of before can be taken for it.
    assert_eq!(world.apply(register(0, 0, 3), (1, 1)), [Answer::Registered { epoch: 3 }]);
    let node = world.state.node(node_id(0)).unwrap();
    assert!(node.takes_work() && node.assigned.is_empty());
}

#[test]
fn a_node_that_has_said_hello_since_somebody_looked_is_not_removed() {
    let mut world = busy(3, 0);
    let Kind::RegisterNode(mut again) = register(0, 0, 3) else { unreachable!() };
    again.hello = 8;
    world.apply(Kind::RegisterNode(again), (1, 1));
    let kind = remove(&world.state, 0, true, true);
    let why = "it has been heard of since";
    let refusal = Refusal::NotRemovable { node: node_id(0), why };
    assert_eq!(world.apply(kind, (1, 1)), [Answer::Refused(refusal)]);
}

#[test]
fn a_worker_that_lives_is_cut_off_and_goes_with_its_lease() {
    let mut world = busy(3, 0);
    let member = |control| record::Member {
        node_id: node_id(0).to_bytes(),
        name: "alpha".into(),
        control,
        worker: true,
        ..Default::default()
    };
    let cut = || {
        let node_id = node_id(0).to_bytes();
        Kind::RemoveNode(record::RemoveNode { node_id, cut_off: true, ..Default::default() })
    };
    let refused = |why| [Answer::Refused(Refusal::NotRemovable { node: node_id(0), why })];
    assert_eq!(world.apply(cut(), (1, 1)), refused("it has no lease that could run out"));
    let set = |control| Kind::SetMember(record::SetMember { member: Some(member(control)) });
    let mut of_control = busy(3, 0);
    of_control.apply(set(true), (1, 1));
    assert_eq!(of_control.apply(cut(), (1, 1)), refused("it is a control node"));
    world.apply(set(false), (1, 1));
    assert_eq!(world.apply(cut(), (1, 1)), [Answer::NodeCutOff]);

    assert!(world.state.members().get(node_id(0)).is_none());
    assert_eq!(task(&world).live.len(), 3, "it may run what is placed there");
    assert!(!world.state.node(node_id(0)).unwrap().takes_work(), "and gets nothing more");
    let revoked = Answer::Refused(Refusal::NodeRevoked { node: node_id(0) });
    assert_eq!(world.apply(register(0, 0, 3), (1, 1)), std::slice::from_ref(&revoked));
    assert_eq!(world.apply(resume(0), (1, 1)), [revoked]);
    let kind = remove(&world.state, 0, true, false);
    assert_eq!(world.apply(kind, (1, 1)), refused("its lease has not run out"));
    let kind = lose(&world.state, 0, false).unwrap();
    world.apply(kind, (1, 1));
    assert_eq!(task(&world).queued.len(), 3);
    let kind = remove(&world.state, 0, false, false);
    assert_eq!(world.apply(kind, (1, 1)), [Answer::NodeRemoved { returned: 0 }]);
}
