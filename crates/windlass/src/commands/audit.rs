//! `windlass audit`: who changed what, when, why and through what.

use proto::api::{AuditRequest, Change, FollowAuditRequest};

use crate::client::{Client, Target};
use crate::commands::filter::when;
use crate::failure::Failure;
use crate::show::table::{Align, Table, plain};
use crate::show::{out, time};

const EXAMPLES: &str = "\
Examples:
  windlass audit --since 2h
  windlass audit -f                        the latest, and then as it happens
  windlass audit -f --after 4711 --json    go on where it was cut off
  windlass audit --actor token:ci --action cancel --json

It lists submits, cancels, reruns and purges, tokens that were made, revoked
or have expired, and nodes that came, were taken down or were lost. It takes
the role admin. What was refused for want of a role stands in the node's log.

With `-f` and `--after` the earliest come first, one a line, and the last line
on stderr says with which `--after` to go on: nothing is missed or told twice.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Go on with what is changed from now on
    #[arg(short, long, conflicts_with = "before")]
    follow: bool,
    /// Show everything behind this index, which an earlier call has told
    #[arg(long, value_name = "INDEX", conflicts_with_all = ["before", "since", "limit"])]
    after: Option<u64>,
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
    /// Print JSON: with `-f` or `--after` an object a line
    #[arg(long)]
    json: bool,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut client = Client::connect(&target).await?;
    if args.follow || args.after.is_some() {
        return follow(&mut client, args).await;
    }
    let json = args.json;
    let Listed { changes, damaged, next } = list(&mut client, args).await?;
    if json {
        out::json(&api::json::Audit::new(&changes, &next, damaged))?;
        return Ok(0);
    }
    out::data(table(&changes))?;
    tell_damage(damaged);
    if !next.is_empty() {
        out::note(format!("there are more: `--before {next}`"));
    }
    Ok(0)
}

/// Changes, the latest first.
struct Listed {
    changes: Vec<Change>,
    damaged: u64,
    next: String,
}

async fn list(client: &mut Client, args: Args) -> Result<Listed, Failure> {
    let Args { since, actor, action, limit, before, .. } = args;
    let since_ms = since.unwrap_or(0);
    let mut listed = Listed { changes: Vec::new(), damaged: 0, next: before };
    // A page may be short of what is asked for.
    loop {
        let left = limit - listed.changes.len() as u32;
        let (actor, action, before) = (actor.clone(), action.clone(), listed.next);
        let request = AuditRequest { since_ms, actor, action, limit: left, before };
        let page = client.rpc.audit(request).await;
        let page = page.map_err(|status| client.failure("read the audit", &status))?.into_inner();
        listed.changes.extend(page.changes);
        listed.damaged += page.damaged;
        listed.next = page.next_before;
        if listed.next.is_empty() || listed.changes.len() >= limit as usize {
            return Ok(listed);
        }
    }
}

/// Shows what was changed, the earliest first, and what is changed until somebody presses Ctrl-C.
async fn follow(client: &mut Client, args: Args) -> Result<u8, Failure> {
    let request = FollowAuditRequest {
        actor: args.actor.clone(),
        action: args.action.clone(),
        after: args.after,
        follow: args.follow,
    };
    let batches = client.rpc.follow_audit(request).await;
    let mut batches =
        batches.map_err(|status| client.failure("follow the audit", &status))?.into_inner();
    let (json, mut fresh) = (args.json, args.after.is_none());
    let mut args = Some(args);
    let mut last = 0;
    let ended = loop {
        let batch = tokio::select! {
            batch = batches.message() => batch,
            _ = tokio::signal::ctrl_c() => Ok(None),
        };
        let batch = match batch {
            Ok(Some(batch)) => batch,
            Ok(None) => break Ok(0),
            Err(status) => break Err(client.failure("follow the audit", &status)),
        };
        last = batch.index;
        // What was before is exactly what the stream does not tell.
        if let Some(args) = args.take_if(|_| std::mem::take(&mut fresh)) {
            let before = format!("{}.0", last + 1);
            let Listed { changes, damaged, .. } = list(client, Args { before, ..args }).await?;
            changes.iter().rev().try_for_each(|change| shown(change, json))?;
            tell_damage(damaged);
        }
        batch.changes.iter().try_for_each(|change| shown(change, json))?;
        tell_damage(batch.damaged);
    };
    if last > 0 {
        out::note(format!("to go on from here: `windlass audit --after {last}`"));
    }
    ended
}

fn shown(change: &Change, json: bool) -> Result<(), Failure> {
    match json {
        true => out::json_line(&api::json::Change::from(change)),
        false => out::line(line(change)),
    }
}

/// `2026-11-20 16:50:00  token:ci  cancel 812/main[3]: wrong data`
fn line(change: &Change) -> String {
    let time = time::for_people_ms(change.time_ms);
    let time = time.trim_end_matches(" UTC");
    let reason = match change.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    plain(&format!("{time}  {}  {} {}{reason}", change.actor, change.action, change.on))
}

fn tell_damage(damaged: u64) {
    if damaged > 0 {
        out::note(format!("{damaged} stretches of the audit are damaged; changes may be missing"));
    }
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
        insta::assert_snapshot!(line(&change), @"1970-01-01 00:00:01  token:ci  cancel 812/main[3]: wrong data");
        insta::assert_snapshot!(table(&[change]), @r"
        TIME                     ACTOR     ACTION  ON           REASON
        1970-01-01 00:00:01 UTC  token:ci  cancel  812/main[3]  wrong data
        ");
    }
}
