//! `windlass run`: submits a command, shows its output, and exits with its code.

mod follow;
mod items;
mod job;
pub(crate) mod policy;
mod secret;

use api::json::Submitted;
use proto::api::SubmitRequest;
use uuid::Uuid;

use crate::client::patience::Patience;
use crate::client::{Client, Target};
use crate::failure::Failure;
use crate::show::out;
use crate::show::output::{Form, Output};

const EXIT_CODES: &str = "\
Exit codes: the task's own; 128+N if signal N ended it; 124 if it ran longer
than `--timeout`; 127 if the command was not found, 126 if it cannot be
executed; 125 is Windlass's own failure, 2 wrong usage. An array exits with
0 if all succeeded, else as the failed element of the lowest index.

Ctrl-C asks what is meant: cancel the run (c), leave it running (d), or go on
waiting (w); a second one cancels. Where no terminal is there to ask, Ctrl-C
cancels. Another one while it is being canceled leaves it and exits with 130.

A task's standard input is empty. Of the variables here it finds those that
`--env` names, beside a few of its own such as WINDLASS_INDEX.";

const EXIT_CODES_SHORT: &str = "\
Exit codes: the task's own, 128+N for signal N, 124 after `--timeout`, 125 if
Windlass itself failed. `--help` tells of more flags, Ctrl-C and arrays.";

const EXAMPLES: &str = "\
Examples:
  windlass run -- make test
  windlass run --array 1-100%8 --cpus 0.5 -- sh -c 'echo $WINDLASS_INDEX'
  windlass run --each-line hosts.txt -- sh -c 'ping -c1 $WINDLASS_ITEM'
  windlass run -d --retries 3 --retry-on 75,timeout --timeout 1h -- ./nightly";

#[derive(clap::Args, Debug)]
#[command(after_help = EXIT_CODES_SHORT, after_long_help = format!("{EXIT_CODES}\n\n{EXAMPLES}"))]
pub(crate) struct Args {
    /// Print the run's number and do not wait
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    job: job::JobArgs,
    /// Submit once, however often this is called with KEY
    #[arg(long, value_name = "KEY", hide_short_help = true)]
    idempotency_key: Option<String>,
    /// Leave lines as they were written, without the index before them
    #[arg(long)]
    raw: bool,
    /// Print JSON: an object a line, or one with `--detach`
    #[arg(long, conflicts_with = "raw")]
    json: bool,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    submitted(args, target).await.map_err(in_flags)
}

/// What no node has is named by the flags that ask for it.
fn in_flags(failure: Failure) -> Failure {
    let message = &failure.message;
    let Some((before, fault)) = message.split_once("tasks[0].") else { return failure };
    let named = match fault.split_once(": ") {
        Some(("resources.cpu_milli", fault)) => format!("--cpus: {fault}"),
        Some(("resources.memory_bytes", fault)) => format!("--memory: {fault}"),
        Some(("resources", fault)) => format!("--cpus and --memory: {fault}"),
        Some(("placement.headroom", fault)) => format!("--placement: {fault}"),
        _ => return failure,
    };
    let message = format!("{before}{named}");
    Failure { message, ..failure }.hint("ask for less; `windlass node ls` shows what nodes have")
}

async fn submitted(args: Args, target: Target) -> Result<u8, Failure> {
    let mut job = args.job.job()?;
    let idempotency_key =
        args.idempotency_key.clone().unwrap_or_else(|| format!("cli-{}", Uuid::new_v4()));
    let mut client = Client::connect(&target).await?;
    if let Some((path, kind)) = args.job.items() {
        let (items, count) = items::upload(&mut client, path, kind).await?;
        job = args.job.job_of_items(items, count)?;
    }
    let bar_wanted = !args.raw && job.tasks.iter().any(|task| task.array.is_some());
    let request = SubmitRequest { job: Some(job), idempotency_key };
    if args.detach {
        return submit(&mut client, request, args.json).await;
    }
    let output = Output::new(match (args.json, args.raw) {
        (true, _) => Form::Json,
        (_, true) => Form::Raw,
        _ => Form::Plain,
    });
    let verbose = target.verbose > 0;
    follow::Follow::new(client, request, output, args.json, verbose, bar_wanted)?.run().await
}

/// Submits and prints the number alone.
async fn submit(client: &mut Client, request: SubmitRequest, json: bool) -> Result<u8, Failure> {
    let mut patience = Patience::new();
    let answer = loop {
        match client.rpc.submit(request.clone()).await {
            Ok(answer) => break answer.into_inner(),
            // The key makes a second try harmless.
            Err(status) => patience.bear(client, "submit", &status).await?,
        }
    };
    if json {
        out::json(&Submitted::from(&answer))?;
    } else {
        out::line(answer.run.to_string())?;
    }
    Ok(0)
}
