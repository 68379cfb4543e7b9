//! From what people type to a run and its elements.

use std::sync::Arc;

use history::{Found, History, RunHead};
use model::selector::{RunSelector, TaskSelector};
use model::{JobSpec, RangeSet, RunId, Selector, TaskPosition};

use crate::error::Refused;
use crate::facts;
use crate::view::View;

/// A selector that points at a run there is.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) run: RunId,
    pub(crate) spec: Arc<JobSpec>,
    /// What history says of the run, if it has ended.
    pub(crate) ended: Option<RunHead>,
    /// The selected tasks with their selected ordinals.
    pub(crate) tasks: Vec<(TaskPosition, RangeSet)>,
    /// Only this attempt of each.
    pub(crate) attempt: Option<u32>,
    /// Whether everything of the run is selected.
    pub(crate) whole: bool,
}

impl Resolved {
    /// Whether what is known here of the run's end is what the view knows.
    pub(crate) fn is_current(&self, view: &View) -> bool {
        self.ended.is_some() || view.state.run(self.run).is_some()
    }

    /// Looks again how the run has ended; what was selected stays.
    pub(crate) fn refresh(&mut self, history: &History) -> Result<(), Refused> {
        self.ended = ended_run(history, self.run)?;
        Ok(())
    }
}

/// Looks up what `text` points at.
pub(crate) fn resolve(view: &View, history: &History, text: &str) -> Result<Resolved, Refused> {
    let selector = Selector::parse(text)?;
    let run = find_run(view, history, &selector)?;
    let (spec, ended) = match view.state.run(run) {
        Some(live) => (live.spec.clone(), None),
        None => {
            let head = ended_run(history, run)?
                .ok_or_else(|| Refused::NotFound(format!("there is no run {run}")))?;
            (job(history, run)?, Some(head))
        }
    };
    let positions = find_tasks(&spec, run, selector.task.as_ref())?;
    let tasks: Vec<_> = positions
        .map(|at| (at, spec.tasks[at as usize].ordinals(selector.indices.as_ref())))
        .filter(|(_, ordinals)| !ordinals.is_empty())
        .collect();
    if tasks.is_empty() {
        return Err(Refused::NotFound(format!("`{text}` selects no element of run {run}")));
    }
    let whole = selector.task.is_none() && selector.indices.is_none();
    Ok(Resolved { run, spec, ended, tasks, attempt: selector.attempt, whole })
}

/// Whether `text` names a run that has not ended, by its number: nothing has to be read for it.
pub(crate) fn is_live(view: &View, text: &str) -> bool {
    Selector::parse(text).is_ok_and(|selector| match selector.run {
        RunSelector::Id(run) => view.state.run(run).is_some(),
        RunSelector::Last => view.state.run(view.state.last_run()).is_some(),
        RunSelector::Name(_) => false,
    })
}

/// What history says of a run, if it has ended.
pub(crate) fn ended_run(history: &History, run: RunId) -> Result<Option<RunHead>, Refused> {
    // Asked before the look: what comes between the two is not missed.
    let is_awaiting = history.is_awaiting();
    match history.head(run) {
        Found::Known(head) => Ok(Some(head)),
        Found::Unknown if is_awaiting => Err(awaited()),
        Found::Unknown => Ok(None),
        Found::Damaged => Err(damaged(run)),
    }
}

/// What has ended may be in files that are still on their way from another node.
pub(crate) fn awaited() -> Refused {
    Refused::Unavailable(
        "this node is still fetching the history of another one; ask another node, or again in a moment"
            .to_owned(),
    )
}

/// The run whose results this one took over.
pub(crate) fn rerun_of(head: &RunHead) -> Option<RunId> {
    Some(RunId(head.profile.rerun_of)).filter(|of| of.0 > 0)
}

/// The job of a run that has ended.
fn job(history: &History, run: RunId) -> Result<Arc<JobSpec>, Refused> {
    match history.job(run) {
        Found::Known(bytes) => facts::job(&bytes).map(Arc::new).ok_or_else(|| damaged(run)),
        Found::Unknown | Found::Damaged => Err(damaged(run)),
    }
}

fn damaged(run: RunId) -> Refused {
    Refused::Failed(format!(
        "run {run} cannot be shown: where history keeps it, if it does, its file is damaged; `ps --all` lists the runs that are whole"
    ))
}

fn find_run(view: &View, history: &History, selector: &Selector) -> Result<RunId, Refused> {
    match &selector.run {
        RunSelector::Id(run) => Ok(*run),
        RunSelector::Last => match view.state.last_run() {
            RunId(0) => Err(Refused::NotFound("there is no run yet".to_owned())),
            run => Ok(run),
        },
        RunSelector::Name(_) if history.is_awaiting() => Err(awaited()),
        RunSelector::Name(name) => {
            let live = view.state.latest_named(name);
            let ended = history.latest_named(name);
            live.max(ended)
                .ok_or_else(|| Refused::NotFound(format!("no run of a job named `{name}`")))
        }
    }
}

fn find_tasks(
    spec: &JobSpec,
    run: RunId,
    task: Option<&TaskSelector>,
) -> Result<std::ops::Range<TaskPosition>, Refused> {
    let count = spec.tasks.len() as u32;
    let position = match task {
        None => return Ok(0..count),
        Some(TaskSelector::Position(position)) => Some(*position).filter(|at| *at < count),
        Some(TaskSelector::Name(name)) => {
            spec.tasks.iter().position(|task| task.name == *name).map(|at| at as u32)
        }
    };
    let names =
        || spec.tasks.iter().map(|t| t.name.as_str()).take(10).collect::<Vec<_>>().join(", ");
    let at = position.ok_or_else(|| {
        Refused::NotFound(format!("run {run} has no such task; it has: {}", names()))
    })?;
    Ok(at..at + 1)
}
