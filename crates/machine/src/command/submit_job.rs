//! `SubmitJob`: makes a run, exactly once for an idempotency key.

use std::sync::Arc;

use model::{JobSpec, RunId, TaskSpec, TaskState};
use proto::job::Because;
use proto::record::{Rerun, SubmitJob};

use crate::change::{Action, Change};
use crate::context::Context;
use crate::event::{Answer, Event, Refusal};
use crate::keys::{KeyAnswer, KeyHash, Keys, PayloadHash};
use crate::run::{Failure, Run, TaskRun};
use crate::runs::Kept;
use crate::state::{Head, State};
use crate::timers::{self, Timer};

pub(crate) fn apply(
    state: &mut State,
    context: &mut Context,
    submit: &SubmitJob,
) -> Result<Answer, Refusal> {
    let job = proto::required(submit.job.as_ref(), "job")?;
    let spec = JobSpec::try_from(job.clone())?;
    let sound = |task: &TaskSpec| task.array.is_none_or(|a| a.step > 0 && a.first <= a.last);
    if spec.tasks.is_empty() || !spec.tasks.iter().all(sound) {
        return Err(proto::Invalid("tasks").into());
    }
    let now_ms = context.now_ms;
    state.keys.forget_old(now_ms);
    let payload_hash = payload_hash(&submit.payload_hash);
    let key = (!submit.idempotency_key.is_empty())
        .then(|| KeyHash::of(&spec.owner, &submit.idempotency_key));
    if let Some(key) = key {
        if let Some(answer) = state.keys.get(key) {
            return if answer.payload_hash == payload_hash {
                Ok(Answer::Submitted { run: answer.run, repeated: true })
            } else {
                Err(Refusal::KeyUsed { run: answer.run })
            };
        }
        if state.keys.len() >= Keys::MAX {
            return Err(Refusal::KeysFull);
        }
    }
    let run = RunId(state.last_run.0 + 1);
    let timers: Vec<Timer> = (spec.tasks.iter().zip(0..))
        .flat_map(|(task, position)| timers::of_task(task, now_ms, run, position))
        .collect();
    let (head, kept) = match &submit.rerun {
        None => (Head::fresh(&spec), Kept::fresh(now_ms, job)),
        Some(rerun) => {
            let again = repeat(spec, rerun, now_ms)?;
            let waiting = again.tasks.iter().map(TaskRun::waiting).sum();
            (Head::new(&again.spec, waiting), Kept::opened(again))
        }
    };
    timers.into_iter().for_each(|timer| state.timers.set(timer));
    let tasks = head.shapes.len() as u32;
    state.take_in(run, kept, &head);
    if submit.rerun.is_some() {
        (0..tasks).for_each(|task| state.requeue(run, task));
    }
    state.last_run = run;
    if let Some(key) = key {
        state.keys.insert(key, KeyAnswer { payload_hash, run, at_ms: now_ms });
    }
    context.events.push(Event::RunCreated { run });
    let (action, on) = match &submit.rerun {
        None => (Action::Submit, run.to_string()),
        Some(rerun) => (Action::Rerun, format!("{} as {run}", rerun.of)),
    };
    let because = Because { actor: job.actor.clone(), reason: String::new() };
    context.changed(Change::new(action, on, &because, submit.from.as_ref()));
    Ok(Answer::Submitted { run, repeated: false })
}

/// The first half of a hash; what is shorter is filled up.
fn payload_hash(hash: &[u8]) -> PayloadHash {
    let mut short = PayloadHash::default();
    short.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
    short
}

/// A run that repeats a part of another and takes over the results of the rest.
fn repeat(spec: JobSpec, rerun: &Rerun, now_ms: u64) -> Result<Run, Refusal> {
    let unfit = || Refusal::Invalid(proto::Invalid("rerun"));
    let mut run = Run::new(Arc::new(spec), now_ms);
    run.rerun_of = Some(RunId(rerun.of));
    if rerun.tasks.len() != run.tasks.len() {
        return Err(unfit());
    }
    for (task, from) in run.tasks.iter_mut().zip(&rerun.tasks) {
        let all = std::mem::take(&mut task.queued);
        for range in proto::element_ranges(&from.ordinals) {
            task.queued.append_common(&all, range);
        }
        for count in &from.taken {
            let state: TaskState = count.state.parse().map_err(|()| unfit())?;
            task.count_ended(state, count.count);
        }
        task.taken_failed = task.failed_count();
        task.first_failure = from.failure.as_ref().map(|failure| Failure {
            ordinal: failure.ordinal,
            exit_code: failure.exit_code,
            summary: failure.summary.clone(),
        });
        if task.queued.len() + task.ended_count() != all.len() {
            return Err(unfit());
        }
    }
    if run.has_ended() { Err(unfit()) } else { Ok(run) }
}
