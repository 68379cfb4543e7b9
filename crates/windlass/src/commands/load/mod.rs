//! `windlass __load`: a fast client for benchmarks, hidden from people.
//!
//! Starting a process for each call would measure the start of processes; this is one process with
//! as many connections as asked. Each work prints one line of JSON with counts and times. It must
//! never do what another client could not do: it speaks the public interface alone.

mod chain;
mod crowd;
mod drain;
mod http;
mod ping;
mod pulse;
mod submit;
mod times;

use model::{JobSpec, TaskSpec};

use crate::client::Target;
use crate::failure::Failure;
use crate::show::out;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    work: Work,
}

#[derive(clap::Subcommand, Debug)]
enum Work {
    /// Submit jobs, each acknowledged before its client submits the next
    Submit(submit::Args),
    /// Make a call that does nothing
    Ping(ping::Args),
    /// Make requests by plain HTTP at a constant rate
    Http(http::Args),
    /// Run tasks one by one, each when the one before has ended
    #[command(alias = "latency")]
    Chain(chain::Args),
    /// Submit and cancel small jobs for a while
    Pulse(pulse::Args),
    /// Wait until little is left to do
    Drain(drain::Args),
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let found = match args.work {
        Work::Submit(args) => submit::work(&args, &target).await,
        Work::Ping(args) => ping::work(&args, &target).await,
        Work::Http(args) => http::work(&args, &target).await,
        Work::Chain(args) => chain::work(&args, &target).await,
        Work::Pulse(args) => pulse::work(&args, &target).await,
        Work::Drain(args) => drain::work(&args, &target).await,
    };
    out::line(found?.to_string())?;
    Ok(0)
}

/// A job of one task.
fn job(task: TaskSpec) -> JobSpec {
    JobSpec {
        namespace: "default".to_owned(),
        owner: "load".to_owned(),
        actor: "user:load".to_owned(),
        origin: "cli".to_owned(),
        tasks: vec![task],
        ..JobSpec::default()
    }
}
