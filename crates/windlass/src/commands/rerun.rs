//! `windlass rerun`: repeats what has ended, as a run of its own.

use api::json::Submitted;
use proto::api::RerunRequest;
use uuid::Uuid;

use crate::client::patience::Patience;
use crate::client::{self, Client, Target};
use crate::failure::Failure;
use crate::show::out;

const EXAMPLES: &str = "\
Examples:
  windlass rerun 812                all of it
  windlass rerun --failed 812       what did not succeed
  windlass rerun 812/main[3,7-9]    some elements of an array
  windlass wait $(windlass rerun --failed last)

It prints the number of a new run, which names the old one and takes over the
results of what it does not repeat. The old run stays as it is.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run that has ended (`812`, `last`) or parts of it (`812/main[3-5]`)
    #[arg(value_name = "ID", add = clap_complete::ArgValueCandidates::new(crate::complete::runs))]
    id: String,
    /// Of these only what did not succeed
    #[arg(long)]
    failed: bool,
    /// Repeat once, however often this is called with KEY
    #[arg(long, value_name = "KEY", hide_short_help = true)]
    idempotency_key: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    client::check_id(&args.id)?;
    let mut client = Client::connect(&target).await?;
    // The new run is the latest; asked a second time, `last` would mean it.
    let id = client.pin(&args.id).await?;
    let key = args.idempotency_key.unwrap_or_else(|| format!("cli-{}", Uuid::new_v4()));
    let request = RerunRequest {
        id,
        failed: args.failed,
        idempotency_key: key,
        actor: format!("user:{}", client::user()),
    };
    let what = format!("repeat `{}`", args.id);
    let mut patience = Patience::new();
    let answer = loop {
        match client.rpc.rerun(request.clone()).await {
            Ok(answer) => break answer.into_inner(),
            // The key makes a second try harmless.
            Err(status) => patience.bear(&client, &what, &status).await?,
        }
    };
    if args.json {
        out::json(&Submitted::from(&answer))?;
    } else {
        out::line(answer.run.to_string())?;
    }
    Ok(0)
}
