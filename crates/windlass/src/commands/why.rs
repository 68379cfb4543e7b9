//! `windlass why`: why elements are where they are, and what would change it.

use proto::api::{AttemptStatus, Holder, Reason, Usual, Why, WhyRequest};

use crate::client::{self, Client, Target};
use crate::failure::Failure;
use crate::show::table::{plain, screen_width};
use crate::show::{color, fold, out, time};

const EXAMPLES: &str = "\
Examples:
  windlass why last                 why does it not run, or why did it end so?
  windlass why 812/main[3-9]        the same of some elements
  windlass why 812 --json | jq '.groups[].reasons[].code'

Elements with the same answer are one group.";

/// A line is never broken earlier than this.
const WIDTH_MIN: usize = 40;
/// Long lines are hard to read, however wide the screen is.
const WIDTH_MAX: usize = 110;

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run (`812`, `last`, a job's name) or a part of one (`812/main[3-5]`)
    #[arg(value_name = "ID", add = clap_complete::ArgValueCandidates::new(crate::complete::runs))]
    id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    client::check_id(&args.id)?;
    let mut client = Client::connect(&target).await?;
    let what = format!("ask why `{}`", args.id);
    let answer = client.rpc.why(WhyRequest { id: args.id }).await;
    let answer = answer.map_err(|status| client.failure(&what, &status))?.into_inner();
    if args.json {
        out::json(&api::json::Whys::from(&answer))?;
        return Ok(0);
    }
    let width = screen_width().clamp(WIDTH_MIN, WIDTH_MAX);
    let page = Page { now_ms: time::now_ms(), width, colored: color::on_stdout() };
    let groups: Vec<String> = answer.groups.iter().map(|group| page.group(group)).collect();
    out::data(groups.join("\n"))?;
    Ok(0)
}

/// How answers are written.
struct Page {
    now_ms: u64,
    width: usize,
    colored: bool,
}

impl Page {
    /// The state first, then each reason with who holds what, then what would change it.
    fn group(&self, why: &Why) -> String {
        let state = match self.colored {
            true => color::paint(&why.state, color::of_state(&why.state)),
            false => why.state.clone(),
        };
        let mut text = format!("{}  {state}", ids(&why.id, why.elements.len()));
        if why.count > 1 {
            text.push_str(&format!(", {} elements", why.count));
        }
        if why.since_ms > 0 {
            let ended = why.state.parse::<model::TaskState>().is_ok_and(|state| state.is_final());
            let ago = model::text::duration_ms(self.now_ms.saturating_sub(why.since_ms));
            text.push_str(&if ended { format!(", {ago} ago") } else { format!(" for {ago}") });
        }
        text.push('\n');
        for reason in &why.reasons {
            self.reason(&mut text, reason);
        }
        if let Some(usual) = why.usual.as_ref().map(usual) {
            self.lines(&mut text, "  usual: ", 9, &usual);
        }
        // The last one is what the reason tells of.
        if why.attempts.len() > 1 {
            why.attempts.iter().for_each(|attempt| self.attempt(&mut text, attempt));
        }
        text
    }

    fn reason(&self, text: &mut String, reason: &Reason) {
        self.lines(text, "  - ", 4, &reason.text);
        // Who stands before it holds nothing yet.
        let who = if reason.code == "behind" { "      first " } else { "      held by " };
        for holder in &reason.holders {
            self.lines(text, who, who.len(), &held(holder));
        }
        if reason.until_ms > self.now_ms {
            let until = time::for_people_ms(reason.until_ms);
            let left = model::text::duration_ms(reason.until_ms - self.now_ms);
            self.lines(text, "    until ", 10, &format!("{until}, in {left}"));
        }
        self.lines(text, "    change: ", 12, &reason.change);
    }

    fn attempt(&self, text: &mut String, attempt: &AttemptStatus) {
        let mut words = format!("{} on {}", attempt.state, attempt.node);
        if attempt.started_us > 0 && attempt.ended_us > attempt.started_us {
            let ran_ms = (attempt.ended_us - attempt.started_us) / 1000;
            words.push_str(&format!(" after {}", model::text::duration_ms(ran_ms)));
        }
        if !attempt.summary.is_empty() {
            words.push_str(&format!(": {}", attempt.summary));
        }
        if let Some(because) = &attempt.because {
            words.push_str(&match (because.actor.as_str(), because.reason.as_str()) {
                (who, "") => format!(" ({who})"),
                // A timeout says of itself what it did.
                ("timeout" | "", reason) => format!(" ({reason})"),
                (who, reason) => format!(" ({who}: {reason})"),
            });
        }
        self.lines(text, &format!("  attempt {}: ", attempt.number), 13, &words);
    }

    /// Words in lines that fit, those behind the first set in by `inset`.
    fn lines(&self, text: &mut String, head: &str, inset: usize, words: &str) {
        fold::hanging(text, head, inset, &plain(words), self.width);
    }
}

/// Ranges that a line shows; more are cut off.
const RANGES_SHOWN: usize = 6;

/// An id with not too many ranges: `812/main[1,3,5,7,9,11,…]`.
fn ids(id: &str, ranges: usize) -> String {
    match id.match_indices(',').nth(RANGES_SHOWN - 1) {
        Some((at, _)) if ranges > RANGES_SHOWN => format!("{},…]", &id[..at]),
        _ => id.to_owned(),
    }
}

fn held(holder: &Holder) -> String {
    let name = if holder.name.is_empty() { String::new() } else { format!(" ({})", holder.name) };
    let reserved = holder.reserved.unwrap_or_default();
    let elements = match holder.elements {
        1 => "1 element".to_owned(),
        many => format!("{many} elements"),
    };
    format!("run {}{name}: {elements} with {}", holder.run, model::Resources::from(reserved))
}

fn usual(usual: &Usual) -> String {
    let mut parts = Vec::new();
    if usual.attempts > 0 {
        let ran = model::text::duration_ms(usual.run_ms);
        parts.push(format!("it runs {ran} (the middle of {} like it)", usual.attempts));
    }
    if let Some(wait_ms) = usual.wait_ms {
        parts.push(match wait_ms {
            0..1000 => "nothing to speak of stands before it".to_owned(),
            ms => format!(
                "about {} until it gets a node, as fast as the queue went of late",
                model::text::duration_ms(ms)
            ),
        });
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use proto::job::{Because, Resources};

    use super::*;

    fn shown(why: &Why, width: usize) -> String {
        Page { now_ms: 100_000, width, colored: false }.group(why)
    }

    #[test]
    fn what_waits_shows_each_reason_and_who_holds_what() {
        let reserved = Some(Resources { cpu_milli: 2_000, memory_bytes: 512 << 20 });
        let holder = Holder { run: 811, name: "nightly".into(), elements: 2, reserved };
        let full = Reason {
            text: "node n1 has too little free: cpus (it wants 2, 1 of 2 are free)".into(),
            change: "one of those that hold the room ends or is canceled, or it is submitted again with less".into(),
            holders: vec![holder],
            ..Default::default()
        };
        let ahead = Reason {
            code: "behind".into(),
            text: "1 element that is placed on node n1 ahead of room gets it first".into(),
            change: "they get their room and end, or are canceled".into(),
            holders: vec![Holder { run: 812, elements: 1, reserved, ..Default::default() }],
            ..Default::default()
        };
        let backoff = Reason {
            text: "it waits 5.0s before attempt 2".into(),
            change: "nothing has to".into(),
            until_ms: 105_000,
            ..Default::default()
        };
        let why = Why {
            id: "812/main[1,3,5,7,9,11,13,15]".into(),
            elements: vec![Default::default(); 8],
            count: 8,
            state: "queued".into(),
            since_ms: 40_000,
            reasons: vec![full, ahead, backoff],
            usual: Some(Usual { attempts: 5, run_ms: 6_000, wait_ms: Some(180_000) }),
            ..Default::default()
        };
        insta::assert_snapshot!(shown(&why, 80), @r"
        812/main[1,3,5,7,9,11,…]  queued, 8 elements for 1m 0s
          - node n1 has too little free: cpus (it wants 2, 1 of 2 are free)
              held by run 811 (nightly): 2 elements with cpus 2, memory 512 MiB
            change: one of those that hold the room ends or is canceled, or it is
                    submitted again with less
          - 1 element that is placed on node n1 ahead of room gets it first
              first run 812: 1 element with cpus 2, memory 512 MiB
            change: they get their room and end, or are canceled
          - it waits 5.0s before attempt 2
            until 1970-01-01 00:01:45 UTC, in 5.0s
            change: nothing has to
          usual: it runs 6.0s (the middle of 5 like it); about 3m 0s until it gets a
                 node, as fast as the queue went of late
        ");
        assert!(shown(&why, 40).lines().skip(1).all(|line| line.chars().count() <= 40));
    }

    #[test]
    fn what_has_ended_shows_its_attempts() {
        let attempt = |number, code| AttemptStatus {
            number,
            state: "failed".into(),
            node: "n1".into(),
            started_us: 10_000_000,
            ended_us: 12_500_000,
            summary: format!("exit code {code}"),
            because: (number == 2)
                .then(|| Because { actor: "timeout".into(), reason: String::new() }),
            ..Default::default()
        };
        let why = Why {
            id: "812/main".into(),
            count: 1,
            state: "failed".into(),
            since_ms: 40_000,
            reasons: vec![Reason {
                text: "exit code 4 on node n1".into(),
                change: "what has ended stays so".into(),
                ..Default::default()
            }],
            attempts: vec![attempt(1, 3), attempt(2, 4)],
            ..Default::default()
        };
        insta::assert_snapshot!(shown(&why, 80), @r"
        812/main  failed, 1m 0s ago
          - exit code 4 on node n1
            change: what has ended stays so
          attempt 1: failed on n1 after 2.5s: exit code 3
          attempt 2: failed on n1 after 2.5s: exit code 4 (timeout)
        ");
    }
}
