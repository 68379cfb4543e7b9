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
use crate::json::{Element, ElementList, Task, TaskList, TaskOfRun, counts};

/// Which elements are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListElements {
    /// Only these parts of the run: `main`, `main[3-7]`.
    select: Option<String>,
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
    let after = params.cursor.as_deref().map(|cursor| cursor::read::<2>('e', cursor));
    let after = after.transpose()?.map(|[task, ordinal]| format!("{task}.{ordinal}"));
    let request = api::ListElementsRequest {
        id: id.select(params.select.as_deref()),
        limit: limit(params.limit)?,
        states: states(&params.state)?.iter().map(TaskState::to_string).collect(),
        after: after.unwrap_or_default(),
    };
    let page = rest.service.list_elements(&caller, request).await?;
    let next = page.next.split_once('.').and_then(|(task, ordinal)| {
        Some(cursor::write('e', &[task.parse().ok()?, ordinal.parse().ok()?]))
    });
    let mut headers = HeaderMap::new();
    let link = next.as_deref().and_then(|next| cursor::link(&uri, next));
    headers.extend(link.map(|link| (LINK, link)));
    let elements = page.elements.iter().map(Element::from).collect();
    Ok((headers, Json(ElementList { elements, next_cursor: next })).into_response())
}

/// List the tasks of a run, each with how its elements stand
#[utoipa::path(get, path = "/v1/runs/{id}/tasks", tag = "runs", operation_id = "list_tasks",
    params(("id" = String, Path, description = "A run's number, `last`, or a job's name")),
    responses((status = 200, description = "The tasks, in the order of the job", body = TaskList)))]
pub(super) async fn tasks(
    State(rest): State<Rest>,
    caller: Caller,
    id: Id,
) -> Result<Json<TaskList>, Problem> {
    let request = api::GetRunRequest { id: id.0, limit: 1, states: Vec::new() };
    let answer = rest.service.get_run(&caller, request).await?;
    let spec = JobSpec::try_from(answer.job.unwrap_or_default());
    let spec = spec.map_err(|fault| node::Refused::Failed(fault.to_string()))?;
    let task = |(status, task): (&api::TaskStatus, &TaskSpec)| TaskOfRun {
        elements: status.elements,
        counts: counts(&status.counts),
        task: Task::from(task),
    };
    Ok(Json(TaskList { tasks: answer.tasks.iter().zip(&spec.tasks).map(task).collect() }))
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
