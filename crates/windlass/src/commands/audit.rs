//! `windlass audit`: who changed what, when, why and through what.

use proto::api::{AuditRequest, Change};

use crate::client::{Client, Target};
use crate::commands::filter::when;
use crate::failure::Failure;
use crate::show::table::{Align, Table};
use crate::show::{out, time};

const EXAMPLES: &str = "\
Examples:
  windlass audit --since 2h
  windlass audit --actor token:ci --action cancel --json

It lists submits, cancels, reruns and purges, tokens that were made, revoked
or have expired, and nodes that came or were taken down. It takes the role
admin. What was refused for want of a role stands in the node's log.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Since then: `2h`, `2026-11-20`, `2026-11-20T16:50`, in UTC
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<u64>,
    /// By this actor: `user:ann`, `token:ci`
    #[arg(long, value_name = "ACTOR", default_value = "", hide_default_value = true)]
    actor: String,
    /// Of this kind: `submit`, `cancel`, `purge`, `create-token`, …
    #[arg(long, value_name = "WHAT", default_value = "", hide_default_value = true)]
    action: String,
    /// At most N changes
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Those before this place, which the page before named
    #[arg(long, value_name = "PLACE", default_value = "", hide_default_value = true)]
    before: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut client = Client::connect(&target).await?;
    let Args { since, actor, action, limit, before, json } = args;
    let since_ms = since.unwrap_or(0);
    let (mut changes, mut damaged, mut next) = (Vec::new(), 0, before);
    // A page may be short of what is asked for.
    loop {
        let left = limit - changes.len() as u32;
        let (actor, action, before) = (actor.clone(), action.clone(), next);
        let request = AuditRequest { since_ms, actor, action, limit: left, before };
        let page = client.rpc.audit(request).await;
        let page = page.map_err(|status| client.failure("read the audit", &status))?.into_inner();
        changes.extend(page.changes);
        damaged += page.damaged;
        next = page.next_before;
        if next.is_empty() || changes.len() >= limit as usize {
            break;
        }
    }
    if json {
        out::json(&api::json::Audit::new(&changes, &next, damaged))?;
        return Ok(0);
    }
    out::data(table(&changes))?;
    if damaged > 0 {
        out::note(format!("{damaged} stretches of the audit are damaged; changes may be missing"));
    }
    if !next.is_empty() {
        out::note(format!("there are more: `--before {next}`"));
    }
    Ok(0)
}

fn table(changes: &[Change]) -> String {
    let mut table = Table::new(&[
        ("TIME", Align::Left),
        ("ACTOR", Align::Left),
        ("ACTION", Align::Left),
        ("ON", Align::Left),
        ("REASON", Align::Left),
    ]);
    for change in changes {
        table.row(vec![
            time::for_people_ms(change.time_ms),
            change.actor.clone(),
            change.action.clone(),
            change.on.clone(),
            change.reason.clone(),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_tells_who_did_what_to_what_and_why() {
        let change = Change {
            time_ms: 1_000,
            action: "cancel".into(),
            on: "812/main[3]".into(),
            actor: "token:ci".into(),
            reason: "wrong data".into(),
            address: "127.0.0.1:40000".into(),
            ..Default::default()
        };
        insta::assert_snapshot!(table(&[change]), @r"
        TIME                     ACTOR     ACTION  ON           REASON
        1970-01-01 00:00:01 UTC  token:ci  cancel  812/main[3]  wrong data
        ");
    }
}
