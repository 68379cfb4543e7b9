//! `SubmitJob`: makes a run, exactly once for an idempotency key.

use std::sync::Arc;

use imbl::OrdMap;
use model::{JobSpec, RangeSet, RunId, TaskSpec};
use proto::record::SubmitJob;

use crate::context::Context;
use crate::event::{Answer, Event, Refusal};
use crate::run::{Run, TaskRun};
use crate::state::{Keys, State};

pub(crate) fn apply(
    state: &mut State,
    context: &mut Context,
    submit: &SubmitJob,
) -> Result<Answer, Refusal> {
    let job = proto::required(submit.job.clone(), "job")?;
    let spec = JobSpec::try_from(job)?;
    let sound = |task: &TaskSpec| task.array.is_none_or(|a| a.step > 0 && a.first <= a.last);
    if spec.tasks.is_empty() || !spec.tasks.iter().all(sound) {
        return Err(proto::Invalid("tasks").into());
    }
    state.keys.forget_old(context.now_ms);
    let key: Option<Arc<str>> = (!submit.idempotency_key.is_empty())
        .then(|| format!("{}\0{}", spec.owner, submit.idempotency_key).into());
    if let Some(key) = &key {
        if let Some(answer) = state.keys.get(key) {
            return if *answer.payload_hash == *submit.payload_hash {
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
    state.last_run = run;
    if let Some(key) = key {
        state.keys.insert(key, &submit.payload_hash, run, context.now_ms);
    }
    state.runs.insert(run, Arc::new(new_run(spec, context.now_ms)));
    for task in 0..state.run(run).map_or(0, |run| run.tasks.len()) {
        state.requeue(run, task as u32);
    }
    context.events.push(Event::RunCreated { run });
    Ok(Answer::Submitted { run, repeated: false })
}

fn new_run(spec: JobSpec, now_ms: u64) -> Run {
    let task = |task: &TaskSpec| TaskRun {
        queued: RangeSet::from_iter([0..=task.indices().count() - 1]),
        tries: OrdMap::new(),
        live: OrdMap::new(),
        ..TaskRun::default()
    };
    Run {
        tasks: spec.tasks.iter().map(task).collect(),
        spec: Arc::new(spec),
        submitted_ms: now_ms,
        canceled: None,
        started_us: 0,
    }
}
