//! `TurnAway`: no node had room for elements that do not want to wait for it.
//!
//! Whether there was room is the leader's finding; here it is checked that the job asks for this,
//! and that they still wait for their first node.

use std::sync::Arc;

use model::{Because, RangeSet, RunId, TaskState, WhenFull};
use proto::record::TurnAway;

use crate::context::Context;
use crate::end;
use crate::event::{Answer, Refusal};
use crate::give_up::{self, GiveUp};
use crate::state::State;

pub(crate) fn apply(
    state: &mut State,
    context: &mut Context,
    turn: &TurnAway,
) -> Result<Answer, Refusal> {
    let (run_id, position) = (RunId(turn.run), turn.task);
    let run = state.runs.get(run_id).ok_or(Refusal::UnknownRun { run: run_id })?;
    let unknown = Refusal::UnknownTask { run: run_id, task: position };
    let spec = run.spec.tasks.get(position as usize).ok_or(unknown)?;
    if spec.placement.when_full != WhenFull::Fail {
        return Err(proto::Invalid("when_full").into());
    }
    let task = &run.tasks[position as usize];
    let mut wanted = RangeSet::new();
    for range in proto::element_ranges(&turn.ordinals).filter(|range| !range.is_empty()) {
        wanted.append_common(&task.queued, range.clone());
        task.tries.range(range).for_each(|(ordinal, _)| _ = wanted.remove(*ordinal));
    }
    let give_up = GiveUp {
        run: run_id,
        task: position,
        wanted: &wanted,
        state: TaskState::Dead,
        stop: None,
        because: &Arc::new(Because::new("placement", "no node had room for it")),
        failure: (125, "dead: no node had room for it"),
    };
    let (count, _) = give_up::apply(state, context, &give_up);
    if count > 0 {
        give_up::if_too_many_failed(state, context, run_id, position);
    }
    end::run_if_over(state, context, run_id);
    Ok(Answer::TurnedAway { count })
}
