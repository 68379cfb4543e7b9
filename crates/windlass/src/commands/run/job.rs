//! The job that a `run` command line describes.

use std::path::{Path, PathBuf};

use model::job::{ArraySpec, OnLost};
use model::{Items, ItemsKind, JobSpec, Runner, TaskSpec, text};
use proto::job;

use super::items::ItemsArgs;
use super::policy::PolicyArgs;
use super::secret::SecretArgs;

use crate::failure::Failure;

#[derive(clap::Args, Debug)]
pub(super) struct JobArgs {
    /// Name the run
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    name: String,
    /// One element an index: `1-100`, with a step `0-98:2`, at most 8 at once `1-100%8`
    #[arg(long, value_name = "FIRST-LAST", value_parser = ArraySpec::parse)]
    array: Option<ArraySpec>,
    #[command(flatten)]
    items: ItemsArgs,
    /// Run at most N elements at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(allow_negative_numbers = true, hide_short_help = true)]
    parallel: Option<u32>,
    /// Label the run, any number of times, to find it by
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Set a variable for the task; without a value, take it from here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    #[command(flatten)]
    secrets: SecretArgs,
    /// Run in DIR (else in the current directory)
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Run as USER (else as the node's own user, or the token's first)
    #[arg(long, value_name = "USER", default_value = "", hide_default_value = true)]
    #[arg(hide_short_help = true)]
    run_as: String,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Start before those with a lower number (0 to 100, 50)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    #[arg(allow_negative_numbers = true)]
    priority: Option<u32>,
    /// Reserve processors for each element (1)
    #[arg(long, value_name = "N", value_parser = text::parse_cpus, allow_negative_numbers = true)]
    cpus: Option<u64>,
    /// Reserve memory for each element: `256MiB` (0)
    #[arg(long, value_name = "SIZE", value_parser = text::parse_size, allow_negative_numbers = true)]
    memory: Option<u64>,
    /// Exit codes that are a success beside 0: `1,3`
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = success_code)]
    #[arg(hide_short_help = true)]
    success_codes: Vec<u8>,
    /// When its node is lost: `requeue` (default), `fail` or `wait`
    #[arg(long, value_name = "WHAT", default_value = "requeue", hide_default_value = true)]
    #[arg(hide_possible_values = true, hide_short_help = true)]
    on_lost: OnLostArg,
    /// Never start an element again whose outcome is unknown
    #[arg(long, hide_short_help = true)]
    at_most_once: bool,
    /// What runs it: `process`, or `noop` for nothing at all, to measure
    #[arg(long, value_name = "WHAT", default_value = "process", hide = true)]
    runner: RunnerArg,
    /// The command, if there is one before `--`
    #[arg(value_name = "WORD", hide = true)]
    words: Vec<String>,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<String>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum OnLostArg {
    Requeue,
    Fail,
    Wait,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum RunnerArg {
    Process,
    Noop,
}

impl JobArgs {
    /// The list whose items are to be given to the elements.
    pub(super) fn items(&self) -> Option<(&Path, ItemsKind)> {
        self.items.list()
    }

    /// The job, checked here first: a fault is known without any node.
    pub(super) fn job(&self) -> Result<job::Job, Failure> {
        self.checked(self.spec()?)
    }

    /// The job, with an element for each item of a list that the node keeps.
    pub(super) fn job_of_items(&self, items: Items, count: u32) -> Result<job::Job, Failure> {
        let mut spec = self.spec()?;
        let task = &mut spec.tasks[0];
        task.items = Some(items);
        let parallel_max = self.parallel.unwrap_or(0);
        let all = ArraySpec { first: 1, last: count, step: 1, parallel_max };
        task.array = task.array.or(Some(all));
        self.checked(spec)
    }

    fn spec(&self) -> Result<JobSpec, Failure> {
        let dashes = std::env::args_os().any(|word| word == "--");
        let mut task = TaskSpec::new(self.words(dashes)?);
        task.array = self.array;
        task.env = self.env.iter().map(|text| variable(text)).collect::<Result<_, _>>()?;
        task.secrets = self.secrets.secrets()?;
        task.cwd = self.cwd()?;
        if let (Some(array), Some(most)) = (&mut task.array, self.parallel) {
            array.parallel_max = most;
        }
        self.policy.fill(&mut task);
        task.runner = match self.runner {
            RunnerArg::Process => Runner::Process,
            RunnerArg::Noop => Runner::Noop,
        };
        task.priority = self.priority.unwrap_or(task.priority);
        task.resources.cpu_milli = self.cpus.unwrap_or(task.resources.cpu_milli);
        task.resources.memory_bytes = self.memory.unwrap_or(task.resources.memory_bytes);
        task.success_codes = self.success_codes.clone();
        task.at_most_once = self.at_most_once;
        task.on_lost = match self.on_lost {
            OnLostArg::Requeue => OnLost::Requeue,
            OnLostArg::Fail => OnLost::Fail,
            OnLostArg::Wait => OnLost::Wait,
        };
        let user = crate::client::user();
        Ok(JobSpec {
            namespace: "default".to_owned(),
            owner: user.clone(),
            actor: format!("user:{user}"),
            origin: "cli".to_owned(),
            name: self.name.clone(),
            run_as: self.run_as.clone(),
            labels: self.labels.clone(),
            retention: self.policy.retention(),
            tasks: vec![task],
        })
    }

    fn checked(&self, spec: JobSpec) -> Result<job::Job, Failure> {
        let faults = spec.faults();
        if faults.is_empty() {
            return Ok(job::Job::from(&spec));
        }
        let faults: Vec<_> = faults
            .iter()
            .map(|fault| {
                let field = fault.field.strip_prefix("tasks[0].").unwrap_or(&fault.field);
                format!("{field}: {}", fault.problem)
            })
            .collect();
        Err(Failure::usage(faults.join("\nerror: ")))
    }

    /// What stands before and after `--`; without one the first word would be a job's name.
    fn words(&self, dashes: bool) -> Result<Vec<String>, Failure> {
        match self.words.first() {
            None if matches!(self.runner, RunnerArg::Noop) => Ok(self.command.clone()),
            Some(first) if !dashes => {
                let line = self.words.join(" ");
                Err(Failure::usage(format!("`{first}` is no registered job"))
                    .hint(format!("to run a command, put `--` before it: windlass run -- {line}")))
            }
            None if self.command.is_empty() => Err(Failure::usage("nothing to run")
                .hint("put a command after `--`: windlass run -- echo hello")),
            _ => Ok(self.words.iter().chain(&self.command).cloned().collect()),
        }
    }

    fn cwd(&self) -> Result<String, Failure> {
        let here = || {
            std::env::current_dir().map_err(|error| {
                Failure::usage(format!("the current directory cannot be used: {error}"))
                    .hint("name another with `--cwd DIR`")
            })
        };
        let dir = match &self.cwd {
            Some(dir) if dir.is_absolute() => dir.clone(),
            Some(dir) => here()?.join(dir),
            None => here()?,
        };
        dir.into_os_string().into_string().map_err(|dir| {
            Failure::usage(format!("the directory `{}` has no UTF-8 name", dir.display()))
        })
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is written KEY=VALUE".to_owned()),
    }
}

fn success_code(text: &str) -> Result<u8, String> {
    text.trim().parse().map_err(|_| {
        format!("`{text}` is no exit code: give numbers from 0 to 255 with commas, such as `1,3`")
    })
}

fn variable(text: &str) -> Result<(String, String), Failure> {
    if let Some((name, value)) = text.split_once('=') {
        return Ok((name.to_owned(), value.to_owned()));
    }
    let value = std::env::var(text).map_err(|_| {
        Failure::usage(format!("`--env {text}`: there is no such variable here"))
            .hint(format!("give its value: `--env {text}=VALUE`"))
    })?;
    Ok((text.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use model::job::{Conditions, Keep, Retention};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: JobArgs,
    }

    fn args(line: &[&str]) -> JobArgs {
        Line::try_parse_from([&["run"], line].concat()).ok().unwrap().args
    }

    fn check(line: &[&str], expected: Result<&[&str], &str>) {
        let found = args(line).words(line.contains(&"--"));
        let found = found.map_err(|failure| failure.hint.unwrap());
        match (found, expected) {
            (Ok(words), Ok(expected)) => assert_eq!(words, expected),
            (Err(hint), Err(expected)) => assert!(hint.contains(expected), "{hint}"),
            (found, _) => panic!("{line:?}: {found:?}"),
        }
    }

    #[test]
    fn two_dashes_anywhere_mean_a_command() {
        check(&["--", "ls", "-l"], Ok(&["ls", "-l"]));
        check(&["ls", "--", "-l"], Ok(&["ls", "-l"]));
        check(&["ls", "--"], Ok(&["ls"]));
        check(&["ls"], Err("windlass run -- ls"));
        check(&[], Err("windlass run -- echo hello"));
    }

    #[test]
    fn every_flag_reaches_the_job() {
        let line = "--name n --array 1-9:2%3 --env A=b=c --cwd /tmp --timeout 90s --grace 1s \
            --priority 7 --cpus 0.5 --memory 256MiB --success-codes 1,3 --on-lost wait \
            --at-most-once --warn USR1:5s --pending-timeout 1m --start-timeout 2m \
            --total-timeout 3h --retries 4 --retry-backoff 1s,3,9s,5% --retry-on 75,timeout \
            --no-retry-on SIGKILL --max-failed 5% --losses-max 2 --label team=a --label b= \
            --keep 7,10 --keep-failed 90,20 --placement spread,headroom=25% --when-full fail \
            --runner noop -- x";
        let job = args(&line.split_whitespace().collect::<Vec<_>>());
        // The words of the test's own command line decide about `--`; give the command itself.
        let job = JobArgs { words: vec![], ..job }.job().unwrap();
        let task = TaskSpec::try_from(job.tasks[0].clone()).unwrap();
        let expected = TaskSpec {
            array: Some(ArraySpec { first: 1, last: 9, step: 2, parallel_max: 3 }),
            env: vec![("A".into(), "b=c".into())],
            cwd: "/tmp".into(),
            timeout_ms: 90_000,
            grace_ms: 1_000,
            priority: 7,
            resources: model::Resources { cpu_milli: 500, memory_bytes: 256 << 20 },
            success_codes: vec![1, 3],
            on_lost: OnLost::Wait,
            at_most_once: true,
            warn: Some(model::Warn { signal: 10, before_ms: 5_000 }),
            pending_timeout_ms: 60_000,
            start_timeout_ms: 120_000,
            total_timeout_ms: 10_800_000,
            retries: model::Retries {
                attempts: 4,
                base_ms: 1_000,
                factor_milli: 3_000,
                max_ms: 9_000,
                jitter_percent: 5,
                on: Conditions::parse("75,timeout").unwrap(),
                not_on: Conditions::parse("SIGKILL").unwrap(),
            },
            max_failed: Some(model::MaxFailed::Percent(5)),
            losses_max: 2,
            placement: model::Placement {
                when_full: model::WhenFull::Fail,
                ..model::Placement::parse("spread,headroom=25%").unwrap()
            },
            runner: Runner::Noop,
            ..TaskSpec::new(vec!["x".into()])
        };
        assert_eq!((job.name.as_str(), task), ("n", expected));
        let spec = JobSpec::try_from(job).unwrap();
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(spec.labels, [label("team", "a"), label("b", "")]);
        let (success, failure) = (Keep { days: 7, runs: 10 }, Keep { days: 90, runs: 20 });
        assert_eq!(spec.retention, Some(Retention { success, failure }));
    }

    #[test]
    fn a_list_makes_an_array_of_all_its_items() {
        let items = Items { blob: [7; 32], kind: ItemsKind::Lines };
        let check = |line: &[&str], expected: &str| {
            let args = JobArgs { words: vec!["x".into()], command: vec![], ..args(line) };
            // Words without `--` would be a job's name.
            let args = JobArgs { runner: RunnerArg::Noop, words: vec![], ..args };
            let job = args.job_of_items(items, 9).unwrap();
            let task = TaskSpec::try_from(job.tasks[0].clone()).unwrap();
            let expected = ArraySpec::parse(expected).unwrap();
            assert_eq!((task.items, task.array), (Some(items), Some(expected)));
        };
        check(&["--each-line", "f"], "1-9");
        check(&["--each-item", "-", "--parallel", "2"], "1-9%2");
        check(&["--each-line", "f", "--array", "1-3"], "1-3");
        check(&["--each-line", "f", "--array", "4-8:2"], "4-8:2");
    }

    #[test]
    fn all_faults_are_listed_in_the_users_words() {
        let line = ["--env", "WINDLASS_X=1", "--array", "1-20000000", "--", "x"];
        let failure = args(&line).job().unwrap_err();
        assert!(failure.message.starts_with("env: `WINDLASS_X`"), "{}", failure.message);
        assert!(failure.message.contains("\nerror: array: has 20000000 elements"));
    }
}
