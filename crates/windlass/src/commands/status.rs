//! `windlass status`: one run and what was selected of it.

mod element;
mod elements;
mod spec;

use model::text::duration_ms;
use proto::api::{AttemptStatus, ElementStatus, GetRunResponse, RunSummary};
use proto::job::Because;

use super::filter;
use super::ps::took;
use crate::client::{self, Client, Target};
use crate::failure::Failure;
use crate::show::table::{Align, Table, plain};
use crate::show::{color, out, time};

const EXAMPLES: &str = "\
Examples:
  windlass status last              the latest run
  windlass status nightly           the latest run of that name
  windlass status 812/main[3-5]     some elements of an array
  windlass status 812 --state failed -n 5
  windlass status 812/main[3]       one in full: times, cpu, memory, attempts";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run (`812`, `last`, a job's name) or parts of it (`812/main[3-5]`)
    #[arg(value_name = "ID", add = clap_complete::ArgValueCandidates::new(crate::complete::runs))]
    id: String,
    /// Show at most N elements (as many as the screen has room for; 50 elsewhere)
    #[arg(short = 'n', long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: Option<u32>,
    /// Show every element, 10,000 at most
    #[arg(short, long, conflicts_with = "limit")]
    all: bool,
    /// Show only elements in one of these states: `failed,timed_out`
    #[arg(long = "state", value_name = "STATES", value_delimiter = ',')]
    #[arg(value_parser = filter::state)]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::states))]
    states: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A command that is shown in full.
const COMMAND_BYTES_MAX: usize = 2000;

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    client::check_id(&args.id)?;
    let mut client = Client::connect(&target).await?;
    if args.json {
        let limit = if args.all { elements::ALL } else { args.limit.unwrap_or(elements::PIPED) };
        let answer = elements::ask(&mut client, &args.id, limit, &args.states).await?;
        out::json(&api::json::RunStatus::from(&answer))?;
        return Ok(0);
    }
    let room = if args.all { Some(elements::ALL) } else { args.limit };
    let answer = elements::worst_first(&mut client, &args.id, room, &args.states).await?;
    out::data(text(&answer, time::now_ms()))?;
    let (shown, total) = (answer.elements.len() as u64, answer.elements_total);
    let limit = u64::from(room.unwrap_or(u32::MAX));
    if !args.states.is_empty() {
        if shown >= limit.min(u64::from(elements::PIPED)) {
            out::note(format!("the first {shown}; `--all` shows more"));
        }
    } else if shown < total {
        let order = "what failed first, then what runs";
        out::note(format!(
            "{shown} of {total} elements, {order}; {}",
            match args.all {
                true => "select others with `ID[FIRST-LAST]` or `--state`",
                false => "`--all` shows them all, `--state` or `ID[FIRST-LAST]` some",
            }
        ));
    }
    Ok(0)
}

fn text(answer: &GetRunResponse, now_ms: u64) -> String {
    let mut paragraphs = Vec::new();
    if let Some(run) = &answer.run {
        paragraphs.push(lines(facts(answer, run, now_ms)));
    }
    match answer.elements.as_slice() {
        [one] if answer.elements_total == 1 => {
            paragraphs.extend(element::paragraphs(one, now_ms).into_iter().map(lines));
        }
        elements => paragraphs.push(table(elements, now_ms)),
    }
    paragraphs.join("\n")
}

fn lines(facts: element::Facts) -> String {
    let value = |name: &str, value: &str| match name {
        "state" => color::state(&plain(value)),
        _ => plain(value),
    };
    facts.iter().map(|(name, text)| format!("{name:<11}{}\n", value(name, text))).collect()
}

fn facts(answer: &GetRunResponse, run: &RunSummary, now_ms: u64) -> element::Facts {
    let name = if run.name.is_empty() { String::new() } else { format!(" ({})", run.name) };
    let by = answer.job.as_ref().map(|job| job.actor.as_str()).filter(|actor| !actor.is_empty());
    let by = by.map(|actor| format!(" by {actor}")).unwrap_or_default();
    let counts: Vec<_> =
        run.counts.iter().map(|count| format!("{} {}", count.count, count.state)).collect();
    let mut facts = vec![
        ("run", format!("{}{name}", run.run)),
        ("state", run.state.clone()),
        ("command", command(answer, run)),
        ("submitted", format!("{}{by}", time::for_people_ms(run.submitted_ms))),
    ];
    if answer.rerun_of > 0 {
        facts.push(("rerun of", answer.rerun_of.to_string()));
    }
    if run.started_us > 0 {
        facts.push(("started", time::for_people_ms(run.started_us / 1000)));
    }
    if run.ended_ms > 0 {
        let took = match run.started_us {
            0 => String::new(),
            _ => format!(", took {}", took(run, now_ms)),
        };
        facts.push(("ended", time::for_people_ms(run.ended_ms) + &took));
    }
    if let Some(because) = &answer.canceled {
        let reason =
            if because.reason.is_empty() { String::new() } else { format!(": {}", because.reason) };
        facts.push(("canceled", format!("by {}{reason}", because.actor)));
    }
    facts.push(("elements", counts.join(", ")));
    facts.extend(answer.job.as_ref().map(spec::facts).unwrap_or_default());
    facts
}

/// The whole command, to be pasted back; of a very long one what lists show too.
fn command(answer: &GetRunResponse, run: &RunSummary) -> String {
    let task = answer.job.as_ref().and_then(|job| job.tasks.first());
    let words = task.map_or(&[][..], |task| &task.command);
    match words.iter().map(String::len).sum::<usize>() {
        1..=COMMAND_BYTES_MAX => model::words::shell_line(words.iter().map(String::as_str)),
        _ => run.command.clone(),
    }
}

fn table(elements: &[ElementStatus], now_ms: u64) -> String {
    let mut table = Table::new(&[
        ("ELEMENT", Align::Left),
        ("STATE", Align::Left),
        ("TRY", Align::Right),
        ("NODE", Align::Left),
        ("TOOK", Align::Right),
        ("RESULT", Align::Left),
    ])
    .states_in(1);
    for element in elements {
        let last = element.attempts.last();
        table.row(vec![
            element.id.clone(),
            element.state.clone(),
            last.map_or("-".to_owned(), |attempt| attempt.number.to_string()),
            last.map_or("-".to_owned(), |attempt| attempt.node.clone()),
            last.map_or("-".to_owned(), |attempt| attempt_took(attempt, now_ms)),
            last.map_or_else(|| because(element.because.as_ref()), result),
        ]);
    }
    table.render()
}

pub(crate) fn attempt_took(attempt: &AttemptStatus, now_ms: u64) -> String {
    let end_us = if attempt.ended_us > 0 { attempt.ended_us } else { now_ms * 1000 };
    match attempt.started_us {
        0 => "-".to_owned(),
        started_us => duration_ms(end_us.saturating_sub(started_us) / 1000),
    }
}

/// How it ended and, where somebody or something else decided, who and why.
fn result(attempt: &AttemptStatus) -> String {
    match (attempt.summary.as_str(), because(attempt.because.as_ref())) {
        ("", because) => because,
        (summary, because) if because.is_empty() => summary.to_owned(),
        (summary, because) => format!("{summary} ({because})"),
    }
}

/// Who and why, in one line; empty where nobody else decided.
fn because(because: Option<&Because>) -> String {
    match because {
        None => String::new(),
        Some(Because { actor, reason }) if reason.is_empty() => actor.clone(),
        Some(Because { actor, reason }) => format!("{actor}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use proto::api::StateCount;
    use proto::job::Job;

    use super::*;

    #[test]
    fn a_run_is_told_in_full() {
        let because = Because { actor: "user:ann".into(), reason: "wrong day".into() };
        let answer = GetRunResponse {
            run: Some(RunSummary {
                run: 812,
                name: "nightly".into(),
                state: "canceled".into(),
                command: "sleep 60".into(),
                submitted_ms: 1_795_193_403_000,
                started_us: 1_795_193_403_100_000,
                ended_ms: 1_795_193_405_500,
                counts: vec![StateCount { state: "canceled".into(), count: 2 }],
                elements: 2,
                ..Default::default()
            }),
            job: Some(Job { actor: "user:ann".into(), ..Default::default() }),
            elements: vec![
                ElementStatus {
                    id: "812/main[1]".into(),
                    state: "canceled".into(),
                    attempts: vec![AttemptStatus {
                        number: 1,
                        node: "alpha".into(),
                        started_us: 1_795_193_403_100_000,
                        ended_us: 1_795_193_405_400_000,
                        summary: "signal 15 (SIGTERM)".into(),
                        because: Some(because.clone()),
                        ..Default::default()
                    }],
                    ..Default::default()
                },
                ElementStatus {
                    id: "812/main[2]".into(),
                    state: "canceled".into(),
                    ..Default::default()
                },
            ],
            elements_total: 2,
            canceled: Some(because),
            ..Default::default()
        };
        insta::assert_snapshot!(text(&answer, 0), @r"
        run        812 (nightly)
        state      canceled
        command    sleep 60
        submitted  2026-11-20 16:50:03 UTC by user:ann
        started    2026-11-20 16:50:03 UTC
        ended      2026-11-20 16:50:05 UTC, took 2.4s
        canceled   by user:ann: wrong day
        elements   2 canceled

        ELEMENT      STATE     TRY  NODE   TOOK  RESULT
        812/main[1]  canceled    1  alpha  2.3s  signal 15 (SIGTERM) (user:ann: wrong d…
        812/main[2]  canceled    -  -         -
        ");
    }
}
