//! Requests by plain HTTP at a constant rate, whether or not the node keeps up.
//!
//! The time of each counts from the instant at which it was due, not from that at which it could be
//! sent: a node that stalls for a second is not spared the requests of that second. The connections
//! stay open, and each has one request under way.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::times::Times;
use crate::client::{Target, addr, find_token};
use crate::failure::Failure;

/// How long an answer may take before that is a failure.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Bytes of an answer that is taken.
const ANSWER_BYTES_MAX: usize = 64 << 20;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The path, with its query
    #[arg(long, value_name = "PATH", default_value = "/healthz")]
    path: String,
    /// Requests a second, all connections together
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// For so many seconds
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u32,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 32)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    clients: u32,
}

pub(super) async fn work(args: &Args, target: &Target) -> Result<Value, Failure> {
    let addr = addr::normal(&target.node)?;
    let token = find_token(target, &addr)?;
    let Args { path, rate, seconds, clients } = args;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\naccept: */*\r\n\r\n",
        addr
    );
    let mut tasks = JoinSet::new();
    let start = Instant::now() + Duration::from_millis(100);
    let calls = u64::from(*rate) * u64::from(*seconds);
    for client in 0..*clients {
        let stream = TcpStream::connect(&addr).await;
        let stream = stream.map_err(|error| failure(&addr, &error))?;
        stream.set_nodelay(true).map_err(|error| failure(&addr, &error))?;
        let due = (u64::from(client)..calls).step_by(*clients as usize);
        let rate = f64::from(*rate);
        let due = due.map(move |number| start + Duration::from_secs_f64(number as f64 / rate));
        let (request, addr) = (request.clone(), addr.clone());
        tasks.spawn(async move {
            one(stream, &request, due).await.map_err(|error| failure(&addr, &error))
        });
    }
    let mut times = Times::default();
    while let Some(done) = tasks.join_next().await {
        times.merge(done.expect("a client does not panic")?);
    }
    let mut summary = times.summary(start.elapsed());
    summary["clients"] = (*clients).into();
    summary["rate"] = (*rate).into();
    Ok(summary)
}

fn failure(addr: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot ask the node at {addr}: {error}"))
}

/// One connection: each request when it is due, or as soon as the one before is answered.
async fn one(
    stream: TcpStream,
    request: &str,
    due: impl Iterator<Item = Instant>,
) -> std::io::Result<Times> {
    let mut stream = BufReader::new(stream);
    let mut times = Times::default();
    let mut body = Vec::new();
    for due in due {
        sleep_until(due).await;
        stream.write_all(request.as_bytes()).await?;
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        timeout(ANSWER_WITHIN, answer(&mut stream, &mut body)).await.map_err(|_| late())??;
        times.add(due.elapsed());
    }
    Ok(times)
}

/// Reads an answer, which must be a good one of known length.
async fn answer(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> std::io::Result<()> {
    let mut line = String::new();
    let mut first = String::new();
    let mut length = None;
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        if first.is_empty() {
            text.clone_into(&mut first);
        } else if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    let length = length.filter(|length| *length <= ANSWER_BYTES_MAX);
    let Some(length) = length.filter(|_| first.contains(" 200 ")) else {
        return Err(std::io::Error::other(format!("it answered `{first}`")));
    };
    body.resize(length, 0);
    stream.read_exact(body).await.map(drop)
}
