//! The status of elements: what history tells first, then what the state says of the rest.
//!
//! First it is found out which elements are shown, by ranges and in their order; then these alone
//! are looked up. So a status costs what it shows, however many elements the run has.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use history::{AttemptFact, ElementsEnd, History, States, Told};
use machine::{Live, TaskRun};
use model::{Attempt, Because, Element, RangeSet, RunId, TaskPosition, TaskSpec, TaskState};

use super::live::{ended_of, shown_state, waiting_of};
use super::resolve::{Resolved, ended_run, rerun_of};
use super::{AttemptStatus, ElementStatus};
use crate::view::View;

/// The selected elements of one run.
pub(crate) struct Selected {
    pub(crate) elements: Vec<ElementStatus>,
    pub(crate) total: u64,
}

/// Which states are wanted.
pub(crate) struct Wanted {
    /// None for every state.
    states: Vec<TaskState>,
    ended: States,
}

impl Wanted {
    /// Elements in one of these states, or in any where there is none.
    pub(crate) fn new(states: &[TaskState]) -> Wanted {
        let ended = match states {
            [] => States::FINAL,
            states => states.iter().copied().filter(|state| state.is_final()).collect(),
        };
        Wanted { states: states.to_vec(), ended }
    }

    fn has(&self, state: TaskState) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }
}

/// Who is said to have ended an element whose facts cannot be read.
const DAMAGED: (&str, &str) =
    ("history", "its facts are damaged on disk, so nobody can say how it ended");

/// The status of what is selected, at most `limit`; what waits comes last.
pub(crate) fn selected(
    view: &View,
    history: &History,
    resolved: &Resolved,
    wanted: &Wanted,
    limit: usize,
) -> Selected {
    let run = view.state.run(resolved.run);
    let total = resolved.tasks.iter().map(|(_, ordinals)| ordinals.len()).sum();
    let older = older_runs(view, history, resolved);
    let mut elements = Vec::new();
    for (task, ordinals) in &resolved.tasks {
        let room = limit - elements.len();
        let live = run.as_ref().map(|run| &run.tasks[*task as usize]);
        let ended = ended_of(live, ordinals, 0..=u32::MAX);
        let placed = |live: &Live| wanted.has(shown_state(view, live.node, live.state()));
        let live = live.map(|live| (live, &placed as &dyn Fn(&Live) -> bool));
        let own = told(history, live, resolved.run, *task, ordinals, wanted.ended);
        let found = or_older(history, own, &older, *task, &ended, wanted.ended);
        if wanted.states.is_empty() {
            elements.extend(statuses(view, history, resolved, *task, &lowest(room, found)));
            continue;
        }
        // What is found of an older run may be in another state by now, so it is looked up first.
        let look_up = |some: &RangeSet| statuses(view, history, resolved, *task, some);
        elements.extend(of_states(found, room, wanted, look_up));
    }
    let Some(run) = run.filter(|_| wanted.has(TaskState::Queued)) else {
        return Selected { elements, total };
    };
    let told = elements.len();
    for (task, ordinals) in &resolved.tasks {
        let room = limit - elements.len();
        // History may call some of them ended that were told above: as many more are looked at.
        let most = if room > 0 { room + told } else { 0 };
        let waiting = waiting_of(&run.tasks[*task as usize], ordinals, most);
        let statuses = statuses(view, history, resolved, *task, &waiting).into_iter();
        let waiting = statuses.filter(|status| status.state == TaskState::Queued);
        elements.extend(waiting.take(room));
    }
    Selected { elements, total }
}

/// The first selected element, by task and index, that ended without success, as far as history
/// tells; where none can be found and facts are damaged, one of these.
pub(crate) fn first_failure(
    view: &View,
    history: &History,
    resolved: &Resolved,
) -> Option<ElementStatus> {
    let older = older_runs(view, history, resolved);
    let mut damaged = None;
    for (task, ordinals) in &resolved.tasks {
        let own = told(history, None, resolved.run, *task, ordinals, States::UNSUCCESSFUL);
        let found = or_older(history, own, &older, *task, ordinals, States::UNSUCCESSFUL);
        let mut candidates = found.flat_map(|found| {
            let most = if found.is_damaged { LOOKED_UP } else { usize::MAX };
            let ranges: Vec<_> = found.ordinals.ranges().collect();
            ranges.into_iter().flatten().take(most)
        });
        loop {
            let some: RangeSet = candidates.by_ref().take(LOOKED_UP).collect();
            if some.is_empty() {
                break;
            }
            // What failed in an older run may have succeeded in this one.
            for status in statuses(view, history, resolved, *task, &some) {
                match status.state {
                    TaskState::Unknown => damaged = damaged.or(Some(status)),
                    TaskState::Succeeded => {}
                    state if state.is_final() => return Some(status),
                    _ => {}
                }
            }
        }
    }
    damaged
}

/// Elements that are looked up at once.
const LOOKED_UP: usize = 64;
/// Runs that took over results of one another that are looked at.
const OLDER_MAX: usize = 32;

/// The runs that tell of what this one did not repeat, the latest first.
pub(super) fn older_runs(view: &View, history: &History, resolved: &Resolved) -> Vec<RunId> {
    let mut next = match &resolved.ended {
        Some(head) => rerun_of(head),
        None => view.state.run(resolved.run).and_then(|run| run.rerun_of),
    };
    let mut older = Vec::new();
    while let Some(run) = next.filter(|_| older.len() < OLDER_MAX) {
        older.push(run);
        next = ended_run(history, run).ok().flatten().as_ref().and_then(rerun_of);
    }
    older
}

/// The first `limit` of those found that are in a wanted state.
fn of_states(
    found: impl Iterator<Item = Found>,
    limit: usize,
    wanted: &Wanted,
    look_up: impl Fn(&RangeSet) -> Vec<ElementStatus>,
) -> Vec<ElementStatus> {
    let mut seen = RangeSet::new();
    let mut candidates = found
        .flat_map(|found| found.ordinals.ranges().collect::<Vec<_>>())
        .flatten()
        .filter(|ordinal| seen.insert(*ordinal));
    let mut statuses = Vec::new();
    while statuses.len() < limit {
        let some: RangeSet = candidates.by_ref().take(LOOKED_UP).collect();
        if some.is_empty() {
            break;
        }
        statuses.extend(look_up(&some).into_iter().filter(|status| wanted.has(status.state)));
    }
    statuses.truncate(limit);
    statuses
}

/// What is found, and what older runs tell of the same elements.
fn or_older<'a>(
    history: &History,
    own: impl Iterator<Item = Found> + 'a,
    older: &[RunId],
    task: TaskPosition,
    ordinals: &'a RangeSet,
    states: States,
) -> Box<dyn Iterator<Item = Found> + 'a> {
    let mut found: Box<dyn Iterator<Item = Found> + 'a> = Box::new(own);
    for run in older {
        found = Box::new(in_order(found, told(history, None, *run, task, ordinals, states)));
    }
    found
}

/// Elements that are not waiting, in order.
struct Found {
    ordinals: RangeSet,
    is_damaged: bool,
}

impl Found {
    fn first(&self) -> u32 {
        self.ordinals.first().unwrap_or(0)
    }
}

/// What the state says of a task, and what is wanted of those that are placed.
type Placed<'a> = (&'a TaskRun, &'a dyn Fn(&Live) -> bool);

/// Elements that ended in one of these states and those that are placed as wanted.
fn told<'a>(
    history: &History,
    live: Option<Placed<'a>>,
    run: RunId,
    task: TaskPosition,
    ordinals: &'a RangeSet,
    states: States,
) -> impl Iterator<Item = Found> + use<'a> {
    let clipped = |range: RangeInclusive<u32>| {
        let mut set = RangeSet::new();
        set.append_common(ordinals, range);
        set
    };
    let found = move |told: Told| match told {
        Told::Attempt(attempt) => {
            let ordinals = RangeSet::from_iter([attempt.ordinal..=attempt.ordinal]);
            Found { ordinals, is_damaged: false }
        }
        Told::Ended(range, _) => Found { ordinals: clipped(range), is_damaged: false },
        Told::Damaged(range) => Found {
            ordinals: ended_of(live.map(|(task, _)| task), ordinals, range),
            is_damaged: true,
        },
    };
    let ended = history.elements(run, task, ordinals, states).map(found);
    let ended = ended.filter(|found| !found.ordinals.is_empty());
    let placed = live.into_iter().flat_map(|(task, wants)| {
        let placed = ordinals.ranges().flat_map(|range| task.live.range(range));
        placed.filter(move |(_, live)| wants(live)).map(|(&ordinal, _)| Found {
            ordinals: RangeSet::from_iter([ordinal..=ordinal]),
            is_damaged: false,
        })
    });
    in_order(ended, placed)
}

/// Both, the one with the lower first ordinal first.
fn in_order<L: Iterator<Item = Found>, R: Iterator<Item = Found>>(
    left: L,
    right: R,
) -> impl Iterator<Item = Found> + use<L, R> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(l), Some(r)) if l.first() <= r.first() => left.next(),
        (_, Some(_)) => right.next(),
        (_, None) => left.next(),
    })
}

/// The lowest so many ordinals.
fn lowest(limit: usize, found: impl Iterator<Item = Found>) -> RangeSet {
    let mut lowest = BTreeSet::new();
    for found in found {
        // What follows is not lower than this.
        let is_full = lowest.len() >= limit;
        if is_full && lowest.last().is_none_or(|last| found.first() > *last) {
            break;
        }
        lowest.extend(found.ordinals.iter().take(limit));
        while lowest.len() > limit {
            lowest.pop_last();
        }
    }
    lowest.into_iter().collect()
}

/// What history tells of one element.
#[derive(Default)]
struct Facts {
    attempts: Vec<AttemptFact>,
    ended: Option<ElementsEnd>,
    is_damaged: bool,
}

fn facts_of(
    history: &History,
    run: RunId,
    task: TaskPosition,
    ordinals: &RangeSet,
) -> BTreeMap<u32, Facts> {
    let mut facts: BTreeMap<u32, Facts> = BTreeMap::new();
    let clipped = |range: RangeInclusive<u32>| {
        let mut set = RangeSet::new();
        set.append_common(ordinals, range);
        set
    };
    for told in history.elements(run, task, ordinals, States::ANY) {
        match told {
            Told::Attempt(attempt) => {
                facts.entry(attempt.ordinal).or_default().attempts.push(attempt);
            }
            Told::Ended(range, end) => {
                for ordinal in clipped(range).iter() {
                    facts.entry(ordinal).or_default().ended = Some(end.clone());
                }
            }
            Told::Damaged(range) => {
                for ordinal in clipped(range).iter() {
                    facts.entry(ordinal).or_default().is_damaged = true;
                }
            }
        }
    }
    facts
}

/// The status of each of these, which are not many.
fn statuses(
    view: &View,
    history: &History,
    resolved: &Resolved,
    position: TaskPosition,
    ordinals: &RangeSet,
) -> Vec<ElementStatus> {
    if ordinals.is_empty() {
        return Vec::new();
    }
    let spec = &resolved.spec.tasks[position as usize];
    let run = view.state.run(resolved.run);
    let live = run.as_ref().map(|run| &run.tasks[position as usize]);
    let mut facts = facts_of(history, resolved.run, position, ordinals);
    let taken = taken_over(view, history, resolved, position, ordinals, &mut facts);
    let status = |ordinal: u32| {
        let mut status = unstarted(resolved.run, position, spec, ordinal);
        told_status(
            view,
            live,
            spec,
            ordinal,
            facts.remove(&ordinal).unwrap_or_default(),
            &mut status,
        );
        if let Some(older) = taken.get(&ordinal) {
            let because = Because::new(format!("run:{older}"), "taken over from there");
            status.because.get_or_insert(because);
        }
        status
    };
    ordinals.iter().map(status).collect()
}

/// An element of which nothing has happened.
pub(super) fn unstarted(
    run: RunId,
    task: TaskPosition,
    spec: &TaskSpec,
    ordinal: u32,
) -> ElementStatus {
    let index = spec.indices().index(ordinal);
    let mut id = format!("{run}/{}", spec.name);
    if spec.array.is_some() {
        id.push_str(&format!("[{index}]"));
    }
    ElementStatus {
        element: Element { run, task, index },
        id,
        task: spec.name.clone(),
        state: TaskState::Queued,
        attempts: Vec::new(),
        because: None,
    }
}

/// Adds the facts of those that this run did not repeat; says whose they are.
fn taken_over(
    view: &View,
    history: &History,
    resolved: &Resolved,
    task: TaskPosition,
    ordinals: &RangeSet,
    facts: &mut BTreeMap<u32, Facts>,
) -> BTreeMap<u32, RunId> {
    let mut taken = BTreeMap::new();
    let older = older_runs(view, history, resolved);
    if older.is_empty() {
        return taken;
    }
    let run = view.state.run(resolved.run);
    let live = run.as_ref().map(|run| &run.tasks[task as usize]);
    let mut missing = ended_of(live, ordinals, 0..=u32::MAX);
    facts.keys().for_each(|ordinal| _ = missing.remove(*ordinal));
    for run in older {
        for (ordinal, found) in facts_of(history, run, task, &missing) {
            missing.remove(ordinal);
            facts.insert(ordinal, found);
            taken.insert(ordinal, run);
        }
    }
    taken
}

/// What history tells; where that is not its end, what the state says.
fn told_status(
    view: &View,
    live: Option<&TaskRun>,
    spec: &TaskSpec,
    ordinal: u32,
    facts: Facts,
    status: &mut ElementStatus,
) {
    let last = facts.attempts.iter().find_map(|attempt| attempt.state);
    status.attempts.extend(facts.attempts.into_iter().map(|fact| ended_attempt(view, spec, fact)));
    if let Some(state) = last {
        status.state = state;
    } else if let Some(end) = facts.ended {
        status.state = end.state;
        status.because = Some((*end.because).clone());
    } else if !is_live(view, live, ordinal, status) && facts.is_damaged {
        status.state = TaskState::Unknown;
        status.because = Some(Because::new(DAMAGED.0, DAMAGED.1));
    }
}

/// What the state says of an element that history does not call ended; whether it knows it.
fn is_live(view: &View, task: Option<&TaskRun>, ordinal: u32, status: &mut ElementStatus) -> bool {
    let Some(task) = task else { return false };
    let Some(live) = task.live.get(&ordinal) else {
        return super::live::waiting(task).into_iter().any(|set| set.contains(ordinal));
    };
    if status.attempts.iter().any(|attempt| attempt.number == live.number) {
        return true; // History is newer than the state: the attempt has ended and waits for its next.
    }
    let attempt = current_attempt(view, live);
    status.state = attempt.state;
    status.attempts.push(attempt);
    true
}

/// The attempt of an element that is placed.
pub(super) fn current_attempt(view: &View, live: &Live) -> AttemptStatus {
    AttemptStatus {
        number: live.number,
        state: shown_state(view, live.node, live.state()),
        node: view.node_name(live.node),
        fence: live.fence,
        placed_ms: live.placed_ms,
        started_us: live.started_us,
        outcome: None,
        because: live.stop.as_ref().map(|(_, because)| (**because).clone()),
    }
}

fn ended_attempt(view: &View, spec: &TaskSpec, fact: AttemptFact) -> AttemptStatus {
    // After a failure that is tried again the element went on, but the attempt has failed.
    let own = || fact.outcome.state(&spec.success_codes);
    AttemptStatus {
        number: fact.number,
        state: fact.state.or_else(own).unwrap_or(TaskState::Lost),
        node: view.node_name(fact.node),
        fence: fact.fence,
        placed_ms: fact.placed_ms,
        started_us: fact.outcome.started_us,
        outcome: Some(fact.outcome),
        because: fact.because.as_deref().cloned(),
    }
}

impl ElementStatus {
    /// One of its attempts, named.
    pub fn attempt(&self, number: u32) -> Attempt {
        Attempt { element: self.element, number }
    }
}
