//! Facts for tests, and ways to ask for them.

use std::path::Path;
use std::sync::Arc;

use history::{
    AttemptFact, ElementsEnd, Fact, History, Profile, RunFact, RunFilter, RunHead, Settings,
    States, Told,
};
use model::{Because, Ending, Fence, NodeId, Outcome, OutputRef, RangeSet, RunId, TaskState};

pub(crate) const NOW_MS: u64 = 1_790_000_000_000;
pub(crate) const DAY_MS: u64 = 86_400_000;

pub(crate) fn open(dir: &Path) -> History {
    History::open(dir, Settings::default()).unwrap()
}

/// An attempt of which every field says something.
pub(crate) fn attempt(
    run: u64,
    ordinal: u32,
    number: u32,
    state: Option<TaskState>,
) -> AttemptFact {
    let seed = run * 31 + u64::from(ordinal) * 7 + u64::from(number);
    let started_us = NOW_MS * 1000 + seed * 1_003;
    let ending = match seed % 5 {
        0 => Ending::Signaled { signal: 9 },
        1 => Ending::Gone,
        2 => Ending::NotStarted(model::NotStarted::NotFound(format!("no file {seed}"))),
        _ => Ending::Exited { code: (seed % 200) as i32 },
    };
    AttemptFact {
        run: RunId(run),
        task: 0,
        ordinal,
        number,
        fence: Fence(seed << 40 | 5),
        node: NodeId(uuid::Uuid::from_u128(u128::from(seed % 3) + 1)),
        placed_ms: NOW_MS + seed,
        outcome: Outcome {
            stopped: (seed % 4 == 1).then_some(model::StopCause::Timeout),
            started_us: if seed.is_multiple_of(7) { 0 } else { started_us },
            ended_us: if seed.is_multiple_of(6) { 0 } else { started_us + seed },
            cpu_us: seed * 3,
            memory_peak_bytes: seed * 4096 + seed % 3,
            output: (!seed.is_multiple_of(3))
                .then_some(OutputRef { segment: 3, offset: seed * 100 }),
            output_bytes: seed,
            output_dropped_bytes: seed % 2,
            output_truncated: seed.is_multiple_of(11),
            ..Outcome::bare(ending)
        },
        because: seed
            .is_multiple_of(9)
            .then(|| Arc::new(Because::new("user:ann", format!("{seed}")))),
        state,
    }
}

pub(crate) fn ended(run: u64, ordinal: u32) -> Fact {
    let state = if ordinal % 10 == 3 { TaskState::Failed } else { TaskState::Succeeded };
    Fact::Attempt(attempt(run, ordinal, 1, Some(state)))
}

pub(crate) fn canceled(run: u64, ordinals: std::ops::RangeInclusive<u32>) -> Fact {
    let because = Arc::new(Because::new("user:bob", "enough"));
    let end = ElementsEnd { state: TaskState::Canceled, because, ended_ms: NOW_MS };
    Fact::Elements { run: RunId(run), task: 0, ordinals: RangeSet::from_iter([ordinals]), end }
}

pub(crate) fn head(run: u64, change: impl FnOnce(&mut RunHead, &mut Profile)) -> Fact {
    let mut profile = Profile {
        namespace: "default".into(),
        owner: "ann".into(),
        name: String::new(),
        labels: vec![],
        command: "/bin/true".into(),
        state: TaskState::Succeeded,
        exit_code: 0,
        summary: "succeeded".into(),
        canceled: None,
        elements: 1,
        counts: vec![vec![(TaskState::Succeeded, 1)]],
        rerun_of: 0,
        retention: None,
    };
    let mut head = RunHead {
        run: RunId(run),
        submitted_ms: NOW_MS + run,
        started_us: if run.is_multiple_of(3) { 0 } else { (NOW_MS + run) * 1000 + 55 },
        ended_ms: NOW_MS + run + 10,
        profile: Arc::new(profile.clone()),
    };
    change(&mut head, &mut profile);
    head.profile = Arc::new(profile);
    Fact::Run(Box::new(RunFact { head, job: format!("job of {run}").into_bytes() }))
}

pub(crate) fn run(run: u64) -> Fact {
    head(run, |_, _| ())
}

pub(crate) fn told(history: &History, run: u64, ordinals: RangeSet, states: States) -> Vec<Told> {
    history.elements(RunId(run), 0, &ordinals, states).collect()
}

/// The ordinals of all attempts of a run.
pub(crate) fn ordinals(history: &History, run: u64) -> Vec<u32> {
    let all = told(history, run, RangeSet::from_iter([0..=u32::MAX - 1]), States::ANY);
    let ordinal = |told: &Told| match told {
        Told::Attempt(attempt) => Some(attempt.ordinal),
        _ => None,
    };
    all.iter().filter_map(ordinal).collect()
}

/// The runs that a filter wants, page by page.
pub(crate) fn runs(history: &History, filter: &RunFilter) -> Vec<u64> {
    let (mut found, mut before) = (Vec::new(), RunId(u64::MAX));
    loop {
        let page = history.list(filter, before, 7);
        found.extend(page.heads.iter().map(|head| head.run.0));
        match page.next {
            Some(next) => before = next,
            None => return found,
        }
    }
}

pub(crate) fn tend(history: &History, now_ms: u64) {
    let steps = (0..100_000).take_while(|_| history.tend(now_ms).unwrap()).count();
    assert!(steps < 100_000, "tending comes to an end");
}

/// The files of a history, without what is no part.
pub(crate) fn parts(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut parts: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "part"))
        .collect();
    parts.sort();
    parts
}
