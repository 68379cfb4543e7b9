//! Random command sequences: whatever comes, the invariants hold, every element ends once, fences
//! grow, and a second machine that applies the same batches is the same, from the first or from a
//! snapshot on.

#![allow(clippy::unwrap_used)]

mod drained;
mod full;
mod members;
mod naive;
mod recovered;
mod refused;
mod steps;
mod store;
mod world;

use machine::{Answer, State};
use model::{RunId, TaskSpec, TaskState};
use proptest::prelude::*;
use proto::record::{self, Batch, Header, command::Kind};
use steps::{cancel, create_token, node_id, place, register, report, revoke_token, step, submit};
use world::{World, restored, told};

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_the_invariants_hold(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::default();
        let found = record::Found { cluster_id: vec![1; 16], incarnation: 1 };
        world.apply(Kind::Found(found), (1, 1));
        for step in steps {
            world.step(step);
        }
        world.finish();

        let mut second = State::new();
        for (i, batch) in world.batches.iter().enumerate() {
            second.apply(i as u64 + 1, (1, 1), batch);
        }
        prop_assert_eq!(format!("{second:?}"), format!("{:?}", world.state));
    }

    #[test]
    fn a_machine_from_a_snapshot_goes_on_like_one_that_never_stopped(
        steps in prop::collection::vec(step(), 1..120),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut world = founded();
        for step in steps {
            world.step(step);
        }
        world.finish();

        let cut = cut.index(world.batches.len());
        let (before, after) = world.batches.split_at(cut);
        let mut first = State::new();
        for (batch, index) in before.iter().zip(1..) {
            first.apply(index, (1, 1), batch);
        }
        let mut second = restored(&first, 100);
        for (batch, index) in after.iter().zip(cut as u64 + 1..) {
            let (one, other) = (first.apply(index, (1, 1), batch), second.apply(index, (1, 1), batch));
            prop_assert_eq!(format!("{one:?}"), format!("{other:?}"), "batch {}", index);
            naive::check(&second);
            if index % 16 == 0 {
                prop_assert_eq!(told(&first), told(&second), "after batch {}", index);
            }
        }
        prop_assert_eq!(told(&first), told(&second));
    }
}

fn founded() -> World {
    let mut world = World::default();
    let found = record::Found { cluster_id: vec![1; 16], incarnation: 1 };
    world.apply(Kind::Found(found), (1, 1));
    world
}

#[test]
fn a_key_gives_its_first_answer_again_and_refuses_another_payload() {
    let mut world = founded();
    let run = RunId(1);
    let first = world.apply(submit(3, 1, 7, 0), (1, 1));
    assert_eq!(first, [Answer::Submitted { run, repeated: false }]);
    let again = world.apply(submit(3, 1, 7, 0), (1, 1));
    assert_eq!(again, [Answer::Submitted { run, repeated: true }]);
    let other = world.apply(submit(4, 1, 7, 0), (1, 1));
    assert_eq!(other, [Answer::Refused(machine::Refusal::KeyUsed { run })]);
    assert_eq!(world.state.last_run(), run);
}

#[test]
fn a_token_is_there_until_it_is_revoked_or_its_time_is_over() {
    let mut world = founded();
    let there = |world: &World, id: &str| world.state.tokens().get(id).is_some();
    let made = world.apply(create_token(0, 0), (1, 1));
    assert_eq!(made, [Answer::TokenCreated { expires_ms: 0 }]);
    // A second of its id, and one of its name.
    for which in [0, 1] {
        let name = "n0".to_owned();
        let there = Answer::Refused(machine::Refusal::TokenThere { name });
        assert_eq!(world.apply(create_token(which, 0), (1, 1)), [there]);
    }
    let Answer::TokenCreated { expires_ms } = world.apply(create_token(2, 100), (1, 1))[0] else {
        panic!("it is refused");
    };
    assert_eq!(expires_ms, world.state.time_ms() + 100);
    assert_eq!(world.state.next_ms(), Some(expires_ms), "the leader brings the time");
    world.time_ms = expires_ms - 2;
    world.apply(Kind::Wake(record::Wake {}), (1, 1));
    assert!(there(&world, "t2"));
    world.apply(Kind::Wake(record::Wake {}), (1, 1));
    assert!(!there(&world, "t2") && there(&world, "t0"));
    assert_eq!(world.apply(revoke_token(0), (1, 1)), [Answer::TokenRevoked]);
    let unknown = Answer::Refused(machine::Refusal::UnknownToken { id: "t0".into() });
    assert_eq!(world.apply(revoke_token(0), (1, 1)), [unknown]);
    // Its name is free again.
    assert!(matches!(world.apply(create_token(1, 0), (1, 1))[..], [Answer::TokenCreated { .. }]));
}

#[test]
fn who_did_what_to_what_is_told() {
    let mut world = founded();
    let because = || Some(proto::job::Because { actor: "user:ann".into(), reason: "why".into() });
    let from = || Some(record::From { token: "t1".into(), address: "127.0.0.1:9".into() });
    world.apply(submit(5, 1, 0, 0), (1, 1));
    world.index += 1;
    let ordinals = vec![record::Range { first: 1, last: 2 }];
    let cancel =
        record::Cancel { run: 1, task: Some(0), ordinals, because: because(), from: from() };
    let note =
        record::Note { action: "purge".into(), on: "all".into(), because: because(), from: from() };
    let commands = [Kind::Cancel(cancel), Kind::Note(note), Kind::Note(record::Note::default())];
    let commands = commands.map(|kind| record::Command { kind: Some(kind) }).into();
    let header = Header { leader_term: 1, leader_node: 1, incarnation: 1, ..Header::default() };
    let batch = Batch { header: Some(header), commands };
    let applied = world.state.apply(world.index, (1, 1), &batch);
    let told = applied.events.iter().filter_map(|event| match event {
        machine::Event::Changed(change) => Some(format!(
            "{} {}: {} {}, {} {}",
            change.actor, change.reason, change.action, change.on, change.token, change.address
        )),
        _ => None,
    });
    let expected = [
        "user:ann why: cancel 1/main[8-11], t1 127.0.0.1:9",
        "user:ann why: purge all, t1 127.0.0.1:9",
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert!(matches!(applied.answers[..], [_, Answer::Noted, Answer::Refused(_)]));
}

#[test]
fn a_node_is_never_given_more_seats_than_it_has() {
    let mut world = founded();
    world.apply(register(0, 0, 2), (1, 1));
    world.apply(submit(9, 1, 0, 0), (1, 1));
    let kind = place(&world.state, 0, 0, 3, false, false).unwrap();
    assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: 0 }]);
    let kind = place(&world.state, 0, 0, 2, false, false).unwrap();
    assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: 2 }]);
    let kind = place(&world.state, 0, 0, 4, true, false).unwrap();
    assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: 4 }]);
}

#[test]
fn a_new_supervisor_voids_the_old_epoch_and_returns_its_attempts() {
    let mut world = founded();
    world.apply(register(0, 0, 2), (1, 1));
    world.apply(submit(2, 1, 0, 0), (1, 1));
    let kind = place(&world.state, 0, 0, 2, false, false).unwrap();
    world.apply(kind, (1, 1));
    let late = report(&world.state, 0, 0, 1, false).unwrap();
    assert_eq!(world.apply(register(0, 1, 2), (1, 1)), [Answer::Registered { epoch: 2 }]);
    let task = &world.state.run(RunId(1)).unwrap().tasks[0];
    assert_eq!((task.queued.len(), task.live.len()), (2, 0));
    assert!(matches!(
        world.apply(late, (1, 1))[..],
        [Answer::Refused(machine::Refusal::StaleEpoch { current: 2, given: 1, .. })]
    ));
}

#[test]
fn a_task_that_kills_its_supervisor_stops_after_its_losses() {
    let mut world = founded();
    world.apply(register(0, 0, 1), (1, 1));
    world.apply(submit(1, 1, 0, 0), (1, 1));
    let mut lives = 0;
    while !world.state.runs().is_empty() {
        let kind = place(&world.state, 0, 0, 1, false, false).unwrap();
        world.apply(kind, (1, 1));
        lives += 1;
        world.apply(register(0, lives, 1), (1, 1));
    }
    assert_eq!(u32::from(lives), TaskSpec::LOSSES_MAX + 1);
}

#[test]
fn a_newer_level_is_not_applied() {
    let header = Header { level: machine::LEVEL + 1, ..Header::default() };
    let bytes = machine::encode(&Batch { header: Some(header), commands: vec![] });
    let error = machine::decode(5, &bytes).unwrap_err();
    assert!(error.to_string().contains("newer version"), "{error}");
    assert!(machine::decode(5, b"\xff\xff").is_err());
}

#[test]
fn what_a_rerun_takes_over_gives_nothing_up() {
    let mut world = founded();
    world.apply(register(0, 0, 3), (1, 1));
    // One of 4 may fail; the rerun of two takes over two that have, and runs at most 2 at once.
    let Kind::SubmitJob(mut again) = submit(4, 1, 0, 24 + 3) else { unreachable!() };
    let ordinals = vec![record::Range { first: 0, last: 1 }];
    let taken = vec![record::StateCount { state: "failed".into(), count: 2 }];
    let tasks = vec![record::RerunTask { ordinals, taken, failure: None }];
    again.rerun = Some(record::Rerun { of: 1, tasks });
    world.apply(Kind::SubmitJob(again), (1, 1));
    for left in [1, 0] {
        let kind = place(&world.state, 0, 0, 1, false, false).unwrap();
        assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: 1 }]);
        let succeeded = report(&world.state, 0, 0, 1, false).unwrap();
        world.apply(succeeded, (1, 1));
        let waiting = world.state.run(RunId(1)).map_or(0, |run| run.tasks[0].waiting());
        assert_eq!(waiting, left, "a success ends nothing else");
    }
}

#[test]
fn a_rerun_may_fail_as_often_as_a_run() {
    let mut world = founded();
    world.apply(register(0, 0, 3), (1, 1));
    // One of 4 may fail; two had, in the run that is repeated.
    let Kind::SubmitJob(mut again) = submit(4, 1, 0, 24) else { unreachable!() };
    let ordinals = vec![record::Range { first: 0, last: 1 }];
    let taken = vec![record::StateCount { state: "failed".into(), count: 2 }];
    let tasks = vec![record::RerunTask { ordinals, taken, failure: None }];
    again.rerun = Some(record::Rerun { of: 1, tasks });
    world.apply(Kind::SubmitJob(again), (1, 1));
    let kind = place(&world.state, 0, 0, 1, false, false).unwrap();
    world.apply(kind, (1, 1));
    let failed = report(&world.state, 0, 0, 3, false).unwrap();
    world.apply(failed, (1, 1));
    assert_eq!(world.state.run(RunId(1)).map(|run| run.tasks[0].waiting()), Some(1));
}

#[test]
fn what_is_cancelled_while_its_start_is_refused_is_canceled() {
    let mut world = founded();
    world.apply(register(0, 0, 2), (1, 1));
    world.apply(submit(2, 1, 0, 0), (1, 1));
    let kind = place(&world.state, 0, 0, 1, false, false).unwrap();
    world.apply(kind, (1, 1));
    world.apply(cancel(&world.state, 0, 0, 0), (1, 1));
    let lacked = report(&world.state, 0, 0, 7, false).unwrap();
    world.apply(lacked, (1, 1));
    let ended = world.state.run(RunId(1)).unwrap().tasks[0].ended.clone();
    assert_eq!(ended, [(TaskState::Canceled, 1)].into());
}

#[test]
fn what_a_smaller_node_can_never_hold_keeps_no_seat_from_others() {
    let mut world = founded();
    world.apply(register(0, 0, 3), (1, 1));
    // The first has all seats; behind it wait one of its size and a small one.
    for cpus in [3, 3, 1] {
        world.apply(submit(1, cpus, 0, 0), (1, 1));
        let ahead = world.state.last_run() > RunId(1);
        let kind = place(&world.state, 0, 0, 1, ahead, false).unwrap();
        assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: 1 }]);
    }
    world.apply(register(0, 0, 2), (1, 1));
    let ended = report(&world.state, 0, 0, 1, false).unwrap();
    world.apply(ended, (1, 1));
    let node = world.state.node(node_id(0)).unwrap();
    assert_eq!((node.seated.cpu_milli, node.ahead), (1_000, 1));
}
