//! Picks of a plan that no longer hold: each is refused for its own reason, and nothing else of the
//! plan is.

use machine::{Event, PickRefusal};
use model::RunId;
use proto::record::{self, Batch, Command, Header, Pick, Range, command::Kind};

use crate::steps::{cancel, node_id, place, register, report, submit};
use crate::world::World;

fn pick(run: u64, task: u32, first: u32, last: u32) -> Pick {
    Pick { run, task, ordinals: vec![Range { first, last }], ahead: false }
}

fn placing(epoch: u64, picks: Vec<Pick>) -> Kind {
    Kind::Place(record::Place { node_id: node_id(0).to_bytes(), epoch, picks })
}

/// Commits commands as one batch: how many elements were placed, and what was refused.
fn commit(world: &mut World, kinds: Vec<Kind>) -> (usize, Vec<(RunId, PickRefusal)>) {
    world.index += 1;
    let header = Header { leader_term: 1, leader_node: 1, incarnation: 1, ..Header::default() };
    let commands = kinds.into_iter().map(|kind| Command { kind: Some(kind) }).collect();
    let batch = Batch { header: Some(header), commands };
    let applied = world.state.apply(world.index, (1, 1), &batch);
    assert_eq!(world.state.check_invariants(), Vec::<String>::new());
    let (mut placed, mut refused) = (0, Vec::new());
    for event in applied.events {
        match event {
            Event::Assigned { items, .. } => placed += items.len(),
            Event::PickRefused { run, reason } => refused.push((run, reason)),
            _ => {}
        }
    }
    (placed, refused)
}

#[test]
fn what_no_longer_holds_is_refused_for_its_reason_and_the_rest_is_placed() {
    let mut world = crate::founded();
    world.apply(register(0, 0, 4), (1, 1));
    world.apply(submit(9, 1, 0, 0), (1, 1)); // Run 1.
    world.apply(submit(9, 1, 0, 3), (1, 1)); // Run 2: two at once.
    let picks = vec![
        pick(1, 0, 0, 0),  // Holds.
        pick(1, 0, 0, 1),  // The first of them is placed now.
        pick(1, 7, 1, 1),  // There is no such task.
        pick(1, 0, 2, 1),  // No range.
        pick(1, 0, 1, 8),  // More than there are processors.
        pick(2, 0, 0, 2),  // More than two at once.
        pick(99, 0, 0, 0), // Ended long ago.
        pick(2, 0, 0, 1),  // Holds.
    ];
    use PickRefusal::*;
    let refused = [(1, NotQueued), (1, Invalid), (1, Invalid), (1, NoRoom), (2, Parallel)];
    let mut refused = refused.map(|(run, reason)| (RunId(run), reason)).to_vec();
    refused.push((RunId(99), RunEnded));
    assert_eq!(commit(&mut world, vec![placing(1, picks)]), (3, refused));

    // Canceled with one of its elements still there.
    let all = cancel(&world.state, 0, 1, 0);
    commit(&mut world, vec![all]);
    let refused = vec![(RunId(1), RunCanceled)];
    assert_eq!(commit(&mut world, vec![placing(1, vec![pick(1, 0, 1, 1)])]), (0, refused));

    // Made for another epoch: nothing of it holds.
    let picks = vec![pick(2, 0, 2, 2), pick(2, 0, 3, 3)];
    let refused = vec![(RunId(2), NodeEpoch), (RunId(2), NodeEpoch)];
    assert_eq!(commit(&mut world, vec![placing(7, picks)]), (0, refused));
}

#[test]
fn what_came_back_in_the_same_batch_waits_for_the_next() {
    let mut world = crate::founded();
    world.apply(register(0, 0, 2), (1, 1));
    world.apply(submit(1, 1, 0, 0), (1, 1));
    let kind = place(&world.state, 0, 0, 1, false, false).unwrap();
    let gone = |world: &World| report(&world.state, 0, 0, 5, false).unwrap();
    let again = || placing(1, vec![pick(1, 0, 0, 0)]);
    assert_eq!(commit(&mut world, vec![kind]), (1, vec![]));
    // Placed, lost, placed: the second and the third in one batch are two attempts of two batches.
    let lost = gone(&world);
    assert_eq!(commit(&mut world, vec![lost, again()]), (1, vec![]));
    let attempt = proto::job::Attempt { run: 1, task: 0, index: 5, number: 3 };
    let outcome = proto::job::Outcome {
        ending: Some(proto::job::outcome::Ending::Gone(proto::job::Gone {})),
        ..Default::default()
    };
    let end = record::End { attempt: Some(attempt), outcome: Some(outcome) };
    let ends = Kind::Report(record::Report {
        node_id: node_id(0).to_bytes(),
        epoch: 1,
        ends: vec![end],
        ..Default::default()
    });
    let lost = gone(&world);
    let refused = vec![(RunId(1), PickRefusal::JustReturned)];
    assert_eq!(commit(&mut world, vec![lost, again(), ends, again()]), (1, refused));
}
