//! `windlass purge`: forgets runs that have ended.

use api::json::Purged;
use proto::api::{PurgeRequest, PurgeResponse, RunFilter};

use crate::client::{self, Client, Target};
use crate::commands::filter::FilterArgs;
use crate::failure::Failure;
use crate::show::{ask, out, time};

const EXAMPLES: &str = "\
Examples:
  windlass purge --older-than 30d --dry-run
  windlass purge --name nightly --state succeeded -y

Only runs that have ended go. Their output can no longer be asked for; its
files go with the oldest, see `up --output-disk`. It goes on in small steps
even where this command is left.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Not taken: what is said of runs decides
    #[arg(value_name = "ID", hide = true)]
    ids: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Ended so long ago: `90s`, `2h`, `30d`
    #[arg(long, value_name = "TIME", value_parser = model::text::parse_duration_ms, help_heading = "Which runs")]
    older_than: Option<u64>,
    /// Every run that has ended
    #[arg(long, help_heading = "Which runs")]
    all: bool,
    /// Say why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Only count what would go
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    if let Some(id) = args.ids.first() {
        return Err(Failure::usage(format!("`purge` takes no ids, such as `{id}`")).hint(
            "say which ended runs go: `--name NAME`, `--state failed`, `--label KEY=VALUE` or `--older-than 30d`",
        ));
    }
    let any = args.filter.is_empty() && args.older_than.is_none();
    if any != args.all {
        return Err(match any {
            true => Failure::usage("which runs are to go?")
                .hint("say which, such as `--older-than 30d`, or `--all`"),
            false => Failure::usage("`--all` and a choice of runs disagree"),
        });
    }
    let asks = !args.yes && !args.dry_run;
    if asks && !ask::is_possible() {
        return Err(Failure::usage("nobody is there to be asked")
            .hint("give `-y` to purge, or `--dry-run` to count"));
    }
    let mut filter = args.filter.filter();
    filter.ended_before_ms =
        args.older_than.map_or(0, |age| time::now_ms().saturating_sub(age).max(1));
    let mut client = Client::connect(&target).await?;
    let would = match asks || args.dry_run {
        true => Some(purge(&mut client, &filter, &args.reason, true).await?),
        false => None,
    };
    let purged = match would {
        Some(would) if args.dry_run => would,
        Some(would) if !is_wanted(&would)? => return Ok(1),
        _ => purge(&mut client, &filter, &args.reason, false).await?,
    };
    if args.json {
        out::json(&Purged::new(&purged, args.dry_run))?;
    } else {
        let went = if args.dry_run { "would go" } else { "went" };
        out::line(format!("{} {went}", words(&purged)))?;
    }
    Ok(0)
}

async fn purge(
    client: &mut Client,
    filter: &RunFilter,
    reason: &str,
    dry_run: bool,
) -> Result<PurgeResponse, Failure> {
    let actor = format!("user:{}", client::user());
    let filter = Some(filter.clone());
    let request = PurgeRequest { filter, dry_run, reason: reason.to_owned(), actor };
    let answer = client.rpc.purge(request).await;
    Ok(answer.map_err(|status| client.failure("purge", &status))?.into_inner())
}

fn is_wanted(would: &PurgeResponse) -> Result<bool, Failure> {
    ask::whether(&format!("{} will go. Go on?", words(would)))
}

fn words(purged: &PurgeResponse) -> String {
    let PurgeResponse { runs, elements, bytes } = purged;
    let s = |count: &u64| if *count == 1 { "" } else { "s" };
    let size = model::text::size(*bytes);
    format!("{runs} run{} with {elements} element{}, about {size}", s(runs), s(elements))
}
