//! `windlass ps`: runs, latest first.

use proto::api::{ListRunsRequest, ListRunsResponse, RunSummary};

use crate::client::{Client, Target};
use crate::commands::filter::FilterArgs;
use crate::failure::Failure;
use crate::show::table::{Align, Table, cut, name_width, screen_width};
use crate::show::{out, time};

const EXAMPLES: &str = "\
Examples:
  windlass ps                       what is queued or runs
  windlass ps --all -n 10           the last ten runs, ended ones too
  windlass ps --state failed --since 2h
  windlass ps --all --name nightly --label team=a
  windlass ps --json | jq '.runs[].run'";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Show ended runs too
    #[arg(short, long)]
    all: bool,
    /// Show at most N runs
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Show only runs before this one, to go on where a list ended
    #[arg(long, value_name = "RUN", default_value_t = 0, hide_default_value = true)]
    before: u64,
    #[command(flatten)]
    filter: FilterArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut client = Client::connect(&target).await?;
    let answer = list(&mut client, &args).await?;
    if args.json {
        out::json(&api::json::RunPage::new(&answer.runs, answer.next_before))?;
        return Ok(0);
    }
    out::data(table(&answer.runs, time::now_ms()))?;
    if answer.damaged > 0 {
        out::note(damage(answer.damaged));
    }
    if answer.next_before > 0 {
        out::note(format!("there are more: add `--before {}`", answer.next_before));
    } else if answer.runs.is_empty() && !args.all && args.filter.is_empty() {
        out::note("nothing is queued or running; `--all` shows ended runs");
    }
    Ok(0)
}

/// As many runs as are wanted. A node looks at so many for one answer, so that a page may be short,
/// or empty, and others follow.
async fn list(client: &mut Client, args: &Args) -> Result<ListRunsResponse, Failure> {
    let mut found = ListRunsResponse { next_before: args.before, ..Default::default() };
    loop {
        let request = ListRunsRequest {
            all: args.all || args.filter.looks_back(),
            limit: args.limit - found.runs.len() as u32,
            before: found.next_before,
            filter: Some(args.filter.filter()),
        };
        let page = client.rpc.list_runs(request).await;
        let page = page.map_err(|status| client.failure("list runs", &status))?.into_inner();
        found.runs.extend(page.runs);
        found.damaged += page.damaged;
        found.next_before = page.next_before;
        if found.next_before == 0 || found.runs.len() >= args.limit as usize {
            return Ok(found);
        }
    }
}

/// What cannot be shown.
pub(crate) fn damage(runs: u64) -> String {
    match runs {
        1 => "history is damaged: 1 run, if it is meant, cannot be shown".to_owned(),
        many => format!("history is damaged: {many} runs, if they are meant, cannot be shown"),
    }
}

fn table(runs: &[RunSummary], now_ms: u64) -> String {
    let mut table = Table::new(&[
        ("RUN", Align::Right),
        ("NAME", Align::Left),
        ("STATE", Align::Left),
        ("DONE", Align::Right),
        ("AGE", Align::Right),
        ("TOOK", Align::Right),
        ("COMMAND", Align::Left),
    ])
    .states_in(2);
    let names = name_width(screen_width());
    for run in runs {
        table.row(vec![
            run.run.to_string(),
            if run.name.is_empty() { "-".to_owned() } else { cut(&run.name, names) },
            run.state.clone(),
            format!("{}/{}", done(run), run.elements),
            time::ago(now_ms, run.submitted_ms),
            took(run, now_ms),
            run.command.clone(),
        ]);
    }
    table.render()
}

/// How many elements have ended.
pub(crate) fn done(run: &RunSummary) -> u64 {
    let ended = |state: &str| state.parse::<model::TaskState>().is_ok_and(|s| s.is_final());
    run.counts.iter().filter(|count| ended(&count.state)).map(|count| count.count).sum()
}

/// From the first start to the end, or to now.
pub(crate) fn took(run: &RunSummary, now_ms: u64) -> String {
    let end_ms = if run.ended_ms > 0 { run.ended_ms } else { now_ms };
    match run.started_us / 1000 {
        0 => "-".to_owned(),
        started_ms => model::text::duration_ms(end_ms.saturating_sub(started_ms)),
    }
}

#[cfg(test)]
mod tests {
    use proto::api::StateCount;

    use super::*;

    #[test]
    fn one_run_that_is_damaged_is_one() {
        assert!(damage(1).contains(" 1 run, if it is meant"));
        assert!(damage(2).contains(" 2 runs, if they are meant"));
    }

    #[test]
    fn a_list_fits_the_screen() {
        let counts = vec![
            StateCount { state: "running".into(), count: 2 },
            StateCount { state: "succeeded".into(), count: 9_997 },
            StateCount { state: "failed".into(), count: 1 },
        ];
        let runs = [
            RunSummary {
                run: 812,
                name: "a-name-longer-than-fits".into(),
                state: "running".into(),
                elements: 10_000,
                counts,
                submitted_ms: 1_000,
                started_us: 2_000_000,
                command: "./crunch --with many --arguments that --nobody wants to read".into(),
                ..Default::default()
            },
            RunSummary { run: 3, state: "queued".into(), elements: 1, ..Default::default() },
        ];
        insta::assert_snapshot!(table(&runs, 100_000), @r"
        RUN  NAME              STATE          DONE  AGE    TOOK  COMMAND
        812  a-name-longer-t…  running  9998/10000   1m  1m 38s  ./crunch --with many -…
          3  -                 queued          0/1   1m       -
        ");
    }
}
