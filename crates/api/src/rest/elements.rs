//! Elements of a run, its tasks, and one element with its attempts.
//!
//! Pages go by task and index, whatever state an element is in, so that nothing is left out and
//! nothing comes twice while a run goes on.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::LINK;
use http::{HeaderMap, Uri};
use model::{JobSpec, TaskSpec, TaskState};
use proto::api;
use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;
use super::request::{Id, Params};
use super::runs::{limit, states};
use super::{Rest, cursor};
use crate::caller::Caller;
use crate::json::{Element, ElementList, Task, TaskList, TaskOfRun};

/// Elements of which those in one state are looked for at a time.
const WINDOW: u32 = 100_000;
/// How many such windows one page looks at.
const LOOKS_MAX: usize = 16;

/// Which elements are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListElements {
    /// Only of this task.
    task: Option<String>,
    /// In one of these states, separated by commas or each with a `state=` of its own.
    state: Vec<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List the elements of a run, with their attempts
#[utoipa::path(get, path = "/v1/runs/{id}/elements", tag = "runs", operation_id = "list_elements",
    params(("id" = String, Path, description = "A run's number, `last`, or a job's name"), ListElements),
    responses((status = 200, description = "A page of elements; `Link` names the next", body = ElementList,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`, where there is one")))))]
pub(super) async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    id: Id,
    uri: Uri,
    Params(params): Params<ListElements>,
) -> Result<Response, Problem> {
    let most = limit(params.limit)?;
    let states = states(&params.state)?;
    let (run, spec) = run_and_job(&rest, &caller, id.0).await?;
    let mut walk = Walk::new(&spec, params.task.as_deref(), params.cursor.as_deref())?;
    // What waits is told behind the rest of a window, so where both are wanted it must be whole.
    let waiting = |state: &TaskState| *state == TaskState::Queued;
    let in_order = states.len() == 1 || !(states.is_empty() || states.iter().any(waiting));
    let mut elements: Vec<api::ElementStatus> = Vec::new();
    for _ in 0..LOOKS_MAX {
        let room = most - elements.len() as u32;
        let Some(window) = walk.window(if in_order { WINDOW } else { room }) else { break };
        let request = api::GetRunRequest {
            id: window.id(run),
            limit: room,
            states: states.iter().map(TaskState::to_string).collect(),
        };
        let mut found = rest.service.get_run(&caller, request).await?.elements;
        found.sort_by_key(|element| element.index);
        let cut = (found.len() >= room as usize && in_order).then(|| found.last()).flatten();
        walk.go_behind(&window, cut.map(|element| element.index));
        elements.extend(found);
        if elements.len() >= most as usize {
            break;
        }
    }
    let next_cursor = walk.window(1).map(|next| next.cursor());
    let mut headers = HeaderMap::new();
    let next = next_cursor.as_deref().and_then(|next| cursor::link(&uri, next));
    headers.extend(next.map(|link| (LINK, link)));
    let elements = elements.iter().map(Element::from).collect();
    Ok((headers, Json(ElementList { elements, next_cursor })).into_response())
}

/// A run's number and what was submitted.
async fn run_and_job(rest: &Rest, caller: &Caller, id: String) -> Result<(u64, JobSpec), Problem> {
    let request = api::GetRunRequest { id, limit: 1, states: Vec::new() };
    let answer = rest.service.get_run(caller, request).await?;
    let spec = JobSpec::try_from(answer.job.unwrap_or_default());
    let spec = spec.map_err(|fault| node::Refused::Failed(fault.to_string()))?;
    Ok((answer.run.unwrap_or_default().run, spec))
}

/// Goes through the elements of some tasks, a window at a time.
struct Walk<'a> {
    tasks: &'a [TaskSpec],
    /// The task behind the last one that is wanted.
    end: usize,
    task: usize,
    ordinal: u32,
}

/// Elements that lie side by side.
struct Window<'a> {
    task: usize,
    spec: &'a TaskSpec,
    first: u32,
    last: u32,
}

impl<'a> Walk<'a> {
    fn new(
        spec: &'a JobSpec,
        task: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Walk<'a>, Problem> {
        let tasks = &spec.tasks[..];
        let (first, end) = match task {
            None => (0, tasks.len()),
            Some(name) => {
                let at = tasks.iter().position(|task| task.name == name);
                let unknown = || node::Refused::NotFound(format!("the run has no task `{name}`"));
                let at = at.ok_or_else(unknown)?;
                (at, at + 1)
            }
        };
        let mut walk = Walk { tasks, end, task: first, ordinal: 0 };
        if let Some(cursor) = cursor {
            let [task, ordinal] = cursor::read::<2>('e', cursor)?;
            let place = usize::try_from(task).ok().zip(u32::try_from(ordinal).ok());
            let (task, ordinal) = place
                .filter(|(task, _)| (first..end).contains(task))
                .ok_or_else(|| Problem::parameter("cursor", "it is of another list of elements"))?;
            (walk.task, walk.ordinal) = (task, ordinal);
        }
        Ok(walk)
    }

    /// The next elements, at most so many; `None` behind the last.
    fn window(&mut self, most: u32) -> Option<Window<'a>> {
        while self.task < self.end {
            let spec = &self.tasks[self.task];
            let last = spec.indices().count() - 1;
            if self.ordinal <= last {
                let (task, first) = (self.task, self.ordinal);
                let last = last.min(first.saturating_add(most.max(1) - 1));
                return Some(Window { task, spec, first, last });
            }
            (self.task, self.ordinal) = (self.task + 1, 0);
        }
        None
    }

    /// Goes on behind the window, or in it behind the element with this index.
    fn go_behind(&mut self, window: &Window<'_>, index: Option<u32>) {
        let seen = index.and_then(|index| window.spec.indices().ordinal(index));
        self.ordinal = seen.unwrap_or(window.last) + 1;
    }
}

impl Window<'_> {
    fn id(&self, run: u64) -> String {
        let array = self.spec.indices();
        let (first, last) = (array.index(self.first), array.index(self.last));
        format!("{run}/{}[{first}-{last}]", self.spec.name)
    }

    fn cursor(&self) -> String {
        cursor::write('e', &[self.task as u64, u64::from(self.first)])
    }
}

/// List the tasks of a run
#[utoipa::path(get, path = "/v1/runs/{id}/tasks", tag = "runs", operation_id = "list_tasks",
    params(("id" = String, Path, description = "A run's number, `last`, or a job's name")),
    responses((status = 200, description = "The tasks, in the order of the job", body = TaskList)))]
pub(super) async fn tasks(
    State(rest): State<Rest>,
    caller: Caller,
    id: Id,
) -> Result<Json<TaskList>, Problem> {
    let (_, spec) = run_and_job(&rest, &caller, id.0).await?;
    let task = |task: &TaskSpec| TaskOfRun {
        elements: u64::from(task.indices().count()),
        task: Task::from(task),
    };
    Ok(Json(TaskList { tasks: spec.tasks.iter().map(task).collect() }))
}

/// Show an element with its attempts
#[utoipa::path(get, path = "/v1/runs/{id}/tasks/{task}/elements/{index}", tag = "runs",
    operation_id = "get_element",
    params(("id" = String, Path, description = "A run's number, `last`, or a job's name"),
        ("task" = String, Path, description = "The task's name"),
        ("index" = u32, Path, description = "The index in the task's array; 0 where it is none")),
    responses((status = 200, description = "The element", body = Element)))]
pub(super) async fn get(
    State(rest): State<Rest>,
    caller: Caller,
    Path(parts): Path<Vec<(String, String)>>,
    id: Id,
) -> Result<Json<Element>, Problem> {
    let part = |name: &str| parts.iter().find(|(key, _)| key == name).map_or("", |(_, text)| text);
    let (task, index) = (part("task"), part("index"));
    let index: u32 = index.parse().map_err(|_| {
        Problem::parameter("index", format!("`{index}` is not a number such as `37`"))
    })?;
    let id = id.select(Some(&format!("{task}[{index}]")));
    let request = api::GetRunRequest { id: id.clone(), limit: 1, states: Vec::new() };
    let element = rest.service.get_run(&caller, request).await?.elements.into_iter().next();
    let none = || node::Refused::NotFound(format!("there is no element `{id}`"));
    Ok(Json(Element::from(&element.ok_or_else(none)?)))
}

#[cfg(test)]
mod tests {
    use model::ArraySpec;

    use super::*;

    #[test]
    fn every_element_is_passed_once() {
        let mut spec = JobSpec { tasks: vec![TaskSpec::new(vec![]); 3], ..JobSpec::default() };
        spec.tasks[1].array = Some(ArraySpec { first: 10, last: 20, step: 5, parallel_max: 0 });
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut walk = Walk::new(&spec, None, cursor.as_deref()).unwrap();
            let Some(window) = walk.window(2) else { break };
            seen.push(format!("{} {}", window.task, window.id(7)));
            walk.go_behind(&window, None);
            match walk.window(1) {
                Some(next) => cursor = Some(next.cursor()),
                None => break,
            }
        }
        let expected = ["0 7/main[0-0]", "1 7/main[10-15]", "1 7/main[20-20]", "2 7/main[0-0]"];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let spec = JobSpec { tasks: vec![TaskSpec::new(vec![])], ..JobSpec::default() };
        let cursor = cursor::write('e', &[5, 0]);
        assert_eq!(Walk::new(&spec, None, Some(&cursor)).err().unwrap().status, 422);
        assert_eq!(Walk::new(&spec, Some("x"), None).err().unwrap().status, 404);
    }
}
