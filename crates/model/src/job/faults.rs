//! Every fault a job can have, found at once.

use std::collections::BTreeSet;

use super::{JobSpec, MaxFailed, Placement, Policy, Runner, TaskSpec};

/// One thing wrong with a job, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Fault {
    /// The field's path: `tasks[0].cwd`.
    pub field: String,
    /// What is wrong and what was expected.
    pub problem: String,
}

/// Bounds of what a job may hold.
pub mod limits {
    /// Tasks of one job.
    pub const TASKS_MAX: usize = 1_000;
    /// Elements of one array.
    pub const ELEMENTS_MAX: u32 = 10_000_000;
    /// Bytes of a command and its environment together; Linux itself takes about 2 MiB.
    pub const COMMAND_BYTES_MAX: usize = 1 << 20;
    /// Secrets of one task.
    pub const SECRETS_MAX: usize = 100;
    /// Labels of one job.
    pub const LABELS_MAX: usize = 64;
    /// Attempts of one element beyond the first.
    pub const RETRIES_MAX: u32 = 1_000;
    /// Bytes of a name.
    pub const NAME_BYTES_MAX: usize = 200;
    /// Bytes of the reason somebody gives. It stands in the facts of each attempt it ended.
    pub const REASON_BYTES_MAX: usize = 1_000;
    /// Faults that are listed; nobody reads more at once.
    pub const FAULTS_MAX: usize = 100;
    /// The longest duration, in milliseconds: ten years.
    pub const DURATION_MS_MAX: u64 = 10 * 365 * 86_400_000;
}

impl JobSpec {
    /// Everything wrong with the job, up to [`limits::FAULTS_MAX`] faults; empty for a good one.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Faults(Vec::new());
        faults.name("name", &self.name, true);
        faults.name("namespace", &self.namespace, false);
        for (field, text) in [
            ("owner", &self.owner),
            ("run_as", &self.run_as),
            ("actor", &self.actor),
            ("origin", &self.origin),
        ] {
            let good = text.len() <= limits::NAME_BYTES_MAX && !text.contains(char::is_control);
            faults.check(good, field, "must be at most 200 bytes without control characters");
        }
        faults.labels(&self.labels);
        faults.check(!self.tasks.is_empty(), "tasks", "a job needs at least one task");
        faults.check(self.tasks.len() <= limits::TASKS_MAX, "tasks", "more than 1,000 tasks");
        for (i, task) in self.tasks.iter().enumerate().take(limits::TASKS_MAX) {
            faults.task(&format!("tasks[{i}]"), task);
            let taken = self.tasks[..i].iter().any(|other| other.name == task.name);
            let problem = format!("`{}` is the name of an earlier task", task.name);
            faults.check(!taken, &format!("tasks[{i}].name"), &problem);
        }
        faults.0
    }
}

struct Faults(Vec<Fault>);

impl Faults {
    fn check(&mut self, good: bool, field: &str, problem: &str) {
        if !good && self.0.len() < limits::FAULTS_MAX {
            self.0.push(Fault { field: field.to_owned(), problem: problem.to_owned() });
        }
    }

    fn name(&mut self, field: &str, name: &str, may_be_empty: bool) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let start = name.chars().next().is_none_or(|c| c.is_ascii_alphabetic() || c == '_');
        let good = (may_be_empty || !name.is_empty())
            && name.len() <= limits::NAME_BYTES_MAX
            && start
            && name.chars().all(plain)
            && name != "last";
        let problem = format!(
            "`{name}` is not a name: letters, digits, `.`, `_` and `-`, a letter first, at most 200, and not `last`"
        );
        self.check(good, field, &problem);
    }

    fn labels(&mut self, labels: &[(String, String)]) {
        self.check(labels.len() <= limits::LABELS_MAX, "labels", "more than 64 labels");
        let mut keys = BTreeSet::new();
        for (key, value) in labels.iter().take(limits::LABELS_MAX) {
            let fits = |text: &str| {
                text.len() <= limits::NAME_BYTES_MAX && !text.contains(char::is_control)
            };
            let good = !key.is_empty() && !key.contains('=') && fits(key) && fits(value);
            self.check(good, "labels", &format!("`{key}` is not a label's key and value"));
            self.check(keys.insert(key), "labels", &format!("`{key}` is set twice"));
        }
    }

    fn task(&mut self, at: &str, task: &TaskSpec) {
        let field = |name: &str| format!("{at}.{name}");
        self.name(&field("name"), &task.name, false);
        self.command(&field("command"), task);
        self.env(&field("env"), task);
        let cwd = task.cwd.is_empty() || task.cwd.starts_with('/');
        self.check(cwd && !task.cwd.contains('\0'), &field("cwd"), "must be an absolute path");
        let problem = "is longer than a path may be, 4,096 bytes";
        self.check(task.cwd.len() <= 4_096, &field("cwd"), problem);
        if let Some(array) = task.array {
            let count = if array.first <= array.last && array.step > 0 { array.count() } else { 0 };
            let problem =
                format!("has {count} elements; 1 to {} are allowed", limits::ELEMENTS_MAX);
            self.check((1..=limits::ELEMENTS_MAX).contains(&count), &field("array"), &problem);
        }
        self.check(task.priority <= 100, &field("priority"), "must be 0 to 100");
        self.placement(&field("placement.headroom"), task.placement);
        self.times(&field, task);
        let percent = |max: MaxFailed| !matches!(max, MaxFailed::Percent(101..));
        let problem = "must be at most 100 %";
        self.check(task.max_failed.is_none_or(percent), &field("max_failed"), problem);
        let counted = task.items.is_none() || task.array.is_some_and(|array| array.first >= 1);
        let problem = "must be there, and begin at 1 or above, where its elements are given items";
        self.check(counted, &field("array"), problem);
        let sane = task.resources.cpu_milli <= 1 << 30 && task.resources.memory_bytes <= 1 << 60;
        self.check(sane, &field("resources"), "no node has that much");
    }

    fn placement(&mut self, field: &str, placement: Placement) {
        let Placement { policy, headroom_percent, .. } = placement;
        let some_left = headroom_percent <= Placement::HEADROOM_PERCENT_MAX;
        self.check(some_left, field, "must be at most 99 %: nothing would be left to run in");
        let kept = headroom_percent == 0 || policy == Policy::Spread;
        let problem = format!("is for `spread`; `{}` keeps nothing free", policy.name());
        self.check(kept, field, &problem);
    }

    fn times(&mut self, field: &dyn Fn(&str) -> String, task: &TaskSpec) {
        let retries = &task.retries;
        for (name, ms) in [
            ("timeout", task.timeout_ms),
            ("pending_timeout", task.pending_timeout_ms),
            ("start_timeout", task.start_timeout_ms),
            ("total_timeout", task.total_timeout_ms),
            ("grace", task.grace_ms),
            ("warn", task.warn.map_or(0, |warn| warn.before_ms)),
            ("retries.backoff.base", retries.base_ms),
            ("retries.backoff.max", retries.max_ms),
        ] {
            self.check(ms <= limits::DURATION_MS_MAX, &field(name), "must be at most ten years");
        }
        if let Some(warn) = task.warn {
            let real = (1..=64).contains(&warn.signal);
            self.check(real, &field("warn"), "must be a signal's number, 1 to 64");
            let problem = "needs a `timeout` to come before";
            self.check(task.timeout_ms > 0, &field("warn"), problem);
        }
        let few = retries.attempts <= limits::RETRIES_MAX && task.losses_max <= limits::RETRIES_MAX;
        self.check(few, &field("retries"), "must be at most 1,000");
        let known = retries.factor_milli <= 1_000_000 && retries.jitter_percent <= 100;
        let problem = "the factor must be at most 1,000 and the jitter at most 100 %";
        self.check(known, &field("retries.backoff"), problem);
    }

    fn command(&mut self, field: &str, task: &TaskSpec) {
        if task.runner == Runner::Noop {
            return;
        }
        let program = task.command.first().is_some_and(|program| !program.is_empty());
        self.check(program, field, "needs a program to run");
        let plain = task.command.iter().all(|word| !word.contains('\0'));
        self.check(plain, field, "must not contain a NUL byte");
        let words: usize = task.command.iter().map(|word| word.len() + 1).sum();
        let env: usize = task.env.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
        let secrets = task.secrets.iter().map(|s| s.name.len() + s.value.len() + 2);
        let small = words + env + secrets.sum::<usize>() <= limits::COMMAND_BYTES_MAX;
        self.check(small, field, "command and environment together are larger than 1 MiB");
    }

    fn env(&mut self, field: &str, task: &TaskSpec) {
        let mut names = BTreeSet::new();
        for (name, value) in &task.env {
            let good = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
            self.check(good, field, &format!("`{name}` is not a variable's name and value"));
            let own = name.starts_with("WINDLASS_");
            self.check(!own, field, &format!("`{name}`: names in WINDLASS_ are Windlass's own"));
            self.check(names.insert(name), field, &format!("`{name}` is set twice"));
        }
        let field = field.replace("env", "secrets");
        let count = task.secrets.len() <= limits::SECRETS_MAX;
        self.check(count, &field, &format!("there are at most {}", limits::SECRETS_MAX));
        for secret in task.secrets.iter().take(limits::SECRETS_MAX) {
            let name = &secret.name;
            let good = !name.is_empty() && !name.contains(['=', '\0']);
            self.check(good, &field, &format!("`{name}` is not a variable's name"));
            // What is sealed was checked before it was.
            let text = std::str::from_utf8(&secret.value).is_ok_and(|text| !text.contains('\0'));
            let good = secret.key > 0 || text;
            self.check(good, &field, &format!("`{name}`: its value must be text without a NUL"));
            let own = name.starts_with("WINDLASS_");
            self.check(!own, &field, &format!("`{name}`: names in WINDLASS_ are Windlass's own"));
            self.check(names.insert(name), &field, &format!("`{name}` is set twice"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{ArraySpec, Secret};
    use crate::ranges::RangeSet;

    fn job(change: impl FnOnce(&mut TaskSpec)) -> JobSpec {
        let mut task = TaskSpec::new(vec!["true".into()]);
        change(&mut task);
        JobSpec { namespace: "default".into(), tasks: vec![task], ..JobSpec::default() }
    }

    fn check(change: impl FnOnce(&mut TaskSpec), fields: &[&str]) {
        let faults = job(change).faults();
        let found: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(found, fields);
    }

    #[test]
    fn a_secret_is_a_variable_of_its_own() {
        let secret = |name: &str, key, value: &[u8]| Secret {
            name: name.to_owned(),
            key,
            value: value.to_vec(),
        };
        let one = |secret: Secret, faults: &[&str]| {
            check(
                |task| {
                    task.env = vec![("TAKEN".into(), String::new())];
                    task.secrets = vec![secret];
                },
                faults,
            );
        };
        one(secret("KEY", 0, b"value"), &[]);
        one(secret("KEY", 7, b"\0\xff"), &[]);
        for bad in [
            secret("", 0, b""),
            secret("A=B", 0, b""),
            secret("TAKEN", 0, b""),
            secret("WINDLASS_X", 0, b""),
            secret("KEY", 0, b"a\0"),
            secret("KEY", 0, b"\xff"),
        ] {
            one(bad, &["tasks[0].secrets"]);
        }
    }

    #[test]
    fn a_good_job_has_no_faults() {
        check(|_| (), &[]);
    }

    #[test]
    fn every_fault_is_listed() {
        check(
            |task| {
                task.command = vec![];
                task.cwd = "relative".into();
                task.env =
                    vec![("A=B".into(), String::new()), ("WINDLASS_X".into(), String::new())];
                task.priority = 101;
                task.array =
                    Some(ArraySpec { first: 1, last: 10_000_001, step: 1, parallel_max: 0 });
            },
            &[
                "tasks[0].command",
                "tasks[0].env",
                "tasks[0].env",
                "tasks[0].cwd",
                "tasks[0].array",
                "tasks[0].priority",
            ],
        );
    }

    #[test]
    fn headroom_is_for_spread_and_leaves_something() {
        let one = |policy, headroom_percent, faults: &[&str]| {
            let placement = Placement { policy, headroom_percent, ..Placement::default() };
            check(|task| task.placement = placement, faults);
        };
        one(Policy::Spread, 99, &[]);
        one(Policy::Spread, 100, &["tasks[0].placement.headroom"]);
        one(Policy::Pack, 0, &[]);
        one(Policy::Pack, 100, &["tasks[0].placement.headroom"; 2]);
    }

    #[test]
    fn a_hostile_job_is_refused_at_little_cost() {
        let whole = ArraySpec { first: 0, last: u32::MAX, step: 1, parallel_max: 0 };
        check(|task| task.array = Some(whole), &["tasks[0].array"]);
        let mut job = job(|task| task.env = vec![(String::new(), String::new()); 300_000]);
        job.owner = "a\0b".into();
        job.actor = "x".repeat(201);
        let faults = job.faults();
        assert_eq!(faults.len(), limits::FAULTS_MAX);
        assert_eq!((faults[0].field.as_str(), faults[1].field.as_str()), ("owner", "actor"));
    }

    #[test]
    fn indices_become_ordinals() {
        let mut task = TaskSpec::new(vec!["true".into()]);
        task.array = Some(ArraySpec { first: 10, last: 30, step: 10, parallel_max: 0 });
        let wanted = RangeSet::from_iter([0..=20, 40..=50]);
        assert_eq!(task.ordinals(Some(&wanted)).to_string(), "0-1");
        assert_eq!(task.ordinals(None).to_string(), "0-2");
    }
}
