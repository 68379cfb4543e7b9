//! Waits until little is left to do, and says what the node says of itself then.

use std::time::{Duration, Instant};

use model::text;
use proto::api::GetServerRequest;
use serde_json::{Value, json};

use crate::client::{Client, Target};
use crate::failure::Failure;

const LOOK_AGAIN: Duration = Duration::from_millis(5);

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Until at most N tasks run or wait
    #[arg(long, value_name = "N", default_value_t = 0)]
    left: u64,
    /// Give up after TIME; `0s` looks once and takes what it sees
    #[arg(long, value_name = "TIME", value_parser = text::parse_duration_ms)]
    #[arg(default_value = "10m")]
    limit: u64,
}

pub(super) async fn work(args: &Args, target: &Target) -> Result<Value, Failure> {
    let mut client = Client::connect(target).await?;
    let start = Instant::now();
    loop {
        let answer = client.rpc.get_server(GetServerRequest {}).await;
        let server = answer.map_err(|status| client.failure("wait for the end", &status))?;
        let server = server.into_inner();
        let left = server.tasks_running + server.tasks_queued;
        if left <= args.left || args.limit == 0 {
            return Ok(json!({
                "running": server.tasks_running,
                "queued": server.tasks_queued,
                "applied_index": server.applied_index,
                "seconds": start.elapsed().as_secs_f64(),
            }));
        }
        if start.elapsed() > Duration::from_millis(args.limit) {
            return Err(Failure::new(format!("{left} tasks are left after all that time")));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
