//! Conversions between `model` and the shared wire forms.

use std::ops::RangeInclusive;

use model::{
    ArraySpec, Because, Element, Ending, JobSpec, NotStarted, OnLost, Outcome, OutputRef, RangeSet,
    Resources, RunId, StopCause, TaskSpec,
};

use crate::{job, record};

/// A message lacks a field that its meaning needs, or holds a value nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub &'static str);

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "message has no valid `{}`", self.0)
    }
}

impl std::error::Error for Invalid {}

/// The value of a field that must be there.
pub fn required<T>(field: Option<T>, name: &'static str) -> Result<T, Invalid> {
    field.ok_or(Invalid(name))
}

/// A set as ranges on the wire.
pub fn ranges(set: &RangeSet) -> Vec<record::Range> {
    set.ranges().map(|range| record::Range { first: *range.start(), last: *range.end() }).collect()
}

/// Ranges on the wire, each as it was written; inverted ones are empty.
pub fn element_ranges(
    ranges: &[record::Range],
) -> impl Iterator<Item = RangeInclusive<u32>> + Clone + '_ {
    ranges.iter().map(|range| range.first..=range.last)
}

impl From<Resources> for job::Resources {
    fn from(r: Resources) -> Self {
        job::Resources { cpu_milli: r.cpu_milli, memory_bytes: r.memory_bytes }
    }
}

impl From<job::Resources> for Resources {
    fn from(r: job::Resources) -> Self {
        Resources { cpu_milli: r.cpu_milli, memory_bytes: r.memory_bytes }
    }
}

impl From<model::Attempt> for job::Attempt {
    fn from(attempt: model::Attempt) -> Self {
        let Element { run, task, index } = attempt.element;
        job::Attempt { run: run.0, task, index, number: attempt.number }
    }
}

impl From<job::Attempt> for model::Attempt {
    fn from(attempt: job::Attempt) -> Self {
        let job::Attempt { run, task, index, number } = attempt;
        model::Attempt { element: Element { run: RunId(run), task, index }, number }
    }
}

impl From<Because> for job::Because {
    fn from(because: Because) -> Self {
        job::Because { actor: because.actor, reason: because.reason }
    }
}

impl From<job::Because> for Because {
    fn from(because: job::Because) -> Self {
        Because { actor: because.actor, reason: because.reason }
    }
}

impl From<&JobSpec> for job::Job {
    fn from(spec: &JobSpec) -> Self {
        job::Job {
            namespace: spec.namespace.clone(),
            owner: spec.owner.clone(),
            run_as: spec.run_as.clone(),
            actor: spec.actor.clone(),
            origin: spec.origin.clone(),
            name: spec.name.clone(),
            tasks: spec.tasks.iter().map(job::Task::from).collect(),
        }
    }
}

impl TryFrom<job::Job> for JobSpec {
    type Error = Invalid;

    fn try_from(job: job::Job) -> Result<Self, Invalid> {
        Ok(JobSpec {
            namespace: job.namespace,
            owner: job.owner,
            run_as: job.run_as,
            actor: job.actor,
            origin: job.origin,
            name: job.name,
            tasks: job.tasks.into_iter().map(TaskSpec::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&TaskSpec> for job::Task {
    fn from(task: &TaskSpec) -> Self {
        let variable = |(name, value): &(String, String)| job::Variable {
            name: name.clone(),
            value: value.clone(),
        };
        job::Task {
            name: task.name.clone(),
            command: task.command.clone(),
            env: task.env.iter().map(variable).collect(),
            cwd: task.cwd.clone(),
            array: task.array.map(job::Array::from),
            resources: Some(task.resources.into()),
            priority: Some(task.priority),
            timeout_ms: task.timeout_ms,
            grace_ms: Some(task.grace_ms),
            success_codes: task.success_codes.clone(),
            on_lost: match task.on_lost {
                OnLost::Requeue => job::OnLost::Requeue,
                OnLost::Fail => job::OnLost::Fail,
                OnLost::Wait => job::OnLost::Wait,
            } as i32,
            at_most_once: task.at_most_once,
        }
    }
}

impl TryFrom<job::Task> for TaskSpec {
    type Error = Invalid;

    fn try_from(task: job::Task) -> Result<Self, Invalid> {
        let on_lost = match task.on_lost() {
            _ if job::OnLost::try_from(task.on_lost).is_err() => return Err(Invalid("on_lost")),
            job::OnLost::Requeue => OnLost::Requeue,
            job::OnLost::Fail => OnLost::Fail,
            job::OnLost::Wait => OnLost::Wait,
        };
        Ok(TaskSpec {
            name: task.name,
            command: task.command,
            env: task.env.into_iter().map(|variable| (variable.name, variable.value)).collect(),
            cwd: task.cwd,
            array: task.array.map(ArraySpec::from),
            resources: required(task.resources, "resources")?.into(),
            // What callers leave out is filled in before; a record without them means zero.
            priority: task.priority.unwrap_or_default(),
            timeout_ms: task.timeout_ms,
            grace_ms: task.grace_ms.unwrap_or_default(),
            success_codes: task.success_codes,
            on_lost,
            at_most_once: task.at_most_once,
        })
    }
}

impl From<ArraySpec> for job::Array {
    fn from(array: ArraySpec) -> Self {
        let ArraySpec { first, last, step, parallel_max } = array;
        job::Array { first, last, step, parallel_max }
    }
}

impl From<job::Array> for ArraySpec {
    fn from(array: job::Array) -> Self {
        let job::Array { first, last, step, parallel_max } = array;
        ArraySpec { first, last, step, parallel_max }
    }
}

impl From<Option<StopCause>> for job::StopCause {
    fn from(cause: Option<StopCause>) -> Self {
        match cause {
            None => job::StopCause::None,
            Some(StopCause::Cancel) => job::StopCause::Cancel,
            Some(StopCause::Timeout) => job::StopCause::Timeout,
            Some(StopCause::Down) => job::StopCause::Down,
        }
    }
}

impl From<job::StopCause> for Option<StopCause> {
    fn from(cause: job::StopCause) -> Self {
        match cause {
            job::StopCause::None => None,
            job::StopCause::Cancel => Some(StopCause::Cancel),
            job::StopCause::Timeout => Some(StopCause::Timeout),
            job::StopCause::Down => Some(StopCause::Down),
        }
    }
}

impl From<Outcome> for job::Outcome {
    fn from(outcome: Outcome) -> Self {
        use job::not_started::Kind;
        use job::outcome::Ending as Wire;
        let not_started =
            |kind: Kind, why| Wire::NotStarted(job::NotStarted { kind: kind as i32, why });
        job::Outcome {
            ending: Some(match outcome.ending {
                Ending::Exited { code } => Wire::Exited(code.unsigned_abs()),
                Ending::Signaled { signal } => Wire::Signaled(signal.unsigned_abs()),
                Ending::NotStarted(why) => match why {
                    NotStarted::Withdrawn => not_started(Kind::Withdrawn, String::new()),
                    NotStarted::NotFound(why) => not_started(Kind::NotFound, why),
                    NotStarted::NotExecutable(why) => not_started(Kind::NotExecutable, why),
                    NotStarted::Refused(why) => not_started(Kind::Refused, why),
                },
                Ending::Gone => Wire::Gone(job::Gone {}),
            }),
            stopped: job::StopCause::from(outcome.stopped) as i32,
            started_us: outcome.started_us,
            ended_us: outcome.ended_us,
            cpu_us: outcome.cpu_us,
            memory_peak_bytes: outcome.memory_peak_bytes,
            output: (outcome.output)
                .map(|at| job::OutputRef { segment: at.segment, offset: at.offset }),
            output_bytes: outcome.output_bytes,
            output_dropped_bytes: outcome.output_dropped_bytes,
            output_truncated: outcome.output_truncated,
        }
    }
}

impl TryFrom<job::Outcome> for Outcome {
    type Error = Invalid;

    fn try_from(outcome: job::Outcome) -> Result<Self, Invalid> {
        use job::not_started::Kind;
        use job::outcome::Ending as Wire;
        let stopped =
            job::StopCause::try_from(outcome.stopped).map_err(|_| Invalid("outcome.stopped"))?;
        let number = |n: u32| i32::try_from(n).map_err(|_| Invalid("outcome.ending"));
        let ending = match required(outcome.ending, "outcome.ending")? {
            Wire::Exited(code) => Ending::Exited { code: number(code)? },
            Wire::Signaled(signal) => Ending::Signaled { signal: number(signal)? },
            Wire::NotStarted(not) => Ending::NotStarted(match Kind::try_from(not.kind) {
                Ok(Kind::Withdrawn) => NotStarted::Withdrawn,
                Ok(Kind::NotFound) => NotStarted::NotFound(not.why),
                Ok(Kind::NotExecutable) => NotStarted::NotExecutable(not.why),
                Ok(Kind::Refused) => NotStarted::Refused(not.why),
                Err(_) => return Err(Invalid("outcome.not_started.kind")),
            }),
            Wire::Gone(_) => Ending::Gone,
        };
        Ok(Outcome {
            ending,
            stopped: stopped.into(),
            started_us: outcome.started_us,
            ended_us: outcome.ended_us,
            cpu_us: outcome.cpu_us,
            memory_peak_bytes: outcome.memory_peak_bytes,
            output: (outcome.output).map(|at| OutputRef { segment: at.segment, offset: at.offset }),
            output_bytes: outcome.output_bytes,
            output_dropped_bytes: outcome.output_dropped_bytes,
            output_truncated: outcome.output_truncated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_survives_the_wire() {
        let mut task = TaskSpec::new(vec!["echo".into(), "hi".into()]);
        task.env = vec![("A".into(), "1".into())];
        task.array = Some(ArraySpec { first: 1, last: 9, step: 2, parallel_max: 3 });
        task.on_lost = OnLost::Wait;
        task.success_codes = vec![3];
        let spec = JobSpec { owner: "ann".into(), tasks: vec![task], ..JobSpec::default() };
        assert_eq!(JobSpec::try_from(job::Job::from(&spec)), Ok(spec));
    }

    #[test]
    fn an_outcome_survives_the_wire() {
        for ending in [
            Ending::Exited { code: 255 },
            Ending::Signaled { signal: 9 },
            Ending::NotStarted(NotStarted::Withdrawn),
            Ending::NotStarted(NotStarted::NotFound("no such file".into())),
            Ending::Gone,
        ] {
            let mut outcome = Outcome::bare(ending);
            outcome.stopped = Some(StopCause::Down);
            outcome.output = Some(OutputRef { segment: 3, offset: 1 << 33 });
            assert_eq!(Outcome::try_from(job::Outcome::from(outcome.clone())), Ok(outcome));
        }
    }

    #[test]
    fn what_nobody_knows_is_invalid() {
        let task = job::Task {
            on_lost: 9,
            resources: Some(job::Resources::default()),
            ..Default::default()
        };
        assert_eq!(TaskSpec::try_from(task), Err(Invalid("on_lost")));
        assert_eq!(Outcome::try_from(job::Outcome::default()), Err(Invalid("outcome.ending")));
    }
}
