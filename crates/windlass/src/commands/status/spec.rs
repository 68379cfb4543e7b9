//! What was asked for a run beyond its command, where that is not the usual.

use model::job::{Conditions, Keep, Retries};
use model::outcome::signal_name;
use model::{JobSpec, MaxFailed, Placement, TaskSpec, WhenFull};
use proto::job::Job;

use super::element::Facts;

/// Labels and retention of the job, and of its first task how it is tried again and given up.
pub(super) fn facts(job: &Job) -> Facts {
    let Ok(spec) = JobSpec::try_from(job.clone()) else { return Facts::new() };
    let mut facts = Facts::new();
    let mut tell = |name, values: Vec<String>| {
        if !values.is_empty() {
            facts.push((name, values.join(", ")));
        }
    };
    tell("labels", spec.labels.iter().map(|(key, value)| format!("{key}={value}")).collect());
    if let Some(task) = spec.tasks.first() {
        tell("secrets", task.secrets.iter().map(|secret| secret.name.clone()).collect());
        tell("retries", retries(&task.retries).into_iter().collect());
        tell("timeouts", timeouts(task));
        tell("max failed", task.max_failed.map(max_failed).into_iter().collect());
        tell("placement", placement(task.placement));
    }
    let keep = |keep: Keep| format!("{} days or {} runs", keep.days, keep.runs);
    tell(
        "kept",
        match spec.retention {
            Some(kept) if kept.success == kept.failure => vec![keep(kept.success)],
            Some(kept) => vec![keep(kept.success), format!("{} if failed", keep(kept.failure))],
            None => vec![],
        },
    );
    facts
}

/// `3, after 10s ×2 up to 5m ±25%, on 75 SIGKILL timeout`
fn retries(retries: &Retries) -> Option<String> {
    if retries.attempts == 0 {
        return None;
    }
    let mut text = format!(
        "{}, after {} ×{} up to {} ±{}%",
        retries.attempts,
        time(retries.base_ms),
        model::text::cpus(retries.factor_milli.into()),
        time(retries.max_ms),
        retries.jitter_percent,
    );
    for (word, list) in [("on", &retries.on), ("not on", &retries.not_on)] {
        if !list.is_empty() {
            text += &format!(", {word} {}", conditions(list));
        }
    }
    Some(text)
}

fn conditions(list: &Conditions) -> String {
    let codes = list.codes.iter().map(u8::to_string);
    let signals = list.signals.iter().map(|signal| signal_name((*signal).into()).to_owned());
    let reasons = list.reasons.iter().map(|reason| reason.name().to_owned());
    codes.chain(signals).chain(reasons).collect::<Vec<_>>().join(" ")
}

fn timeouts(task: &TaskSpec) -> Vec<String> {
    let mut told: Vec<String> = [
        ("pending", task.pending_timeout_ms),
        ("start", task.start_timeout_ms),
        ("run", task.timeout_ms),
        ("total", task.total_timeout_ms),
    ]
    .into_iter()
    .filter(|(_, ms)| *ms > 0)
    .map(|(name, ms)| format!("{name} {}", time(ms)))
    .collect();
    if let Some(warn) = task.warn {
        told.push(format!("{} {} before", signal_name(warn.signal), time(warn.before_ms)));
    }
    told
}

fn placement(asked: Placement) -> Vec<String> {
    if asked == Placement::default() {
        return Vec::new();
    }
    let mut told = vec![asked.policy.name().to_owned()];
    if asked.headroom_percent > 0 {
        told.push(format!("{}% of each node stay free", asked.headroom_percent));
    }
    if asked.when_full == WhenFull::Fail {
        told.push("does not wait for room".to_owned());
    }
    told
}

/// As people give it: `90s`, `5m`, `2h`.
fn time(ms: u64) -> String {
    let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}

fn max_failed(max: MaxFailed) -> String {
    match max {
        MaxFailed::Count(count) => count.to_string(),
        MaxFailed::Percent(percent) => format!("{percent}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_the_usual_is_told() {
        let mut task = TaskSpec::new(vec!["x".into()]);
        let told = |task: &TaskSpec, labels: &[(String, String)]| {
            let spec = JobSpec {
                tasks: vec![task.clone()],
                labels: labels.to_vec(),
                ..Default::default()
            };
            let facts = facts(&Job::from(&spec));
            facts.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>()
        };
        assert_eq!(told(&task, &[]), "");
        task.retries.attempts = 3;
        task.retries.on = Conditions::parse("75,SIGKILL,timeout").unwrap();
        (task.pending_timeout_ms, task.timeout_ms) = (60_000, 3_600_000);
        task.warn = Some(model::Warn { signal: 10, before_ms: 30_000 });
        task.max_failed = Some(MaxFailed::Percent(5));
        task.placement = Placement {
            when_full: WhenFull::Fail,
            ..Placement::parse("spread,headroom=25%").unwrap()
        };
        insta::assert_snapshot!(told(&task, &[("team".into(), "a".into())]), @r"
        labels: team=a
        retries: 3, after 10s ×2 up to 5m ±25%, on 75 SIGKILL timeout
        timeouts: pending 1m, run 1h, SIGUSR1 30s before
        max failed: 5%
        placement: spread, 25% of each node stay free, does not wait for room
        ");
    }
}
