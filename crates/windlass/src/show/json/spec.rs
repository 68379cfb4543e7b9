//! The JSON of what was submitted.

use model::job::{Conditions, Retries};
use model::{JobSpec, Keep, MaxFailed, Retention, TaskSpec};
use proto::job;
use serde_json::{Map, Value, json};

use super::{resources, text};

pub(super) fn job(job: &job::Job) -> Value {
    // A node fills in what a caller left out, so only another version's job cannot be read.
    let spec = JobSpec::try_from(job.clone()).unwrap_or_default();
    json!({
        "namespace": spec.namespace,
        "owner": text(&spec.owner),
        "run_as": text(&spec.run_as),
        "actor": text(&spec.actor),
        "origin": text(&spec.origin),
        "name": text(&spec.name),
        "labels": object(&spec.labels),
        "retention": spec.retention.map(retention),
        "tasks": spec.tasks.iter().map(task).collect::<Vec<_>>(),
    })
}

fn task(task: &TaskSpec) -> Value {
    let array = task.array.map(|array| {
        json!({
            "first": array.first,
            "last": array.last,
            "step": array.step,
            "parallel_max": (array.parallel_max > 0).then_some(array.parallel_max),
        })
    });
    let items = task.items.map(|items| {
        let kind = match items.kind {
            model::ItemsKind::Lines => "lines",
            model::ItemsKind::Json => "json",
        };
        json!({ "blob": hex(&items.blob), "kind": kind })
    });
    let max_failed = task.max_failed.map(|max| match max {
        MaxFailed::Count(count) => json!({ "count": count, "percent": null }),
        MaxFailed::Percent(percent) => json!({ "count": null, "percent": percent }),
    });
    let time = |ms: u64| (ms > 0).then_some(ms);
    json!({
        "name": task.name,
        "command": task.command,
        "env": object(&task.env),
        "cwd": text(&task.cwd),
        "array": array,
        "items": items,
        "max_failed": max_failed,
        "runner": match task.runner {
            model::Runner::Process => "process",
            model::Runner::Noop => "noop",
        },
        "resources": resources(&task.resources.into()),
        "priority": task.priority,
        "pending_timeout_ms": time(task.pending_timeout_ms),
        "start_timeout_ms": time(task.start_timeout_ms),
        "timeout_ms": time(task.timeout_ms),
        "total_timeout_ms": time(task.total_timeout_ms),
        "warn": task.warn.map(|warn| json!({ "signal": warn.signal, "before_ms": warn.before_ms })),
        "grace_ms": task.grace_ms,
        "success_codes": task.success_codes,
        "retries": retries(&task.retries),
        "losses_max": task.losses_max,
        "on_lost": match task.on_lost {
            model::OnLost::Requeue => "requeue",
            model::OnLost::Fail => "fail",
            model::OnLost::Wait => "wait",
        },
        "at_most_once": task.at_most_once,
    })
}

fn retries(retries: &Retries) -> Value {
    json!({
        "attempts": retries.attempts,
        "backoff": {
            "base_ms": retries.base_ms,
            "factor": f64::from(retries.factor_milli) / 1000.0,
            "max_ms": retries.max_ms,
            "jitter_percent": retries.jitter_percent,
        },
        "on": conditions(&retries.on),
        "not_on": conditions(&retries.not_on),
    })
}

fn conditions(conditions: &Conditions) -> Value {
    let reasons: Vec<_> = conditions.reasons.iter().map(|reason| reason.name()).collect();
    json!({ "codes": conditions.codes, "signals": conditions.signals, "reasons": reasons })
}

fn retention(retention: Retention) -> Value {
    let keep = |keep: Keep| json!({ "days": keep.days, "runs": keep.runs });
    json!({ "success": keep(retention.success), "failure": keep(retention.failure) })
}

fn object(pairs: &[(String, String)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
