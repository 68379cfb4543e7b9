//! Job specifications: what a user submits, and every fault it can have.
//!
//! [`JobSpec::faults`] is called by whoever takes a job in, never by the replicated machine: rules
//! for what is accepted may change between versions, what was accepted stays accepted.

use std::collections::BTreeSet;

use crate::ranges::RangeSet;
use crate::resources::Resources;
use crate::text;

/// A job: named tasks that make one run when it is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobSpec {
    /// What the job belongs to; `default` where nobody said otherwise.
    pub namespace: String,
    /// Who the job belongs to.
    pub owner: String,
    /// The user its processes get; empty for the node's own.
    pub run_as: String,
    /// Who submitted it: `user:NAME`.
    pub actor: String,
    /// Where it came from: `cli`, `api`, …
    pub origin: String,
    /// Its name, empty for an ad-hoc run.
    pub name: String,
    /// Its tasks, at least one.
    pub tasks: Vec<TaskSpec>,
}

/// One task of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSpec {
    /// Its name, unique in the job.
    pub name: String,
    /// The program and its arguments; the program is looked up in the task's `PATH`.
    pub command: Vec<String>,
    /// Variables added to the task's environment, each name once.
    pub env: Vec<(String, String)>,
    /// The working directory, absolute; empty for `/`.
    pub cwd: String,
    /// The array, where the task is one.
    pub array: Option<ArraySpec>,
    /// What an element reserves on its node while it runs.
    pub resources: Resources,
    /// 0 to 100; higher is placed first.
    pub priority: u32,
    /// How long an attempt may run, in milliseconds; 0 for ever.
    pub timeout_ms: u64,
    /// From SIGTERM to SIGKILL, in milliseconds.
    pub grace_ms: u64,
    /// Exit codes that count as success beside 0.
    pub success_codes: Vec<u8>,
    /// What becomes of an element whose attempt was lost with its node or supervisor.
    pub on_lost: OnLost,
    /// Whether an attempt with an unknown outcome ends the element as `lost`, whatever `on_lost`.
    pub at_most_once: bool,
}

/// What becomes of an element whose attempt was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLost {
    /// It goes back to the queue, up to [`TaskSpec::LOSSES_MAX`] times.
    #[default]
    Requeue,
    /// It ends as `lost`.
    Fail,
    /// Its node keeps it; nothing replaces it until the node reports or a person says so.
    Wait,
}

/// The indices of an array task: `first..=last` by `step`, at most `parallel_max` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArraySpec {
    /// The first index.
    pub first: u32,
    /// The last index that may be in the array.
    pub last: u32,
    /// The distance between two indices, at least 1.
    pub step: u32,
    /// How many elements may be placed at once; 0 for any number.
    pub parallel_max: u32,
}

impl ArraySpec {
    /// A task that is no array, seen as one: index 0 alone.
    pub const SINGLE: ArraySpec = ArraySpec { first: 0, last: 0, step: 1, parallel_max: 0 };

    /// How many elements it has. That all of 32 bits are one more than this can say is for
    /// [`JobSpec::faults`], which refuses far fewer.
    pub fn count(&self) -> u32 {
        ((self.last - self.first) / self.step.max(1)).saturating_add(1)
    }

    /// The index of the element at `ordinal`, which counts from 0 without gaps.
    pub fn index(&self, ordinal: u32) -> u32 {
        self.first + ordinal * self.step
    }

    /// The ordinal of `index`; `None` where the array does not have it.
    pub fn ordinal(&self, index: u32) -> Option<u32> {
        let inside = (self.first..=self.last).contains(&index);
        (inside && (index - self.first).is_multiple_of(self.step))
            .then(|| (index - self.first) / self.step)
    }

    /// Reads `1-1000`, `1-1000:2`, `1-1000%50` or `7`.
    pub fn parse(text: &str) -> Result<ArraySpec, text::NotAnAmount> {
        let fault = || text::NotAnAmount {
            text: text.to_owned(),
            expected: "an array such as `1-1000`, `0-98:2` (step) or `1-1000%50` (at most 50 at once)",
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| fault());
        let (rest, parallel_max) = match text.split_once('%') {
            Some((rest, most)) => (rest, number(most)?.max(1)),
            None => (text, 0),
        };
        let (rest, step) = match rest.split_once(':') {
            Some((rest, step)) => (rest, number(step)?),
            None => (rest, 1),
        };
        let (first, last) = match rest.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(rest)?, number(rest)?),
        };
        if first > last || step == 0 || last == u32::MAX {
            return Err(fault());
        }
        Ok(ArraySpec { first, last, step, parallel_max })
    }
}

impl TaskSpec {
    /// How often an element may lose its attempt before it ends as `lost`.
    pub const LOSSES_MAX: u32 = 5;
    /// The grace of a task that names none, in milliseconds.
    pub const GRACE_MS: u64 = 30_000;
    /// The priority of a task that names none.
    pub const PRIORITY: u32 = 50;

    /// A task with this command, named `main`, and defaults for the rest.
    pub fn new(command: Vec<String>) -> TaskSpec {
        TaskSpec {
            name: "main".to_owned(),
            command,
            env: Vec::new(),
            cwd: String::new(),
            array: None,
            resources: Resources { cpu_milli: 1000, memory_bytes: 0 },
            priority: Self::PRIORITY,
            timeout_ms: 0,
            grace_ms: Self::GRACE_MS,
            success_codes: Vec::new(),
            on_lost: OnLost::default(),
            at_most_once: false,
        }
    }

    /// Its indices; a task that is no array has index 0 alone.
    pub fn indices(&self) -> ArraySpec {
        self.array.unwrap_or(ArraySpec::SINGLE)
    }

    /// The ordinals of those of `indices` that the task has; all where `indices` is `None`.
    pub fn ordinals(&self, indices: Option<&RangeSet>) -> RangeSet {
        let array = self.indices();
        match indices {
            None => RangeSet::from_iter([0..=array.count() - 1]),
            Some(wanted) => (wanted.ranges())
                .filter(|range| *range.start() <= array.last && *range.end() >= array.first)
                .map(|range| (*range.start()).max(array.first)..=(*range.end()).min(array.last))
                .flat_map(|range| range.filter_map(|index| array.ordinal(index)))
                .collect(),
        }
    }
}

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
    pub const ELEMENTS_MAX: u32 = 10_000;
    /// Bytes of a command and its environment together; Linux itself takes about 2 MiB.
    pub const COMMAND_BYTES_MAX: usize = 1 << 20;
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

    fn task(&mut self, at: &str, task: &TaskSpec) {
        let field = |name: &str| format!("{at}.{name}");
        self.name(&field("name"), &task.name, false);
        self.command(&field("command"), task);
        self.env(&field("env"), task);
        let cwd = task.cwd.is_empty() || task.cwd.starts_with('/');
        self.check(cwd && !task.cwd.contains('\0'), &field("cwd"), "must be an absolute path");
        if let Some(array) = task.array {
            let count = if array.first <= array.last && array.step > 0 { array.count() } else { 0 };
            let problem =
                format!("has {count} elements; 1 to {} are allowed", limits::ELEMENTS_MAX);
            self.check((1..=limits::ELEMENTS_MAX).contains(&count), &field("array"), &problem);
        }
        self.check(task.priority <= 100, &field("priority"), "must be 0 to 100");
        for (name, ms) in [("timeout", task.timeout_ms), ("grace", task.grace_ms)] {
            self.check(ms <= limits::DURATION_MS_MAX, &field(name), "must be at most ten years");
        }
        let sane = task.resources.cpu_milli <= 1 << 30 && task.resources.memory_bytes <= 1 << 60;
        self.check(sane, &field("resources"), "no node has that much");
    }

    fn command(&mut self, field: &str, task: &TaskSpec) {
        let program = task.command.first().is_some_and(|program| !program.is_empty());
        self.check(program, field, "needs a program to run");
        let plain = task.command.iter().all(|word| !word.contains('\0'));
        self.check(plain, field, "must not contain a NUL byte");
        let words: usize = task.command.iter().map(|word| word.len() + 1).sum();
        let env: usize = task.env.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
        let small = words + env <= limits::COMMAND_BYTES_MAX;
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                task.array = Some(ArraySpec { first: 1, last: 10_001, step: 1, parallel_max: 0 });
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
    fn an_array_counts_by_its_step() {
        let array = ArraySpec::parse("1-10:3%2").unwrap();
        assert_eq!(array, ArraySpec { first: 1, last: 10, step: 3, parallel_max: 2 });
        assert_eq!(array.count(), 4);
        assert_eq!((0..4).map(|o| array.index(o)).collect::<Vec<_>>(), [1, 4, 7, 10]);
        assert_eq!((array.ordinal(7), array.ordinal(8), array.ordinal(13)), (Some(2), None, None));
        for bad in ["", "5-1", "1-9:0", "a-b", "1-", "-3"] {
            assert!(ArraySpec::parse(bad).is_err(), "{bad}");
        }
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
