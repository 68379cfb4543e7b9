//! Jobs from many clients, each acknowledged as durable before its client submits the next.
//!
//! No two jobs are alike: the number of the job is an argument of its command.

use model::job::{ArraySpec, Runner};
use model::{JobSpec, TaskSpec, text};
use proto::api::SubmitRequest;
use proto::job;
use serde_json::Value;
use tonic::Status;

use super::crowd::{Call, Crowd};
use crate::client::{Client, Target};
use crate::failure::Failure;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    clients: u32,
    /// Jobs in all
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: u64,
    /// Make each job an array
    #[arg(long, value_name = "FIRST-LAST", value_parser = ArraySpec::parse)]
    array: Option<ArraySpec>,
    /// Ask for N different amounts of memory and processors, in turn
    #[arg(long, value_name = "N", default_value_t = 1)]
    shapes: u64,
    /// The processors of the largest shape
    #[arg(long, value_name = "N", value_parser = text::parse_cpus, default_value = "1")]
    cpus: u64,
    #[arg(long, value_name = "N", default_value_t = TaskSpec::PRIORITY)]
    priority: u32,
    /// What runs them: `process` or `noop`
    #[arg(long, value_name = "RUNNER", value_parser = runner, default_value = "process")]
    runner: Runner,
    /// Give each job an idempotency key
    #[arg(long)]
    keys: bool,
}

pub(super) async fn work(args: &Args, target: &Target) -> Result<Value, Failure> {
    let crowd = Crowd { clients: args.clients, calls: args.jobs };
    let submit = Submit {
        array: args.array,
        shapes: args.shapes.max(1),
        cpu_milli: args.cpus,
        priority: args.priority,
        runner: args.runner,
        keys: args.keys.then(|| uuid::Uuid::new_v4().to_string()),
    };
    crowd.make(target, submit).await
}

fn runner(text: &str) -> Result<Runner, String> {
    match text {
        "process" => Ok(Runner::Process),
        "noop" => Ok(Runner::Noop),
        _ => Err("it is `process` or `noop`".to_owned()),
    }
}

struct Submit {
    array: Option<ArraySpec>,
    shapes: u64,
    cpu_milli: u64,
    priority: u32,
    runner: Runner,
    /// What the keys begin with, where jobs have any.
    keys: Option<String>,
}

impl Call for Submit {
    const WHAT: &str = "submit";

    async fn make(&self, client: &mut Client, number: u64) -> Result<(), Status> {
        let key = self.keys.as_ref().map(|start| format!("{start}-{number}"));
        let request = SubmitRequest {
            job: Some(job::Job::from(&self.job(number))),
            idempotency_key: key.unwrap_or_default(),
        };
        client.rpc.submit(request).await.map(drop)
    }
}

impl Submit {
    fn job(&self, number: u64) -> JobSpec {
        let mut task = TaskSpec::new(vec!["/bin/true".to_owned(), number.to_string()]);
        task.cwd = "/".to_owned();
        task.array = self.array;
        task.priority = self.priority;
        task.runner = self.runner;
        let shape = number % self.shapes;
        // Few enough of each that many still fit beside each other, and no two shapes alike.
        task.resources.cpu_milli = self.cpu_milli.saturating_sub(shape % 10).max(1);
        task.resources.memory_bytes = (shape / 10) << 10;
        super::job(task)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn shapes_differ_and_jobs_are_good() {
        let submit = Submit {
            array: None,
            shapes: 1_000,
            cpu_milli: 1_000,
            priority: 50,
            runner: Runner::Noop,
            keys: None,
        };
        let jobs: Vec<_> = (0..2_000).map(|number| submit.job(number)).collect();
        let shape = |job: &JobSpec| {
            let wants = job.tasks[0].resources;
            (wants.cpu_milli, wants.memory_bytes)
        };
        assert_eq!(jobs.iter().map(shape).collect::<BTreeSet<_>>().len(), 1_000);
        assert!(jobs.iter().all(|job| job.faults().is_empty()));
        assert_ne!(jobs[0].tasks[0].command, jobs[1_000].tasks[0].command);
    }
}
