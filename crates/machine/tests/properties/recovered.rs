//! A cluster that goes on from a snapshot, or without its majority: nothing of before counts, and
//! nothing runs twice for it.

use machine::{Answer, PickRefusal, Refusal};
use model::RunId;
use proto::record::{self, command::Kind};

use crate::steps::{end_recovery, lose, node_id, place, recover, register, report, submit};
use crate::world::{World, restored};

/// Node 0 has a lease, node 2 none; each holds one element, and two wait.
fn running() -> World {
    let mut world = crate::founded();
    for node in [0, 2] {
        world.apply(register(node, 0, 1), (1, 1));
    }
    world.apply(submit(4, 1, 7, 0), (1, 1));
    for node in [0, 2] {
        let kind = place(&world.state, node, 0, 1, false, false).unwrap();
        assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: 1 }]);
    }
    world
}

fn waiting(world: &World) -> (u64, usize) {
    let run = world.state.run(RunId(1)).unwrap();
    (run.tasks[0].waiting(), run.tasks[0].live.len())
}

#[test]
fn what_ran_before_does_not_count_and_is_returned_once_the_waiting_is_over() {
    let mut world = running();
    let late = [0, 2].map(|node| report(&world.state, node, 0, 1, false).unwrap());
    let kind = recover(&world.state, 0, 1);
    assert_eq!(world.apply(kind, (1, 1)), [Answer::Recovering { incarnation: 2 }]);
    for late in late {
        let answer = world.apply(late, (1, 1));
        let Answer::Refused(Refusal::StaleEpoch { current, given: 1, .. }) = answer[0] else {
            panic!("{answer:?}");
        };
        assert_eq!(current, 1 << 32, "above every epoch of the former incarnation");
    }
    assert_eq!(waiting(&world), (2, 2));
    let kind = lose(&world.state, 0, false).unwrap();
    assert!(matches!(world.apply(kind, (1, 1))[..], [Answer::Refused(Refusal::NotLosable { .. })]));

    let end = end_recovery(&world.state, false);
    assert_eq!(world.apply(end.clone(), (1, 1)), [Answer::Recovered]);
    assert_eq!(waiting(&world), (4, 0), "also that of the node which never had a lease");
    let again = Answer::Refused(Refusal::NotRecovering { given: 2 });
    assert_eq!(world.apply(end, (1, 1)), [again]);
}

#[test]
fn nothing_is_placed_before_the_waiting_is_over() {
    let mut world = running();
    let kind = recover(&world.state, 0, 1);
    world.apply(kind, (1, 1));
    // A node that is new, and one that has come back with a new supervisor.
    for (node, epoch) in [(1, (1 << 32) + 1), (0, (1 << 32) + 1)] {
        let answer = world.apply(register(node, 9, 2), (1, 1));
        assert_eq!(answer, [Answer::Registered { epoch }]);
        let kind = place(&world.state, node, 0, 1, false, false).unwrap();
        assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: 0 }]);
    }
    assert_eq!(waiting(&world), (3, 1), "all of the former supervisor is proved gone");
    // Another leader takes it from a snapshot, and waits as well.
    world.state = restored(&world.state, 100);
    assert!(world.state.is_recovering());
    let kind = end_recovery(&world.state, false);
    world.apply(kind, (1, 1));
    let kind = place(&world.state, 0, 0, 2, false, false).unwrap();
    assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: 2 }]);
}

#[test]
fn a_plan_that_is_refused_says_why() {
    let mut world = running();
    let kind = recover(&world.state, 0, 1);
    world.apply(kind, (1, 1));
    world.apply(register(1, 9, 2), (1, 1));
    world.index += 1;
    let kind = place(&world.state, 1, 0, 1, false, false).unwrap();
    let header = record::Header {
        leader_term: 1,
        leader_node: 1,
        incarnation: 2,
        ..record::Header::default()
    };
    let commands = vec![record::Command { kind: Some(kind) }];
    let batch = record::Batch { header: Some(header), commands };
    let events = world.state.apply(world.index, (1, 1), &batch).events;
    let [machine::Event::PickRefused { reason, .. }] = events[..] else { panic!("{events:?}") };
    assert_eq!(reason, PickRefusal::Recovering);
}

#[test]
fn an_incarnation_is_used_once_and_a_batch_of_the_former_one_is_refused_whole() {
    let mut world = running();
    let kind = recover(&world.state, 0, 2);
    world.apply(kind.clone(), (1, 1));
    let stale = Answer::Refused(Refusal::StaleIncarnation { current: 3, given: 3 });
    assert_eq!(world.apply(kind, (1, 1)), [stale]);
    world.index += 1;
    let header = record::Header {
        leader_term: 1,
        leader_node: 1,
        incarnation: 1,
        ..record::Header::default()
    };
    let commands = vec![record::Command { kind: Some(submit(1, 1, 0, 0)) }];
    let batch = record::Batch { header: Some(header), commands };
    let applied = world.state.apply(world.index, (1, 1), &batch);
    assert_eq!(applied.refused, Some(machine::BatchRefused::Incarnation));
    assert_eq!(world.state.last_run(), RunId(1), "nothing of it was done");
}

#[test]
fn keys_and_tokens_stay_and_numbers_that_may_have_been_given_are_not_given_again() {
    let mut world = running();
    world.apply(crate::steps::create_token(0, 0), (1, 1));
    let kind = recover(&world.state, 30, 1);
    world.apply(kind, (1, 1));
    assert!(world.state.tokens().get("t0").is_some());
    let again = world.apply(submit(4, 1, 7, 0), (1, 1));
    assert_eq!(again, [Answer::Submitted { run: RunId(1), repeated: true }]);
    let new = world.apply(submit(1, 1, 0, 0), (1, 1));
    assert_eq!(new, [Answer::Submitted { run: RunId(31), repeated: false }]);
}

#[test]
fn what_waits_for_its_node_stays_until_that_proves_it_gone() {
    let mut world = crate::founded();
    world.apply(register(0, 0, 1), (1, 1));
    world.apply(submit(1, 1, 0, 2), (1, 1));
    let kind = place(&world.state, 0, 0, 1, false, false).unwrap();
    world.apply(kind, (1, 1));
    let kind = recover(&world.state, 0, 1);
    world.apply(kind, (1, 1));
    let kind = end_recovery(&world.state, false);
    world.apply(kind, (1, 1));
    assert_eq!(waiting(&world), (0, 1));
    let node = world.state.node(node_id(0)).unwrap();
    assert!(node.is_lost && node.kept_seq == node.last_seq);
    world.apply(register(0, 9, 1), (1, 1));
    assert_eq!(waiting(&world), (1, 0));
}

#[test]
fn what_was_being_cancelled_is_canceled() {
    let mut world = running();
    let kind = crate::steps::cancel(&world.state, 0, 1, 0);
    world.apply(kind, (1, 1));
    let kind = recover(&world.state, 0, 1);
    world.apply(kind, (1, 1));
    assert_eq!(waiting(&world), (0, 2));
    let kind = end_recovery(&world.state, false);
    world.apply(kind, (1, 1));
    assert!(world.state.runs().is_empty(), "nothing of it is left");
    assert_eq!(world.ended.len(), 4);
}

#[test]
fn a_recovery_without_a_meaning_is_refused() {
    let mut world = running();
    let Kind::Recover(sound) = recover(&world.state, 0, 1) else { unreachable!() };
    for broken in [
        record::Recover { how: "submit".to_owned(), ..sound.clone() },
        record::Recover { incarnation: 1 << 16, ..sound.clone() },
        record::Recover { last_run: 1 << 48, ..sound },
    ] {
        let answer = world.apply(Kind::Recover(broken), (1, 1));
        assert!(matches!(answer[..], [Answer::Refused(Refusal::Invalid(_))]), "{answer:?}");
    }
    assert!(!world.state.is_recovering());
}
