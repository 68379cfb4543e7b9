//! Headroom that a node keeps, and what does not wait for room: the machine checks both.

use machine::Answer;
use model::{RunId, TaskState};
use proto::record::{self, Range, command::Kind};

use crate::founded;
use crate::steps::{place, register, report, submit};

/// A flavor that keeps a fifth of a node free and does not wait, and one that is tried again too.
const DOES_NOT_WAIT: u8 = 96;
const TRIED_AGAIN: u8 = 96 + 12;

fn turn_away(run: u64, task: u32, first: u32, last: u32) -> Kind {
    Kind::TurnAway(record::TurnAway { run, task, ordinals: vec![Range { first, last }] })
}

#[test]
fn a_node_keeps_its_headroom_and_takes_nothing_ahead_of_it() {
    let mut world = founded();
    world.apply(register(0, 0, 5), (1, 1));
    world.apply(submit(9, 1, 0, DOES_NOT_WAIT), (1, 1));
    for (count, ahead, placed) in [(5, false, 0), (4, false, 4), (1, false, 0), (1, true, 0)] {
        let kind = place(&world.state, 0, 0, count, ahead, false).unwrap();
        assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: placed }]);
    }
}

#[test]
fn only_what_never_had_a_node_and_does_not_want_to_wait_is_turned_away() {
    let mut world = founded();
    world.apply(register(0, 0, 5), (1, 1));
    world.apply(submit(6, 1, 0, TRIED_AGAIN), (1, 1)); // Run 1.
    world.apply(submit(6, 1, 0, 0), (1, 1)); // Run 2 waits.
    let kind = place(&world.state, 0, 1, 2, false, false).unwrap();
    assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: 2 }]);
    // The first of them fails and waits for its next try; the second runs.
    let failed = report(&world.state, 0, 0, 3, false).unwrap();
    world.apply(failed, (1, 1));
    assert_eq!(world.apply(turn_away(1, 0, 0, 3), (1, 1)), [Answer::TurnedAway { count: 2 }]);
    let run = world.state.run(RunId(1)).unwrap();
    let task = &run.tasks[0];
    assert_eq!(task.ended, [(TaskState::Dead, 2)].into());
    assert_eq!((task.delayed.len(), task.live.len(), task.queued.len()), (1, 1, 2));
    let failure = task.first_failure.as_ref().unwrap();
    assert_eq!(
        (failure.exit_code, failure.summary.as_str()),
        (125, "dead: no node had room for it")
    );
    for wrong in [turn_away(2, 0, 0, 5), turn_away(1, 1, 0, 5), turn_away(9, 0, 0, 5)] {
        assert!(matches!(world.apply(wrong, (1, 1))[..], [Answer::Refused(_)]));
    }
    assert_eq!(world.apply(turn_away(1, 0, 5, 4), (1, 1)), [Answer::TurnedAway { count: 0 }]);
}
