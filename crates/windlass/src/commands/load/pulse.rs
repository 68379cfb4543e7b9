//! A steady beat of small commits: a job is submitted and cancelled, again and again.
//!
//! Whatever stalls the node for a moment shows as a slow beat, with the time it was seen at.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::{TaskSpec, text};
use proto::api::{CancelRequest, SubmitRequest};
use proto::job;
use serde_json::{Value, json};
use tonic::Status;

use super::times::Times;
use crate::client::{Client, Target};
use crate::failure::Failure;

/// Slow beats that are told of one by one.
const SLOWEST: usize = 50;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// How long
    #[arg(long = "for", value_name = "TIME", value_parser = text::parse_duration_ms)]
    #[arg(default_value = "10s")]
    duration: u64,
    /// From one beat to the next
    #[arg(long, value_name = "TIME", value_parser = text::parse_duration_ms, default_value = "1ms")]
    pause: u64,
}

pub(super) async fn work(args: &Args, target: &Target) -> Result<Value, Failure> {
    let mut client = Client::connect(target).await?;
    let mut times = Times::default();
    let mut beats = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(args.duration) {
        let at = SystemTime::now();
        let [submit, cancel] =
            beat(&mut client).await.map_err(|status| client.failure("beat", &status))?;
        for took in [submit, cancel] {
            times.add(took);
        }
        beats.push((submit.max(cancel), at));
        if beats.len() >= 2 * SLOWEST {
            keep_slowest(&mut beats);
        }
        tokio::time::sleep(Duration::from_millis(args.pause)).await;
    }
    keep_slowest(&mut beats);
    let slowest = beats.iter().map(|(took, at)| {
        let at_ms = at.duration_since(UNIX_EPOCH).map_or(0, |at| at.as_millis() as u64);
        json!({ "at_ms": at_ms, "ms": took.as_secs_f64() * 1e3 })
    });
    let slowest: Vec<_> = slowest.collect();
    let mut summary = times.summary(start.elapsed());
    summary["slowest"] = slowest.into();
    Ok(summary)
}

fn keep_slowest(beats: &mut Vec<(Duration, SystemTime)>) {
    beats.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
    beats.truncate(SLOWEST);
}

/// How long the two commits took: a job of the lowest priority comes, and goes again.
async fn beat(client: &mut Client) -> Result<[Duration; 2], Status> {
    let mut task = TaskSpec::new(vec!["/bin/true".to_owned()]);
    task.cwd = "/".to_owned();
    task.priority = 0;
    let job = Some(job::Job::from(&super::job(task)));
    let start = Instant::now();
    let answer = client.rpc.submit(SubmitRequest { job, idempotency_key: String::new() }).await?;
    let submitted = start.elapsed();
    let ids = vec![answer.into_inner().run.to_string()];
    client.rpc.cancel(CancelRequest { ids, ..CancelRequest::default() }).await?;
    Ok([submitted, start.elapsed() - submitted])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_beats_are_kept() {
        let mut beats: Vec<_> =
            (0..200).map(|ms| (Duration::from_millis(ms), UNIX_EPOCH)).collect();
        keep_slowest(&mut beats);
        assert_eq!(beats.len(), SLOWEST);
        assert_eq!(beats[0].0, Duration::from_millis(199));
    }
}
