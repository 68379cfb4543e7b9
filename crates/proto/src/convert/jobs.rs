//! Conversions of jobs.

use model::job::{Conditions, Reason};
use model::{
    ArraySpec, Items, ItemsKind, JobSpec, Keep, MaxFailed, OnLost, Placement, Retention, Retries,
    Runner, Secret, TaskSpec, Warn,
};

use super::{Invalid, required};
use crate::job;

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
            labels: variables(&spec.labels),
            retention: spec.retention.map(job::Retention::from),
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
            labels: pairs(job.labels),
            retention: job.retention.map(Retention::from),
        })
    }
}

impl From<&TaskSpec> for job::Task {
    fn from(task: &TaskSpec) -> Self {
        job::Task {
            name: task.name.clone(),
            command: task.command.clone(),
            env: variables(&task.env),
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
            pending_timeout_ms: task.pending_timeout_ms,
            start_timeout_ms: task.start_timeout_ms,
            total_timeout_ms: task.total_timeout_ms,
            warn: task.warn.map(job::Warn::from),
            retries: (task.retries != Retries::default()).then(|| (&task.retries).into()),
            losses_max: (task.losses_max != TaskSpec::LOSSES_MAX).then_some(task.losses_max),
            max_failed: task.max_failed.map(job::MaxFailed::from),
            items: task.items.map(job::Items::from),
            runner: match task.runner {
                Runner::Process => job::Runner::Process,
                Runner::Noop => job::Runner::Noop,
            } as i32,
            secrets: task.secrets.iter().map(job::Secret::from).collect(),
            placement: (task.placement != Placement::default()).then(|| task.placement.into()),
        }
    }
}

impl From<&Secret> for job::Secret {
    fn from(secret: &Secret) -> Self {
        let Secret { name, key, value } = secret.clone();
        job::Secret { name, key, value }
    }
}

impl From<job::Secret> for Secret {
    fn from(secret: job::Secret) -> Self {
        let job::Secret { name, key, value } = secret;
        Secret { name, key, value }
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
            env: pairs(task.env),
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
            pending_timeout_ms: task.pending_timeout_ms,
            start_timeout_ms: task.start_timeout_ms,
            total_timeout_ms: task.total_timeout_ms,
            warn: task.warn.map(Warn::try_from).transpose()?,
            retries: task.retries.map(Retries::try_from).transpose()?.unwrap_or_default(),
            losses_max: task.losses_max.unwrap_or(TaskSpec::LOSSES_MAX),
            max_failed: task.max_failed.map(MaxFailed::try_from).transpose()?,
            items: task.items.map(Items::try_from).transpose()?,
            runner: match job::Runner::try_from(task.runner) {
                Ok(job::Runner::Process) => Runner::Process,
                Ok(job::Runner::Noop) => Runner::Noop,
                Err(_) => return Err(Invalid("runner")),
            },
            secrets: task.secrets.into_iter().map(Secret::from).collect(),
            placement: task.placement.map(Placement::try_from).transpose()?.unwrap_or_default(),
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

fn variables(pairs: &[(String, String)]) -> Vec<job::Variable> {
    let variable = |(name, value): &(String, String)| job::Variable {
        name: name.clone(),
        value: value.clone(),
    };
    pairs.iter().map(variable).collect()
}

fn pairs(variables: Vec<job::Variable>) -> Vec<(String, String)> {
    variables.into_iter().map(|variable| (variable.name, variable.value)).collect()
}

impl From<Warn> for job::Warn {
    fn from(warn: Warn) -> Self {
        job::Warn { signal: warn.signal.unsigned_abs(), before_ms: warn.before_ms }
    }
}

impl TryFrom<job::Warn> for Warn {
    type Error = Invalid;

    fn try_from(warn: job::Warn) -> Result<Self, Invalid> {
        let signal = i32::try_from(warn.signal).map_err(|_| Invalid("warn.signal"))?;
        Ok(Warn { signal, before_ms: warn.before_ms })
    }
}

impl From<&Retries> for job::Retries {
    fn from(retries: &Retries) -> Self {
        let conditions =
            |some: &Conditions| (!some.is_empty()).then(|| job::Conditions::from(some));
        job::Retries {
            attempts: retries.attempts,
            backoff: Some(job::Backoff {
                base_ms: retries.base_ms,
                factor_milli: retries.factor_milli,
                max_ms: retries.max_ms,
                jitter_percent: retries.jitter_percent,
            }),
            on: conditions(&retries.on),
            not_on: conditions(&retries.not_on),
        }
    }
}

impl TryFrom<job::Retries> for Retries {
    type Error = Invalid;

    fn try_from(retries: job::Retries) -> Result<Self, Invalid> {
        let conditions = |some: Option<job::Conditions>| some.unwrap_or_default().try_into();
        let usual = Retries::default();
        let backoff = retries.backoff.unwrap_or(job::Backoff {
            base_ms: usual.base_ms,
            factor_milli: usual.factor_milli,
            max_ms: usual.max_ms,
            jitter_percent: usual.jitter_percent,
        });
        Ok(Retries {
            attempts: retries.attempts,
            base_ms: backoff.base_ms,
            factor_milli: backoff.factor_milli,
            max_ms: backoff.max_ms,
            jitter_percent: backoff.jitter_percent,
            on: conditions(retries.on)?,
            not_on: conditions(retries.not_on)?,
        })
    }
}

impl From<&Conditions> for job::Conditions {
    fn from(conditions: &Conditions) -> Self {
        let reason = |reason: &Reason| match reason {
            Reason::Exit => job::Reason::Exit,
            Reason::Signal => job::Reason::Signal,
            Reason::Timeout => job::Reason::Timeout,
            Reason::Start => job::Reason::Start,
        };
        job::Conditions {
            codes: conditions.codes.clone(),
            signals: conditions.signals.clone(),
            reasons: conditions.reasons.iter().map(|r| reason(r) as i32).collect(),
        }
    }
}

impl TryFrom<job::Conditions> for Conditions {
    type Error = Invalid;

    fn try_from(conditions: job::Conditions) -> Result<Self, Invalid> {
        let reason = |reason: i32| match job::Reason::try_from(reason) {
            Ok(job::Reason::Exit) => Ok(Reason::Exit),
            Ok(job::Reason::Signal) => Ok(Reason::Signal),
            Ok(job::Reason::Timeout) => Ok(Reason::Timeout),
            Ok(job::Reason::Start) => Ok(Reason::Start),
            Ok(job::Reason::None) | Err(_) => Err(Invalid("retries.reasons")),
        };
        Ok(Conditions {
            codes: conditions.codes,
            signals: conditions.signals,
            reasons: conditions.reasons.into_iter().map(reason).collect::<Result<_, _>>()?,
        })
    }
}

impl From<MaxFailed> for job::MaxFailed {
    fn from(max: MaxFailed) -> Self {
        use job::max_failed::Kind;
        let kind = Some(match max {
            MaxFailed::Count(count) => Kind::Count(count),
            MaxFailed::Percent(percent) => Kind::Percent(percent),
        });
        job::MaxFailed { kind }
    }
}

impl TryFrom<job::MaxFailed> for MaxFailed {
    type Error = Invalid;

    fn try_from(max: job::MaxFailed) -> Result<Self, Invalid> {
        use job::max_failed::Kind;
        Ok(match required(max.kind, "max_failed")? {
            Kind::Count(count) => MaxFailed::Count(count),
            Kind::Percent(percent) => MaxFailed::Percent(percent),
        })
    }
}

impl From<Items> for job::Items {
    fn from(items: Items) -> Self {
        let kind = match items.kind {
            ItemsKind::Lines => job::items::Kind::Lines,
            ItemsKind::Json => job::items::Kind::Json,
        };
        job::Items { blob: items.blob.to_vec(), kind: kind as i32 }
    }
}

impl TryFrom<job::Items> for Items {
    type Error = Invalid;

    fn try_from(items: job::Items) -> Result<Self, Invalid> {
        let kind = match job::items::Kind::try_from(items.kind) {
            Ok(job::items::Kind::Lines) => ItemsKind::Lines,
            Ok(job::items::Kind::Json) => ItemsKind::Json,
            Err(_) => return Err(Invalid("items.kind")),
        };
        let blob = items.blob.try_into().map_err(|_| Invalid("items.blob"))?;
        Ok(Items { blob, kind })
    }
}

impl From<Retention> for job::Retention {
    fn from(retention: Retention) -> Self {
        let keep = |keep: Keep| Some(job::Keep { days: keep.days, runs: keep.runs });
        job::Retention { success: keep(retention.success), failure: keep(retention.failure) }
    }
}

impl From<job::Retention> for Retention {
    fn from(retention: job::Retention) -> Self {
        let keep = |keep: Option<job::Keep>| {
            keep.map_or_else(Keep::default, |keep| Keep { days: keep.days, runs: keep.runs })
        };
        Retention { success: keep(retention.success), failure: keep(retention.failure) }
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
        task.warn = Some(Warn { signal: 10, before_ms: 5_000 });
        (task.pending_timeout_ms, task.start_timeout_ms) = (1, 2);
        (task.timeout_ms, task.total_timeout_ms) = (3, 4);
        task.retries = Retries {
            attempts: 3,
            jitter_percent: 0,
            on: Conditions::parse("75,SIGKILL,timeout").unwrap(),
            ..Retries::default()
        };
        task.losses_max = 0;
        task.max_failed = Some(MaxFailed::Percent(5));
        task.items = Some(Items { blob: [7; 32], kind: ItemsKind::Json });
        task.runner = Runner::Noop;
        task.secrets = vec![Secret { name: "KEY".into(), key: 7, value: vec![1, 2] }];
        task.placement = Placement::parse("spread,headroom=25%").unwrap();
        let mut spec = JobSpec { owner: "ann".into(), tasks: vec![task], ..JobSpec::default() };
        spec.labels = vec![("team".into(), "a".into())];
        spec.retention = Some(Retention::default());
        assert_eq!(JobSpec::try_from(job::Job::from(&spec)), Ok(spec));
    }

    #[test]
    fn a_task_that_nobody_knows_is_invalid() {
        let task = job::Task {
            on_lost: 9,
            resources: Some(job::Resources::default()),
            ..Default::default()
        };
        assert_eq!(TaskSpec::try_from(task), Err(Invalid("on_lost")));
    }
}
