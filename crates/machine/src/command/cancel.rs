//! `Cancel`: what waits ends at once, what is placed is stopped.

use std::sync::Arc;

use model::{Because, JobSpec, Outcome, RunId, StopCause, TaskState};
use proto::record::Cancel;

use crate::change::{Action, Change};
use crate::context::Context;
use crate::end;
use crate::event::{Answer, Refusal};
use crate::give_up::{self, GiveUp};
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
    let spec = run.spec.clone();
    let (mut ended, mut stopping, mut already_ended) = (0, 0, 0);
    for task in tasks {
        let count = spec.tasks[task as usize].indices().count();
        let wanted = match cancel.ordinals.is_empty() {
            true => spec.tasks[task as usize].ordinals(None),
            false => proto::element_ranges(&cancel.ordinals)
                .map(|range| *range.start()..=(*range.end()).min(count - 1))
                .collect(),
        };
        let give_up = GiveUp {
            run: run_id,
            task,
            wanted: &wanted,
            state: TaskState::Canceled,
            stop: Some(StopCause::Cancel),
            because: &because,
            failure: (Outcome::CANCELED_EXIT_CODE, "canceled before it started"),
        };
        let (now, soon) = give_up::apply(state, context, &give_up);
        ended += now;
        stopping += soon;
        already_ended += wanted.len() - now - soon;
    }
    end::run_if_over(state, context, run_id);
    let on = on(cancel, &spec);
    let because = cancel.because.clone().unwrap_or_default();
    context.changed(Change::new(Action::Cancel, on, &because, cancel.from.as_ref()));
    Ok(Answer::Canceled { ended, stopping, already_ended })
}

/// What it is done to, as people write it; of many elements only how many.
fn on(cancel: &Cancel, spec: &JobSpec) -> String {
    let Some(task) = cancel.task else { return cancel.run.to_string() };
    let array = spec.tasks[task as usize].indices();
    let name = &spec.tasks[task as usize].name;
    match &cancel.ordinals[..] {
        [one] if one.last < array.count() && one.first == one.last => {
            format!("{}/{name}[{}]", cancel.run, array.index(one.first))
        }
        [one] if one.last < array.count() && one.first < one.last => {
            let (first, last) = (array.index(one.first), array.index(one.last));
            format!("{}/{name}[{first}-{last}]", cancel.run)
        }
        [] => format!("{}/{name}", cancel.run),
        many => format!("{}/{name}, {} ranges", cancel.run, many.len()),
    }
}
