//! A steady beat of small commits: a job is submitted and cancelled, again and again.
//!
//! Whatever stalls the node for a moment shows as a slow beat, and with `--all` when that was.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::{TaskSpec, text};
use proto::api::{CancelRequest, SubmitRequest};
use proto::job;
use serde_json::{Value, json};
use tonic::Status;

use super::times::Times;
use crate::client::{Client, Target};
use crate::failure::Failure;

/// Commits that are told of one by one; more are only counted.
const TOLD_MAX: usize = 200_000;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// How long
    #[arg(long = "for", value_name = "TIME", value_parser = text::parse_duration_ms)]
    #[arg(default_value = "10s")]
    duration: u64,
    /// From one beat to the next
    #[arg(long, value_name = "TIME", value_parser = text::parse_duration_ms, default_value = "1ms")]
    pause: u64,
    /// Make each job so large: it fills the journal, and what is cancelled fills nothing else
    #[arg(long, value_name = "SIZE", value_parser = text::parse_size, default_value = "0")]
    payload: u64,
    /// Tell of each commit: when it began, in Unix milliseconds, and how long it took
    #[arg(long)]
    all: bool,
}

pub(super) async fn work(args: &Args, target: &Target) -> Result<Value, Failure> {
    let mut client = Client::connect(target).await?;
    let mut times = Times::default();
    let mut commits = Vec::new();
    let payload = "x".repeat(usize::try_from(args.payload).unwrap_or(usize::MAX));
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(args.duration) {
        let beat = beat(&mut client, payload.clone())
            .await
            .map_err(|status| client.failure("beat", &status))?;
        for (at_ms, took) in beat {
            times.add(took);
            if commits.len() < TOLD_MAX {
                commits.push(json!([at_ms, took.as_secs_f64() * 1e3]));
            }
        }
        tokio::time::sleep(Duration::from_millis(args.pause)).await;
    }
    let mut summary = times.summary(start.elapsed());
    if args.all {
        summary["commits"] = commits.into();
    }
    Ok(summary)
}

/// When each of the two commits began, and how long it took: a job of the lowest priority comes,
/// and goes again.
async fn beat(client: &mut Client, payload: String) -> Result<[(u64, Duration); 2], Status> {
    let mut task = TaskSpec::new(vec!["/bin/true".to_owned()]);
    task.cwd = "/".to_owned();
    task.priority = 0;
    task.env = vec![("PAYLOAD".to_owned(), payload)];
    let job = Some(job::Job::from(&super::job(task)));
    let (at_ms, start) = (now_ms(), Instant::now());
    let answer = client.rpc.submit(SubmitRequest { job, idempotency_key: String::new() }).await?;
    let submit = (at_ms, start.elapsed());
    let ids = vec![answer.into_inner().run.to_string()];
    let (at_ms, start) = (now_ms(), Instant::now());
    client.rpc.cancel(CancelRequest { ids, ..CancelRequest::default() }).await?;
    Ok([submit, (at_ms, start.elapsed())])
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64)
}
