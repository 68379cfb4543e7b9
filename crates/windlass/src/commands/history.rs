//! `windlass history`: what ran, how it ended, how long it took.

use api::json::{History, PastRun};
use proto::api::{GetRunRequest, ListRunsRequest, ListRunsResponse, RunSummary};

use crate::client::{Client, Target};
use crate::commands::filter::FilterArgs;
use crate::failure::Failure;
use crate::show::table::{Align, Table, cut, name_width, screen_width};
use crate::show::{out, time};

/// Of runs with more elements the attempts are not added up: that would be a list of its own.
const ELEMENTS_MAX: u32 = 100;

const EXAMPLES: &str = "\
Examples:
  windlass history                       the latest runs that have ended
  windlass history --name nightly -n 5
  windlass history --state failed,timed_out --since 2d
  windlass history --json | jq '.runs[] | {run, exit_code, cpu_us}'

What ran is kept for 30 days or 1,000 runs a job, whichever keeps more.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Show at most N runs
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
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
    let found = list(&mut client, &args).await?;
    let mut sums = Vec::new();
    for run in &found.runs {
        sums.push(sum(&mut client, run).await?);
    }
    if args.json {
        let runs = found.runs.iter().zip(&sums).map(|(run, sum)| PastRun {
            run: run.into(),
            attempts: sum.map(|sum| sum.attempts),
            cpu_us: sum.map(|sum| sum.cpu_us),
        });
        let next_before = (found.next_before > 0).then_some(found.next_before);
        out::json(&History { runs: runs.collect(), next_before })?;
        return Ok(0);
    }
    out::data(table(&found.runs, &sums, time::now_ms()))?;
    if found.damaged > 0 {
        let count = found.damaged;
        out::note(super::ps::damage(count));
    }
    if found.next_before > 0 {
        out::note(format!("there are more: add `--before {}`", found.next_before));
    } else if found.runs.is_empty() {
        out::note("no run that has ended is meant; `windlass ps` shows those that have not");
    }
    Ok(0)
}

/// As many ended runs as are wanted. A page may be short, or empty, and others follow.
async fn list(client: &mut Client, args: &Args) -> Result<ListRunsResponse, Failure> {
    let mut filter = args.filter.filter();
    if filter.states.is_empty() {
        let ended = model::TaskState::ALL.into_iter().filter(|state| state.is_final());
        filter.states = ended.map(|state| state.name().to_owned()).collect();
    }
    let mut found = ListRunsResponse { next_before: args.before, ..Default::default() };
    loop {
        let request = ListRunsRequest {
            all: true,
            limit: args.limit - found.runs.len() as u32,
            before: found.next_before,
            filter: Some(filter.clone()),
        };
        let page = client.rpc.list_runs(request).await;
        let page = page.map_err(|status| client.failure("list runs", &status))?.into_inner();
        found.runs.extend(page.runs.into_iter().filter(|run| run.ended_ms > 0));
        found.damaged += page.damaged;
        found.next_before = page.next_before;
        if found.next_before == 0 || found.runs.len() >= args.limit as usize {
            return Ok(found);
        }
    }
}

/// What the attempts of a run come to.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    attempts: u64,
    cpu_us: u64,
}

/// Adds the attempts of a run up; `None` where there are many, or it was purged meanwhile.
async fn sum(client: &mut Client, run: &RunSummary) -> Result<Option<Sum>, Failure> {
    if run.elements > u64::from(ELEMENTS_MAX) {
        return Ok(None);
    }
    let request =
        GetRunRequest { id: run.run.to_string(), limit: ELEMENTS_MAX, states: Vec::new() };
    let detail = match client.rpc.get_run(request).await {
        Ok(detail) => detail.into_inner(),
        Err(status) if status.code() == tonic::Code::NotFound => return Ok(None),
        Err(status) => return Err(client.failure("look at a run", &status)),
    };
    let mut sum = Sum::default();
    for attempt in detail.elements.iter().flat_map(|element| &element.attempts) {
        sum.attempts += 1;
        sum.cpu_us += attempt.outcome.as_ref().map_or(0, |outcome| outcome.cpu_us);
    }
    Ok(Some(sum))
}

fn table(runs: &[RunSummary], sums: &[Option<Sum>], now_ms: u64) -> String {
    let mut table = Table::new(&[
        ("RUN", Align::Right),
        ("NAME", Align::Left),
        ("STATE", Align::Left),
        ("EXIT", Align::Right),
        ("ENDED", Align::Right),
        ("WAITED", Align::Right),
        ("TOOK", Align::Right),
        ("CPU", Align::Right),
        ("TRIES", Align::Right),
        ("COMMAND", Align::Left),
    ])
    .states_in(2);
    let names = name_width(screen_width());
    for (run, sum) in runs.iter().zip(sums) {
        let span = |from_ms: u64, to_ms: u64| match from_ms == 0 || to_ms == 0 {
            true => "-".to_owned(),
            false => model::text::duration_ms(to_ms.saturating_sub(from_ms)),
        };
        let started_ms = run.started_us / 1000;
        table.row(vec![
            run.run.to_string(),
            if run.name.is_empty() { "-".to_owned() } else { cut(&run.name, names) },
            run.state.clone(),
            run.exit_code.map(|code| code.to_string()).unwrap_or_default(),
            time::ago(now_ms, run.ended_ms),
            span(run.submitted_ms, started_ms),
            span(started_ms, run.ended_ms),
            sum.map_or("-".to_owned(), |sum| model::text::duration_ms(sum.cpu_us / 1000)),
            sum.map_or("-".to_owned(), |sum| sum.attempts.to_string()),
            run.command.clone(),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_is_a_line_each() {
        let run = RunSummary {
            run: 812,
            name: "nightly".into(),
            state: "failed".into(),
            exit_code: Some(3),
            elements: 1,
            submitted_ms: 1_000,
            started_us: 3_500_000,
            ended_ms: 64_000,
            command: "./crunch --with many --arguments that --nobody wants to read".into(),
            ..Default::default()
        };
        let never = RunSummary {
            run: 3,
            state: "canceled".into(),
            exit_code: Some(130),
            submitted_ms: 1_000,
            ended_ms: 2_000,
            ..Default::default()
        };
        let sums = [Some(Sum { attempts: 2, cpu_us: 1_250_000 }), None];
        insta::assert_snapshot!(table(&[run, never], &sums, 100_000), @r"
        RUN  NAME     STATE     EXIT  ENDED  WAITED   TOOK   CPU  TRIES  COMMAND
        812  nightly  failed       3    36s    2.5s  1m 0s  1.2s      2  ./crunch --wit…
          3  -        canceled   130     1m       -      -     -      -
        ");
    }
}
