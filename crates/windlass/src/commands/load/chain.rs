//! Tasks one by one: each is submitted when the one before has ended, on one connection.

use std::time::Instant;

use model::TaskSpec;
use proto::api::{SubmitRequest, run_event::Kind};
use proto::job;
use serde_json::Value;
use tonic::Status;

use super::times::Times;
use crate::client::{Client, Target};
use crate::failure::Failure;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Tasks in all
    #[arg(long, alias = "count", value_name = "N", default_value_t = 200)]
    links: u32,
    #[arg(long, value_name = "N", default_value_t = TaskSpec::PRIORITY)]
    priority: u32,
}

pub(super) async fn work(args: &Args, target: &Target) -> Result<Value, Failure> {
    let mut client = Client::connect(target).await?;
    let mut times = Times::default();
    let start = Instant::now();
    for _ in 0..args.links {
        let link = Instant::now();
        let ended = run(&mut client, args.priority).await;
        match ended.map_err(|status| client.failure("run a task", &status))? {
            Some(0) => times.add(link.elapsed()),
            code => return Err(Failure::new(format!("a link of the chain ended with {code:?}"))),
        }
    }
    Ok(times.summary(start.elapsed()))
}

/// Runs one task; its exit code, if the node told of its end.
async fn run(client: &mut Client, priority: u32) -> Result<Option<i32>, Status> {
    let mut task = TaskSpec::new(vec!["/bin/true".to_owned()]);
    task.cwd = "/".to_owned();
    task.priority = priority;
    let job = Some(job::Job::from(&super::job(task)));
    let request = SubmitRequest { job, idempotency_key: String::new() };
    let mut events = client.rpc.run(request).await?.into_inner();
    let mut code = None;
    while let Some(event) = events.message().await? {
        if let Some(Kind::Ended(end)) = event.kind {
            code = Some(end.exit_code);
        }
    }
    Ok(code)
}
