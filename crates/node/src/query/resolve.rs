//! From what people type to a run and its elements.

use std::sync::Arc;

use history::History;
use model::selector::{RunSelector, TaskSelector};
use model::{Because, JobSpec, RangeSet, RunId, Selector, TaskPosition};
use prost::Message;
use proto::record::RunFact;

use crate::error::Refused;
use crate::view::View;

/// A selector that points at a run there is.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) run: RunId,
    pub(crate) spec: Arc<JobSpec>,
    /// The run's fact, if it has ended.
    pub(crate) ended: Option<EndedRun>,
    /// The selected tasks with their selected ordinals.
    pub(crate) tasks: Vec<(TaskPosition, RangeSet)>,
    /// Only this attempt of each.
    pub(crate) attempt: Option<u32>,
    /// Whether everything of the run is selected.
    pub(crate) whole: bool,
}

impl Resolved {
    /// Looks again whether the run has ended; what was selected stays.
    pub(crate) fn refresh(&mut self, view: &View, history: &History) -> Result<(), Refused> {
        if self.ended.is_none() && view.state.run(self.run).is_none() {
            self.ended = ended_run(history, self.run)?.map(|(_, ended)| ended);
        }
        Ok(())
    }
}

/// What history tells of an ended run.
#[derive(Clone, Debug)]
pub(crate) struct EndedRun {
    pub(crate) fact: RunFact,
    pub(crate) canceled: Option<Because>,
}

/// Looks up what `text` points at.
pub(crate) fn resolve(view: &View, history: &History, text: &str) -> Result<Resolved, Refused> {
    let selector = Selector::parse(text)?;
    let run = find_run(view, history, &selector)?;
    let (spec, ended) = match view.state.run(run) {
        Some(live) => (live.spec.clone(), None),
        None => {
            let (spec, ended) = ended_run(history, run)?
                .ok_or_else(|| Refused::NotFound(format!("there is no run {run}")))?;
            (spec, Some(ended))
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

/// The spec and the fact of a run that has ended.
pub(crate) fn ended_run(
    history: &History,
    run: RunId,
) -> Result<Option<(Arc<JobSpec>, EndedRun)>, Refused> {
    let Some(bytes) = history.run(run.0)? else { return Ok(None) };
    Ok(Some(decode_run(run, &bytes)?))
}

/// Reads a run's fact.
pub(crate) fn decode_run(run: RunId, bytes: &[u8]) -> Result<(Arc<JobSpec>, EndedRun), Refused> {
    let damaged = || Refused::Failed(format!("history holds no valid fact of run {run}"));
    let mut fact = RunFact::decode(bytes).map_err(|_| damaged())?;
    let job = fact.job.take().ok_or_else(damaged)?;
    let spec = JobSpec::try_from(job).map_err(|_| damaged())?;
    let canceled = fact.canceled.take().map(Because::from);
    Ok((Arc::new(spec), EndedRun { fact, canceled }))
}

fn find_run(view: &View, history: &History, selector: &Selector) -> Result<RunId, Refused> {
    match &selector.run {
        RunSelector::Id(run) => Ok(*run),
        RunSelector::Last => match view.state.last_run() {
            RunId(0) => Err(Refused::NotFound("there is no run yet".to_owned())),
            run => Ok(run),
        },
        RunSelector::Name(name) => {
            let live = view.state.latest_named(name);
            let ended = history.latest_named(name)?.map(RunId);
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
