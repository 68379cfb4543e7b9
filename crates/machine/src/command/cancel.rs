//! `Cancel`: what waits ends at once, what is placed is stopped.

use std::sync::Arc;

use model::{
    Attempt, Because, Element, NodeId, Outcome, RangeSet, RunId, StopCause, TaskPosition, TaskState,
};
use proto::record::Cancel;

use crate::context::Context;
use crate::end;
use crate::event::{Answer, Event, Refusal};
use crate::run::Failure;
use crate::state::State;

pub(crate) fn apply(
    state: &mut State,
    context: &mut Context,
    cancel: &Cancel,
) -> Result<Answer, Refusal> {
    let run_id = RunId(cancel.run);
    let run = state.run_mut(run_id).ok_or(Refusal::UnknownRun { run: run_id })?;
    let because: Arc<Because> =
        Arc::new(cancel.because.clone().map(Because::from).unwrap_or_default());
    let tasks = match cancel.task {
        None => 0..run.tasks.len() as u32,
        Some(task) if (task as usize) < run.tasks.len() => task..task + 1,
        Some(task) => return Err(Refusal::UnknownTask { run: run_id, task }),
    };
    if cancel.task.is_none() && cancel.ordinals.is_empty() {
        run.canceled.get_or_insert_with(|| because.clone());
    }
    let mut answer = (0, 0, 0);
    for task in tasks {
        let (ended, stopping, before) = cancel_task(state, context, run_id, task, cancel, &because);
        answer = (answer.0 + ended, answer.1 + stopping, answer.2 + before);
    }
    end::run_if_over(state, context, run_id);
    let (ended, stopping, already_ended) = answer;
    Ok(Answer::Canceled { ended, stopping, already_ended })
}

/// How many were ended, are being stopped, and had ended before.
fn cancel_task(
    state: &mut State,
    context: &mut Context,
    run_id: RunId,
    position: TaskPosition,
    cancel: &Cancel,
    because: &Arc<Because>,
) -> (u64, u64, u64) {
    let Some(run) = state.run_mut(run_id) else { return (0, 0, 0) };
    let array = run.spec.tasks[position as usize].indices();
    let task = &mut run.tasks[position as usize];
    let all = RangeSet::from_iter([0..=array.count() - 1]);
    let wanted = match cancel.ordinals.is_empty() {
        true => all,
        false => proto::element_ranges(&cancel.ordinals)
            .map(|range| *range.start()..=(*range.end()).min(array.count() - 1))
            .collect(),
    };
    let mut ended = RangeSet::new();
    let mut stops: Vec<(NodeId, Attempt)> = Vec::new();
    let mut live_count = 0;
    for range in wanted.ranges() {
        ended.append_common(&task.queued, range.clone());
        let ordinals: Vec<u32> = task.live.range(range).map(|(&ordinal, _)| ordinal).collect();
        live_count += ordinals.len() as u64;
        for ordinal in ordinals {
            let Some(live) = task.live.get_mut(&ordinal) else { continue };
            if live.stop.is_none() {
                live.stop = Some((StopCause::Cancel, because.clone()));
                let element = Element { run: run_id, task: position, index: array.index(ordinal) };
                stops.push((live.node, Attempt { element, number: live.number }));
            }
        }
    }
    for range in ended.ranges() {
        task.queued.remove_range(range.clone());
        let tried: Vec<u32> = task.tries.range(range).map(|(&ordinal, _)| ordinal).collect();
        for ordinal in tried {
            task.tries.remove(&ordinal);
        }
    }
    task.count_ended(TaskState::Canceled, ended.len());
    if let Some(ordinal) = ended.first() {
        let summary = "canceled before it started".to_owned();
        task.note_failure(Failure { ordinal, exit_code: Outcome::CANCELED_EXIT_CODE, summary });
    }
    let counts = (ended.len(), live_count, wanted.len() - ended.len() - live_count);
    state.requeue(run_id, position);
    push_events(context, run_id, position, ended, stops, because);
    counts
}

fn push_events(
    context: &mut Context,
    run: RunId,
    task: TaskPosition,
    ordinals: RangeSet,
    mut stops: Vec<(NodeId, Attempt)>,
    because: &Arc<Because>,
) {
    if !ordinals.is_empty() {
        let (state, because) = (TaskState::Canceled, because.clone());
        context.events.push(Event::ElementsEnded { run, task, ordinals, state, because });
    }
    stops.sort();
    for on_node in stops.chunk_by(|a, b| a.0 == b.0) {
        let attempts = on_node.iter().map(|(_, attempt)| *attempt).collect();
        let (node, cause) = (on_node[0].0, StopCause::Cancel);
        context.events.push(Event::Stop { node, attempts, cause });
    }
}
