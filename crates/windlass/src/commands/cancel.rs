//! `windlass cancel`: runs, or parts of them.

use proto::api::{CancelRequest, Canceled};

use crate::client::{self, Client, Target};
use crate::failure::Failure;
use crate::show::out;

const EXAMPLES: &str = "\
Examples:
  windlass cancel 812
  windlass cancel 812/main[3,7-9] --reason 'wrong input'

Elements that run get SIGTERM and, after their grace, SIGKILL, each with all
its children. `windlass wait ID` waits until they have ended.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Runs (`812`, `last`) or parts of them (`812/main[3-5]`)
    #[arg(value_name = "ID", required = true, add = clap_complete::ArgValueCandidates::new(crate::complete::runs))]
    ids: Vec<String>,
    /// Say why, for whoever looks at it later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    for id in &args.ids {
        client::check_id(id)?;
    }
    let mut client = Client::connect(&target).await?;
    let what = format!("cancel `{}`", args.ids.join(" "));
    let actor = format!("user:{}", client::user());
    let request = CancelRequest { ids: args.ids, reason: args.reason, actor };
    let answer = client.rpc.cancel(request).await;
    let canceled = answer.map_err(|status| client.failure(&what, &status))?.into_inner().canceled;
    if args.json {
        out::json(&api::json::Cancellation::from(&canceled[..]))?;
        return Ok(0);
    }
    for one in &canceled {
        out::line(line(one))?;
    }
    Ok(0)
}

fn line(one: &Canceled) -> String {
    let parts = [
        (one.stopping, "being stopped"),
        (one.ended, "canceled before they started"),
        (one.already_ended, "had ended before"),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| match count {
            1 => format!("1 {}", what.replace("they", "it")),
            _ => format!("{count} {what}"),
        })
        .collect();
    let text = if parts.is_empty() { "nothing was selected".to_owned() } else { parts.join(", ") };
    format!("{}: {text}", one.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_is_said() {
        let one = |ended, stopping, already_ended| {
            line(&Canceled { id: "7".into(), ended, stopping, already_ended })
        };
        assert_eq!(one(0, 1, 0), "7: 1 being stopped");
        assert_eq!(
            one(3, 1, 2),
            "7: 1 being stopped, 3 canceled before they started, 2 had ended before"
        );
        assert_eq!(one(1, 0, 0), "7: 1 canceled before it started");
        assert_eq!(one(0, 0, 0), "7: nothing was selected");
    }
}
