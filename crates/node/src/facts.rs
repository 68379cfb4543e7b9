//! From the machine's events to the facts that history keeps, and what a run shows of itself in
//! either place.

use std::sync::Arc;

use history::{AttemptFact, ElementsEnd, Fact, Profile, RunFact, RunHead};
use machine::{AttemptEnded, Event, Run};
use model::{JobSpec, RunId, StopCause, TaskState};
use prost::Message;

/// Characters of a command that a summary shows.
const COMMAND_CHARS_MAX: usize = 200;
/// For one state of a whole run: the first of these that occurs.
const WORST_FIRST: [TaskState; 11] = [
    TaskState::Running,
    TaskState::Stopping,
    TaskState::Unknown,
    TaskState::Scheduled,
    TaskState::Queued,
    TaskState::Failed,
    TaskState::TimedOut,
    TaskState::Lost,
    TaskState::Dead,
    TaskState::Canceled,
    TaskState::Succeeded,
];

/// The facts in the events of one journal entry.
pub(crate) fn facts(events: &[Event], time_ms: u64) -> Vec<Fact> {
    let fact = |event: &Event| match event {
        Event::AttemptEnded(ended) => Some(Fact::Attempt(attempt(ended))),
        Event::ElementsEnded { run, task, ordinals, state, because } => {
            let end = ElementsEnd { state: *state, because: because.clone(), ended_ms: time_ms };
            let (run, task, ordinals) = (*run, *task, ordinals.clone());
            Some(Fact::Elements { run, task, ordinals, end })
        }
        Event::RunEnded { run, last, ended_ms } => {
            let job = proto::job::Job::from(&*last.spec).encode_to_vec();
            let head = head(*run, last, *ended_ms);
            Some(Fact::Run(Box::new(RunFact { head, job })))
        }
        Event::Changed(change) => Some(Fact::Change(Box::new(self::change(change, time_ms)))),
        _ => None,
    };
    events.iter().filter_map(fact).collect()
}

/// What was submitted, as a run's fact keeps it; `None` where the bytes are no job.
pub(crate) fn job(bytes: &[u8]) -> Option<JobSpec> {
    JobSpec::try_from(proto::job::Job::decode(bytes).ok()?).ok()
}

fn change(change: &machine::Change, time_ms: u64) -> history::Change {
    let machine::Change { action, on, actor, reason, token, address } = change.clone();
    let action = action.to_string();
    history::Change { time_ms, action, on, actor, reason, token, address }
}

fn attempt(ended: &AttemptEnded) -> AttemptFact {
    AttemptFact {
        run: ended.attempt.element.run,
        task: ended.attempt.element.task,
        ordinal: ended.ordinal,
        number: ended.attempt.number,
        fence: ended.fence,
        node: ended.node,
        placed_ms: ended.placed_ms,
        outcome: ended.outcome.clone(),
        because: ended.because.clone(),
        state: ended.state,
    }
}

fn head(id: RunId, run: &Run, ended_ms: u64) -> RunHead {
    let spec = &run.spec;
    let counts: Vec<Vec<(TaskState, u64)>> =
        run.tasks.iter().map(|task| task.ended.iter().map(|(s, c)| (*s, *c)).collect()).collect();
    let (exit_code, summary) = outcome_of(run);
    let profile = Profile {
        namespace: spec.namespace.clone(),
        owner: spec.owner.clone(),
        name: spec.name.clone(),
        labels: spec.labels.clone(),
        command: command(spec),
        state: worst(counts.iter().flatten().map(|(state, _)| *state)),
        exit_code,
        summary,
        canceled: run.canceled.as_deref().cloned(),
        elements: elements(spec),
        counts,
        rerun_of: run.rerun_of.map_or(0, |of| of.0),
        retention: spec.retention,
    };
    RunHead {
        run: id,
        submitted_ms: run.submitted_ms,
        started_us: run.started_us,
        ended_ms,
        profile: Arc::new(profile),
    }
}

/// What `run` and `wait` exit with for a run so far, and why in words.
pub(crate) fn outcome_of(run: &Run) -> (i32, String) {
    match run.first_failure() {
        Some(failure) => (failure.exit_code, failure.summary.clone()),
        None => (0, "succeeded".to_owned()),
    }
}

/// The first task's command as a line for a shell; one that is longer than is kept ends with `…`.
pub(crate) fn command(spec: &JobSpec) -> String {
    let words = spec.tasks.first().map_or(&[][..], |task| &task.command);
    // What lies beyond is not looked at: a word may be as long as a job.
    let mut room = COMMAND_CHARS_MAX + 1;
    let begins = words.iter().map_while(|word| {
        let begin: String = (room > 0).then(|| word.chars().take(room).collect())?;
        room = room.saturating_sub(begin.chars().count() + 1);
        Some(begin)
    });
    let begins: Vec<String> = begins.collect();
    let line = model::words::shell_line(begins.iter().map(String::as_str));
    if line.chars().count() <= COMMAND_CHARS_MAX && begins.len() == words.len() {
        return line;
    }
    line.chars().take(COMMAND_CHARS_MAX - 1).chain(['…']).collect()
}

/// How many elements a job has.
pub(crate) fn elements(spec: &JobSpec) -> u64 {
    spec.tasks.iter().map(|task| u64::from(task.indices().count())).sum()
}

/// One state for a whole of which these occur.
pub(crate) fn worst(states: impl Iterator<Item = TaskState>) -> TaskState {
    let rank = |state: &TaskState| WORST_FIRST.iter().position(|other| other == state);
    states.min_by_key(rank).unwrap_or(TaskState::Queued)
}

/// Why an attempt is stopped, in words.
pub(crate) fn stop_words(cause: StopCause) -> &'static str {
    match cause {
        StopCause::Cancel => "canceled",
        StopCause::Timeout => "it ran longer than its timeout",
        StopCause::Down => "its node goes down",
        StopCause::Deadline => "it took longer than its total timeout",
        StopCause::Drain => "its node is drained",
        StopCause::Lease => "its node has not heard of a leader for as long as its lease",
    }
}

#[cfg(test)]
mod tests {
    use model::TaskSpec;

    use super::*;

    fn shown(words: Vec<String>) -> String {
        command(&JobSpec { tasks: vec![TaskSpec::new(words)], ..JobSpec::default() })
    }

    #[test]
    fn a_command_is_a_line_for_a_shell_and_says_where_it_is_cut_off() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(shown(words(&["sh", "-c", "echo a; exit 3"])), "sh -c 'echo a; exit 3'");
        assert_eq!(shown(words(&[])), "");
        let exact = "x".repeat(COMMAND_CHARS_MAX);
        assert_eq!(shown(words(&[&exact])), exact);
        for long in [words(&[&exact, "y"]), vec!["z".repeat(1 << 20)], vec!["w".into(); 1 << 16]] {
            let shown = shown(long);
            assert_eq!(shown.chars().count(), COMMAND_CHARS_MAX);
            assert!(shown.ends_with('…'));
        }
    }

    #[test]
    fn a_run_is_in_the_state_that_the_page_names_first() {
        let page = include_str!("../../../docs/concepts/states.md");
        let line = page.lines().find(|line| line.starts_with("A run has one state"));
        let words = line.expect("the page says so").split('`').skip(1).step_by(2);
        let order: Vec<TaskState> = words.map(|word| word.parse().unwrap()).collect();
        assert_eq!(order.len(), TaskState::ALL.len(), "{order:?}");
        for (at, first) in order.iter().enumerate() {
            for other in &order[at..] {
                assert_eq!(worst([*other, *first].into_iter()), *first, "beside {other}");
            }
        }
    }
}
