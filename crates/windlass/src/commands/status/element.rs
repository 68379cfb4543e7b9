//! All that is known of one element, where one alone was selected: each attempt with its node, its
//! times, how and why it ended, and what it used.

use model::text::{duration_ms, size};
use proto::api::{AttemptStatus, ElementStatus};
use proto::job::Outcome;
use proto::job::outcome::Ending;

use super::{attempt_took, because};
use crate::show::time;

/// Attempts that are shown; of one that was begun over and over the latest tell enough.
const ATTEMPTS_MAX: usize = 5;

/// Names and values, in the order they are shown.
pub(super) type Facts = Vec<(&'static str, String)>;

/// The element and its latest attempts, each a paragraph.
pub(super) fn paragraphs(element: &ElementStatus, now_ms: u64) -> Vec<Facts> {
    let mut first = vec![("element", element.id.clone()), ("uuid", element.uuid.clone())];
    if element.attempts.is_empty() {
        first.push(("state", element.state.clone()));
    }
    if let Some(because) = &element.because {
        first.push(("because", because_of(&because.actor, &because.reason)));
    }
    let skipped = element.attempts.len().saturating_sub(ATTEMPTS_MAX);
    if skipped > 0 {
        first.push(("earlier", format!("{skipped} attempts, see `--json`")));
    }
    let attempts = element.attempts[skipped..].iter().map(|one| attempt(one, now_ms));
    std::iter::once(first).chain(attempts).collect()
}

fn attempt(attempt: &AttemptStatus, now_ms: u64) -> Facts {
    let at = |us: u64| time::for_people_ms(us / 1000);
    let mut facts = vec![
        ("attempt", format!("{} on {}, {}", attempt.number, attempt.node, attempt.state)),
        ("fence", attempt.fence.to_string()),
        ("placed", time::for_people_ms(attempt.placed_ms)),
    ];
    if attempt.started_us > 0 {
        facts.push(("started", at(attempt.started_us)));
    }
    if attempt.ended_us > 0 {
        let took = match attempt.started_us {
            0 => String::new(),
            _ => format!(", took {}", attempt_took(attempt, now_ms)),
        };
        facts.push(("ended", at(attempt.ended_us) + &took));
    }
    if !attempt.summary.is_empty() {
        facts.push(("result", attempt.summary.clone()));
    }
    if let Some(because) = &attempt.because {
        facts.push(("because", because_of(&because.actor, &because.reason)));
    }
    if let Some(outcome) = attempt.outcome.as_ref().filter(|outcome| is_measured(attempt, outcome))
    {
        facts.push(("cpu", duration_ms(outcome.cpu_us / 1000)));
        facts.push(("memory", format!("{} at its peak", size(outcome.memory_peak_bytes))));
        facts.push(("output", output(outcome)));
    }
    facts
}

/// Whether somebody saw it start and end, and so knows what it used.
fn is_measured(attempt: &AttemptStatus, outcome: &Outcome) -> bool {
    attempt.started_us > 0 && !matches!(outcome.ending, Some(Ending::Gone(_)))
}

fn because_of(actor: &str, reason: &str) -> String {
    because(Some(&proto::job::Because { actor: actor.to_owned(), reason: reason.to_owned() }))
}

fn output(outcome: &Outcome) -> String {
    let mut text = size(outcome.output_bytes);
    if outcome.output_dropped_bytes > 0 {
        text += &format!(", {} of it dropped", size(outcome.output_dropped_bytes));
    }
    if outcome.output_truncated {
        text += ", not read to its end";
    }
    text
}

#[cfg(test)]
mod tests {
    use proto::job::Because;

    use super::*;

    fn shown(element: &ElementStatus) -> String {
        let lines = |facts: Facts| facts.iter().map(|(n, v)| format!("{n}: {v}\n")).collect();
        let paragraphs: Vec<String> =
            paragraphs(element, 1_795_193_410_000).into_iter().map(lines).collect();
        paragraphs.join("\n")
    }

    #[test]
    fn an_element_is_told_in_full() {
        let because = Because { actor: "user:ann".into(), reason: "wrong day".into() };
        let first = AttemptStatus {
            number: 1,
            state: "canceled".into(),
            node: "alpha".into(),
            fence: 281_474_976_710_699,
            placed_ms: 1_795_193_403_000,
            started_us: 1_795_193_403_100_000,
            ended_us: 1_795_193_405_400_000,
            outcome: Some(Outcome {
                cpu_us: 801_223,
                memory_peak_bytes: 9_437_184,
                output_bytes: 5 << 20,
                output_dropped_bytes: 1 << 20,
                output_truncated: true,
                ..Default::default()
            }),
            summary: "signal 15 (SIGTERM)".into(),
            because: Some(because.clone()),
        };
        let second = AttemptStatus {
            number: 2,
            state: "running".into(),
            outcome: None,
            ended_us: 0,
            summary: String::new(),
            because: None,
            ..first.clone()
        };
        let mut element = ElementStatus {
            id: "812/main[37]".into(),
            uuid: "00000000-032c-8000-8000-000000250000".into(),
            state: "running".into(),
            attempts: vec![first, second],
            ..Default::default()
        };
        insta::assert_snapshot!(shown(&element), @r"
        element: 812/main[37]
        uuid: 00000000-032c-8000-8000-000000250000

        attempt: 1 on alpha, canceled
        fence: 281474976710699
        placed: 2026-11-20 16:50:03 UTC
        started: 2026-11-20 16:50:03 UTC
        ended: 2026-11-20 16:50:05 UTC, took 2.3s
        result: signal 15 (SIGTERM)
        because: user:ann: wrong day
        cpu: 801ms
        memory: 9 MiB at its peak
        output: 5 MiB, 1 MiB of it dropped, not read to its end

        attempt: 2 on alpha, running
        fence: 281474976710699
        placed: 2026-11-20 16:50:03 UTC
        started: 2026-11-20 16:50:03 UTC
        ");
        element.attempts = vec![element.attempts[0].clone(); 9];
        assert!(shown(&element).contains("earlier: 4 attempts"));
        element.attempts.clear();
        element.state = "canceled".into();
        element.because = Some(because);
        insta::assert_snapshot!(shown(&element), @r"
        element: 812/main[37]
        uuid: 00000000-032c-8000-8000-000000250000
        state: canceled
        because: user:ann: wrong day
        ");
    }

    #[test]
    fn what_nobody_measured_is_not_told() {
        let check = |attempt: AttemptStatus, expected: &[&str]| {
            let names: Vec<_> = super::attempt(&attempt, 0).iter().map(|(name, _)| *name).collect();
            assert_eq!(names, expected);
        };
        let never_started = AttemptStatus {
            ended_us: 1_795_193_405_400_000,
            outcome: Some(Outcome::default()),
            ..Default::default()
        };
        check(never_started, &["attempt", "fence", "placed", "ended"]);
        let gone = Outcome { ending: Some(Ending::Gone(Default::default())), ..Default::default() };
        let unseen = AttemptStatus {
            started_us: 1_795_193_405_400_000,
            outcome: Some(gone),
            ..Default::default()
        };
        check(unseen, &["attempt", "fence", "placed", "started"]);
    }
}
