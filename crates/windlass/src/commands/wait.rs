//! `windlass wait`: until runs, or parts of them, have ended.

use api::json::{EndedOf, Ends};
use model::Selector;
use proto::api::{RunEnd, WaitEvent, WaitRequest, wait_event::Kind};
use tonic::{Code, Status};

use crate::client::patience::Patience;
use crate::client::{Client, Target};
use crate::failure::Failure;
use crate::show::out;
use crate::show::progress::Progress;

const EXIT_CODES: &str = "\
Exit codes: of one ID as `windlass run` gives it; of several 0 if all
succeeded, else that of the first in their order which did not. 125 is
Windlass's own failure, 2 wrong usage.";

const EXAMPLES: &str = "\
Examples:
  windlass wait last && echo done
  id=$(windlass run -d -- make); …; windlass wait $id
  windlass wait 812/main[3-5] 813";

#[derive(clap::Args, Debug)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{EXIT_CODES}\n\n{EXAMPLES}"))]
pub(crate) struct Args {
    /// Runs (`812`, `last`) or parts of them (`812/main[3-5]`)
    #[arg(value_name = "ID", required = true, add = clap_complete::ArgValueCandidates::new(crate::complete::runs))]
    ids: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    for id in &args.ids {
        Selector::parse(id).map_err(|error| Failure::usage(error.to_string()))?;
    }
    let mut client = Client::connect(&target).await?;
    let mut ids = Vec::new();
    for id in &args.ids {
        ids.push(client.pin(id).await?);
    }
    let ends = wait(&mut client, &ids).await?;
    if args.json {
        let ended = (ids.iter().zip(&ends))
            .map(|(id, end)| EndedOf { id: id.clone(), end: end.into() })
            .collect();
        out::json(&Ends { ended })?;
    } else {
        for (id, end) in ids.iter().zip(&ends) {
            out::line(format!("{id}: {}", end.summary))?;
        }
    }
    Ok(ends.iter().map(exit_code).find(|code| *code != 0).unwrap_or(0))
}

pub(crate) fn exit_code(end: &RunEnd) -> u8 {
    u8::try_from(end.exit_code).unwrap_or(crate::failure::exit::OWN)
}

/// Waits as long as it takes, over restarts of the node.
async fn wait(client: &mut Client, ids: &[String]) -> Result<Vec<RunEnd>, Failure> {
    let what = format!("wait for `{}`", ids.join(" "));
    let mut patience = Patience::new();
    let mut progress = Progress::new();
    loop {
        let mut ends = Vec::new();
        let lost = attempt(client, ids, &mut ends, &mut progress, &mut patience).await;
        progress.clear();
        match lost {
            Ok(()) => return Ok(ends),
            Err(status) => patience.bear(client, &what, &status).await?,
        }
    }
}

async fn attempt(
    client: &mut Client,
    ids: &[String],
    ends: &mut Vec<RunEnd>,
    progress: &mut Progress,
    patience: &mut Patience,
) -> Result<(), Status> {
    let mut events = client.rpc.wait(WaitRequest { ids: ids.to_vec() }).await?.into_inner();
    while ends.len() < ids.len() {
        let event = events.message().await?;
        let Some(WaitEvent { kind }) = event else {
            return Err(Status::new(Code::Unavailable, "the node ended the call"));
        };
        patience.answered();
        match kind {
            Some(Kind::Progress(at)) => progress.update("ended", at.ended, at.total),
            Some(Kind::Ended(end)) => ends.push(end),
            None => {}
        }
    }
    Ok(())
}
