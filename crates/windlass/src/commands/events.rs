//! `windlass events`: what happens, and where to go on.

use std::collections::VecDeque;
use std::io::IsTerminal;

use proto::api::{Event, EventBatch, EventFilter, EventsRequest, GetNodeRequest};
use proto::job::Variable;
use tonic::Streaming;

use crate::client::{Client, Target};
use crate::commands::filter;
use crate::failure::Failure;
use crate::show::table::{plain, screen_width};
use crate::show::{color, fold, out, time};

const EXAMPLES: &str = "\
Examples:
  windlass events                          the latest that happened
  windlass events -f                       what happens, as it happens
  windlass events -f --run 812 --kind run_ended,attempt_ended
  windlass events -f --after 4711 --json   go on where a watch was cut off

Kinds: run_created, assigned, started, stopping, attempt_ended,
elements_ended, run_ended, node_registered, node_lost, node_draining,
node_drained, node_resumed, node_removed, node_connected, node_disconnected,
node_degraded, node_recovered.

The last line on stderr says with which `--after` to go on: nothing is missed
and nothing told twice, but for how nodes are connected.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Go on with what happens from now on
    #[arg(short, long)]
    follow: bool,
    /// Show at most the last N of what has happened
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, conflicts_with = "after")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=100_000))]
    limit: u32,
    /// Show everything behind this index, which an earlier call has told
    #[arg(long, value_name = "INDEX")]
    after: Option<u64>,
    #[command(flatten)]
    wanted: Wanted,
    /// Print one JSON document a line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Which events")]
struct Wanted {
    /// Of these runs: `812`, `last`, a job's name
    #[arg(long = "run", value_name = "ID", value_delimiter = ',')]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::runs))]
    runs: Vec<String>,
    /// Of these kinds
    #[arg(long = "kind", value_name = "KINDS", value_delimiter = ',', value_parser = kind)]
    kinds: Vec<String>,
    /// That left elements, or a run, in one of these states
    #[arg(long = "state", value_name = "STATES", value_delimiter = ',', value_parser = filter::state)]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::states))]
    states: Vec<String>,
    /// Of the node NODE
    #[arg(long, value_name = "NODE", default_value = "", hide_default_value = true)]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::nodes))]
    on: String,
    /// Of runs of the job NAME
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::names))]
    name: String,
    /// Of runs with this label, and all others that are given
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = filter::label)]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::labels))]
    labels: Vec<(String, String)>,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut client = Client::connect(&target).await?;
    if !args.wanted.on.is_empty() {
        // Of a node that nobody knows nothing would ever be told.
        let asked = client.rpc.get_node(GetNodeRequest { id: args.wanted.on.clone() }).await;
        asked.map_err(|status| client.failure("watch events", &status))?;
    }
    let request = EventsRequest {
        filter: Some(args.wanted.filter()),
        after: args.after,
        // Of what is kept only the last are shown, which are known at its end.
        kept: args.limit > 0,
        follow: args.follow && (args.after.is_some() || args.limit == 0),
    };
    let columns = std::io::stdout().is_terminal().then(screen_width);
    let mut shown = Shown { json: args.json, after: args.after.unwrap_or(0), columns };
    if request.follow {
        return follow(&mut client, request, &mut shown).await;
    }
    let mut events = open(&mut client, request.clone()).await?;
    let most = if args.after.is_some() { usize::MAX } else { args.limit as usize };
    let mut last = VecDeque::new();
    while let Some(batch) = next(&client, &mut events).await? {
        let before = std::mem::replace(&mut shown.after, batch.index);
        last.extend(api::json::Event::of(&batch, before).into_iter().zip(batch.events));
        while last.len() > most {
            last.pop_front();
        }
    }
    for (json, event) in &last {
        shown.event(json, event)?;
    }
    if args.follow {
        let request = EventsRequest { follow: true, after: Some(shown.after), ..request };
        return follow(&mut client, request, &mut shown).await;
    }
    shown.token();
    Ok(0)
}

/// Shows what happens until somebody presses Ctrl-C or the node is gone.
async fn follow(
    client: &mut Client,
    request: EventsRequest,
    shown: &mut Shown,
) -> Result<u8, Failure> {
    let mut events = open(client, request).await?;
    loop {
        let batch = tokio::select! {
            batch = next(client, &mut events) => batch,
            _ = tokio::signal::ctrl_c() => Ok(None),
        };
        match batch {
            Ok(Some(batch)) => shown.batch(&batch)?,
            Ok(None) => {
                shown.token();
                return Ok(0);
            }
            Err(failure) => {
                shown.token();
                return Err(failure);
            }
        }
    }
}

async fn open(
    client: &mut Client,
    request: EventsRequest,
) -> Result<Streaming<EventBatch>, Failure> {
    let events = client.rpc.events(request).await;
    Ok(events.map_err(|status| client.failure("watch events", &status))?.into_inner())
}

async fn next(
    client: &Client,
    events: &mut Streaming<EventBatch>,
) -> Result<Option<EventBatch>, Failure> {
    events.message().await.map_err(|status| client.failure("watch events", &status))
}

/// What was shown so far.
struct Shown {
    json: bool,
    /// What to resume after.
    after: u64,
    /// Where lines are folded; a program that reads them gets each change as one.
    columns: Option<usize>,
}

impl Shown {
    fn batch(&mut self, batch: &EventBatch) -> Result<(), Failure> {
        let before = std::mem::replace(&mut self.after, batch.index);
        for (json, event) in api::json::Event::of(batch, before).iter().zip(&batch.events) {
            self.event(json, event)?;
        }
        Ok(())
    }

    fn event(&self, json: &api::json::Event, event: &Event) -> Result<(), Failure> {
        match self.json {
            true => out::json_line(json),
            false => out::data(line(event, color::on_stdout(), self.columns)),
        }
    }

    fn token(&self) {
        if self.after > 0 {
            out::note(format!("to go on from here: `windlass events --after {}`", self.after));
        }
    }
}

/// Behind the time.
const INSET: usize = 21;

/// `2026-11-20 16:50:00  attempt_ended   812/main#1  failed, exit code 3, on n1`
fn line(event: &Event, colored: bool, columns: Option<usize>) -> String {
    let mut what = if event.id.is_empty() { event.node.clone() } else { event.id.clone() };
    if !event.name.is_empty() {
        what.push_str(&format!(" ({})", event.name));
    }
    let mut details = Vec::new();
    if !event.state.is_empty() {
        details.push(match colored {
            true => color::paint(&event.state, color::of_state(&event.state)),
            false => event.state.clone(),
        });
    }
    if event.count > 1 {
        details.push(format!("{} elements", event.count));
    }
    // A run's own summary begins with its state.
    let summary = event.summary.strip_prefix(&format!("{}: ", event.state));
    let summary = summary.unwrap_or(&event.summary);
    if !summary.is_empty() && summary != event.state {
        details.push(plain(summary));
    }
    if !event.node.is_empty() && !event.id.is_empty() {
        details.push(format!("on {}", event.node));
    }
    if let Some(because) = &event.because {
        let reason = match because.reason.as_str() {
            "" => String::new(),
            reason => format!(": {}", plain(reason)),
        };
        details.push(format!("by {}{reason}", plain(&because.actor)));
    }
    let time = time::for_people_ms(event.time_ms);
    let (time, kind) = (time.trim_end_matches(" UTC"), &event.kind);
    let (head, words) = (format!("{time}  {kind:<17} "), format!("{what}  {}", details.join(", ")));
    match columns {
        None => format!("{}\n", format!("{head}{words}").trim_end()),
        Some(columns) => {
            let mut text = String::new();
            fold::hanging(&mut text, &head, INSET, &words, columns);
            text
        }
    }
}

impl Wanted {
    fn filter(&self) -> EventFilter {
        let label = |(name, value): &(String, String)| Variable {
            name: name.clone(),
            value: value.clone(),
        };
        EventFilter {
            runs: self.runs.clone(),
            kinds: self.kinds.clone(),
            node: self.on.clone(),
            states: self.states.clone(),
            name: self.name.clone(),
            labels: self.labels.iter().map(label).collect(),
        }
    }
}

/// The name of a kind of event.
fn kind(text: &str) -> Result<String, String> {
    let known = text.parse::<node::events::EventKind>();
    known.map(|kind| kind.name().to_owned()).map_err(|()| {
        let names = node::events::EventKind::ALL.map(node::events::EventKind::name);
        format!("`{text}` is no kind: {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use proto::job::Because;

    use super::*;

    #[test]
    fn a_change_is_one_line() {
        let ended = Event {
            kind: "attempt_ended".into(),
            time_ms: 86_400_000,
            id: "812/main[3,7-9]#1".into(),
            name: "nightly".into(),
            count: 4,
            node: "n1".into(),
            state: "failed".into(),
            summary: "exit code 3".into(),
            because: Some(Because { actor: "timeout".into(), reason: "too\nlong".into() }),
            ..Default::default()
        };
        insta::assert_snapshot!(line(&ended, false, None).trim_end(), @"1970-01-02 00:00:00  attempt_ended     812/main[3,7-9]#1 (nightly)  failed, 4 elements, exit code 3, on n1, by timeout: too long");
        let node = Event {
            kind: "node_connected".into(),
            time_ms: 86_400_000,
            node: "n1".into(),
            summary: "it takes work".into(),
            ..Default::default()
        };
        insta::assert_snapshot!(line(&node, false, None).trim_end(), @"1970-01-02 00:00:00  node_connected    n1  it takes work");
    }

    #[test]
    fn a_small_screen_folds_it_and_the_state_is_said_once() {
        let ended = Event {
            kind: "run_ended".into(),
            time_ms: 86_400_000,
            id: "812".into(),
            name: "a-nightly-import-of-things".into(),
            state: "dead".into(),
            summary: "dead: `/no/such`: no such file, or its interpreter is missing".into(),
            ..Default::default()
        };
        insta::assert_snapshot!(line(&ended, false, Some(80)), @r"
        1970-01-02 00:00:00  run_ended         812 (a-nightly-import-of-things)  dead,
                             `/no/such`: no such file, or its interpreter is missing
        ");
        let folded = line(&ended, true, Some(80));
        assert!(folded.contains("\x1b[31mdead\x1b[0m,\n"), "{folded:?}");
    }

    #[test]
    fn only_kinds_there_are_can_be_asked_for() {
        assert_eq!(kind("run_ended").as_deref(), Ok("run_ended"));
        assert!(kind("ended").unwrap_err().contains("run_created, assigned"));
    }
}
