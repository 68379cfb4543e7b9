//! What has ended: how, who or what ended it, and what the retry policy said.

use model::{RangeSet, TaskPosition, TaskState, text};

use super::super::live::ended_of;
use super::super::resolve::Resolved;
use super::super::{ElementStatus, Wanted, selected};
use super::placed::by;
use super::{Asked, Reason, ReasonCode, Why, count_of};

/// Elements without success that are looked at one by one.
const LOOKED_AT_MAX: usize = 512;
const UNSUCCESSFUL: [TaskState; 6] = [
    TaskState::Failed,
    TaskState::TimedOut,
    TaskState::Canceled,
    TaskState::Lost,
    TaskState::Dead,
    TaskState::Unknown,
];

/// The groups of a task's elements that have ended.
pub(super) fn groups(
    asked: &Asked<'_>,
    task: TaskPosition,
    ordinals: &RangeSet,
    answers: &mut Vec<Why>,
) {
    let run = asked.view.state.run(asked.resolved.run).filter(|_| asked.resolved.ended.is_none());
    let of = run.as_ref().map(|run| &run.tasks[task as usize]);
    let mut ended = ended_of(of, ordinals, 0..=u32::MAX);
    if ended.is_empty() {
        return;
    }
    let resolved = Resolved { tasks: vec![(task, ended.clone())], ..asked.resolved.clone() };
    let states: &[TaskState] = if ended.len() == 1 { &[] } else { &UNSUCCESSFUL };
    let found = selected(asked.view, asked.history, &resolved, &Wanted::new(states), LOOKED_AT_MAX);
    let all_found = found.elements.len() < LOOKED_AT_MAX;
    let array = asked.spec(task).indices();
    let mut alike: Vec<(String, &ElementStatus, RangeSet)> = Vec::new();
    for status in &found.elements {
        let Some(ordinal) = array.ordinal(status.element.index) else { continue };
        ended.remove(ordinal);
        let words = words(status, false);
        match alike
            .iter_mut()
            .find(|(other, first, _)| (other, first.state) == (&words, status.state))
        {
            Some((.., ordinals)) => _ = ordinals.insert(ordinal),
            None => alike.push((words, status, RangeSet::from_iter([ordinal..=ordinal]))),
        }
    }
    for (_, first, ordinals) in &alike {
        let mut group = asked.group(task, ordinals, first.state);
        group.since_ms = first.attempts.iter().rev().find_map(ended_ms).unwrap_or(0);
        group.reasons.push(reason(asked, task, first, group.count == 1));
        answers.push(group);
    }
    if ended.is_empty() {
        return;
    }
    let mut group = asked.group(task, &ended, TaskState::Succeeded);
    let count = count_of(group.count, "element");
    group.reasons.push(match all_found {
        true => Reason::new(
            ReasonCode::Ended,
            format!("{count} ended well"),
            "nothing: what has ended stays so; `windlass rerun` runs it again as a run of its own",
        ),
        false => Reason::new(
            ReasonCode::Ended,
            format!(
                "{count} have ended in any way; only the first {LOOKED_AT_MAX} without success are told one by one"
            ),
            "ask for fewer elements to hear of each, such as `windlass why ID[1-500]`",
        ),
    });
    if !all_found {
        // Of them nobody has said more than that they ended; the run's counts tell how many how.
        group.state = TaskState::Unknown;
    }
    answers.push(group);
}

fn reason(asked: &Asked<'_>, task: TaskPosition, status: &ElementStatus, is_one: bool) -> Reason {
    let spec = asked.spec(task);
    let mut text = words(status, is_one);
    let run = asked.resolved.run;
    if status.state == TaskState::Unknown {
        let change = "nothing brings its facts back; `windlass rerun` runs it again";
        return Reason::new(ReasonCode::Damaged, text, change);
    }
    let succeeded = status.state == TaskState::Succeeded;
    if !succeeded && status.attempts.iter().any(|attempt| attempt.outcome.is_some()) {
        let tries = count_of(status.attempts.len() as u64, "attempt");
        text.push_str(&match (status.state, spec.retries.attempts) {
            (TaskState::Canceled, _) => String::new(),
            (_, 0) => "; the job allows no retry".to_owned(),
            (_, allowed) => format!(
                "; after {tries}, where the job allows {}",
                match allowed {
                    1 => "1 retry".to_owned(),
                    many => format!("{many} retries"),
                }
            ),
        });
    }
    let change = match succeeded {
        true => format!(
            "nothing: what has ended stays so; `windlass rerun {run}` runs it again as a run of its own"
        ),
        false => format!(
            "what has ended stays so; `windlass rerun --failed {run}` runs again what did not succeed"
        ),
    };
    let mut reason = Reason::new(ReasonCode::Ended, text, change);
    if let (true, Some(last)) = (is_one, status.attempts.last()) {
        reason.node.clone_from(&last.node);
    }
    reason
}

/// How an element ended; of `one` also where and how long it ran. Alike elements have equal words.
fn words(status: &ElementStatus, one: bool) -> String {
    // An element that waited for its next try may have ended otherwise than its last attempt.
    let last = status.attempts.last().filter(|attempt| attempt.state == status.state);
    let because = status.because.as_ref().or_else(|| last.and_then(|last| last.because.as_ref()));
    let mut words = match last.and_then(|last| last.outcome.as_ref()) {
        Some(outcome) => outcome.describe(),
        None if status.state == TaskState::Unknown => "it ended somehow".to_owned(),
        None if status.attempts.is_empty() => "it ended before it started".to_owned(),
        None => "it ended before its next attempt".to_owned(),
    };
    if let (true, Some(last)) = (one, last) {
        words.push_str(&format!(" on node {}", last.node));
        if let Some(outcome) = last.outcome.as_ref().filter(|outcome| outcome.started_us > 0) {
            let ran_ms = outcome.ended_us.saturating_sub(outcome.started_us) / 1000;
            let waited_ms = (outcome.started_us / 1000).saturating_sub(last.placed_ms);
            let (ran, waited) = (text::duration_ms(ran_ms), text::duration_ms(waited_ms));
            words.push_str(&format!(" after {ran}, {waited} after it got its node"));
        }
    }
    if let Some(because) = because {
        // A timeout says of itself what it did.
        let own = because.actor == "timeout" && !because.reason.is_empty();
        words.push_str(&match own {
            true => format!("; {}", because.reason),
            false => format!("; {}{}", status.state, by(because)),
        });
    }
    words
}

fn ended_ms(attempt: &super::AttemptStatus) -> Option<u64> {
    attempt.outcome.as_ref().map(|outcome| outcome.ended_us / 1000).filter(|ms| *ms > 0)
}
