//! Runs: the list, one in full, waiting for one.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LINK};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use model::{Role, TaskState};
use proto::api;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use super::problem::Problem;
use super::request::{Id, Params};
use super::{Rest, cursor, negotiate};
use crate::caller::Caller;
use crate::convert;
use crate::json::{Ended, Run, RunDetail, RunList, Waited, hex};

/// Runs of a page that names no limit.
const LIMIT_DEFAULT: u32 = 100;
/// Runs or elements of one page.
pub(super) const LIMIT_MAX: u32 = 1_000;
/// How often the node is asked for one page: each time it looks at a bounded number of runs.
const LOOKS_MAX: usize = 8;
/// How long is waited where nobody says, in seconds.
const WAIT_DEFAULT_S: u64 = 30;
/// How long at most.
const WAIT_MAX_S: u64 = 300;

/// Which runs are wanted. All must hold that is given.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListRuns {
    /// Ended runs too. A filter that only ended runs can meet wants them without this.
    all: bool,
    /// In one of these states, separated by commas or each with a `state=` of its own.
    state: Vec<String>,
    /// Of the job of this name.
    name: Option<String>,
    /// Of this owner.
    owner: Option<String>,
    /// With this label, `KEY=VALUE`; several times for several.
    label: Vec<String>,
    /// That lived at this instant or later.
    #[param(example = "2026-11-20T16:50:03Z")]
    since: Option<String>,
    /// Submitted at this instant or before.
    until: Option<String>,
    /// Ended before this instant.
    ended_before: Option<String>,
    /// Ended with this code.
    exit_code: Option<i32>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListRuns {
    fn filter(&self) -> Result<api::RunFilter, Problem> {
        Ok(api::RunFilter {
            states: states(&self.state)?.iter().map(TaskState::to_string).collect(),
            name: self.name.clone().unwrap_or_default(),
            owner: self.owner.clone().unwrap_or_default(),
            labels: labels(&self.label)?,
            since_ms: instant("since", self.since.as_deref())?,
            until_ms: instant("until", self.until.as_deref())?,
            exit_code: self.exit_code,
            ended_before_ms: instant("ended_before", self.ended_before.as_deref())?,
        })
    }

    /// Whether a run that has ended can be meant, as `windlass ps` has it.
    fn looks_back(&self) -> bool {
        let ended = |state: TaskState| state.is_final();
        self.all
            || self.exit_code.is_some()
            || self.since.is_some()
            || self.until.is_some()
            || self.ended_before.is_some()
            || states(&self.state).is_ok_and(|states| states.into_iter().any(ended))
    }
}

/// Labels, each `KEY=VALUE`.
pub(super) fn labels(labels: &[String]) -> Result<Vec<proto::job::Variable>, Problem> {
    let label = |label: &String| {
        let (name, value) = label
            .split_once('=')
            .ok_or_else(|| Problem::parameter("label", format!("`{label}` is not `KEY=VALUE`")))?;
        Ok(proto::job::Variable { name: name.to_owned(), value: value.to_owned() })
    };
    labels.iter().map(label).collect()
}

/// The states of one or several comma-separated lists.
pub(super) fn states(lists: &[String]) -> Result<Vec<TaskState>, Problem> {
    let names = lists.iter().flat_map(|list| list.split(',')).filter(|name| !name.is_empty());
    let state = |name: &str| {
        let problem = || format!("`{name}` is no state such as `failed`");
        name.parse::<TaskState>().map_err(|()| Problem::parameter("state", problem()))
    };
    names.map(state).collect()
}

/// Unix milliseconds; 0 where nothing is said.
pub(super) fn instant(name: &str, text: Option<&str>) -> Result<u64, Problem> {
    let Some(text) = text else { return Ok(0) };
    model::instant::parse_ms(text).ok_or_else(|| {
        let problem = format!("`{text}` is no instant such as `2026-11-20T16:50:03Z`, in UTC");
        Problem::parameter(name, problem)
    })
}

/// A limit within its bounds.
pub(super) fn limit(wanted: Option<u32>) -> Result<u32, Problem> {
    match wanted.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        other => Err(Problem::parameter("limit", format!("{other} is not 1 to {LIMIT_MAX}"))),
    }
}

/// List runs, latest first
#[utoipa::path(get, path = "/v1/runs", tag = "runs", operation_id = "list_runs", params(ListRuns),
    responses((status = 200, description = "A page of runs; `Link` names the next", body = RunList,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`, where there is one")))))]
pub(super) async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    uri: Uri,
    Params(params): Params<ListRuns>,
) -> Result<Response, Problem> {
    let most = limit(params.limit)?;
    let filter = params.filter()?;
    let mut before = match &params.cursor {
        Some(cursor) => cursor::read::<1>('r', cursor)?[0],
        None => 0,
    };
    let mut list = RunList { runs: Vec::new(), next_cursor: None, damaged: 0 };
    for _ in 0..LOOKS_MAX {
        let request = api::ListRunsRequest {
            all: params.looks_back(),
            limit: most - list.runs.len() as u32,
            before,
            filter: Some(filter.clone()),
        };
        let page = rest.service.list_runs(&caller, request).await?;
        list.runs.extend(page.runs.iter().map(Run::from));
        list.damaged += page.damaged;
        before = page.next_before;
        if before == 0 || list.runs.len() >= most as usize {
            break;
        }
    }
    let mut headers = HeaderMap::new();
    if before > 0 {
        let next = cursor::write('r', &[before]);
        headers.extend(cursor::link(&uri, &next).map(|link| (LINK, link)));
        list.next_cursor = Some(next);
    }
    Ok((headers, Json(list)).into_response())
}

/// Show a run
///
/// Its `ETag` changes with everything that is shown.
#[utoipa::path(get, path = "/v1/runs/{id}", tag = "runs", operation_id = "get_run",
    params(("id" = String, Path, description = "A run's number, `last`, or a job's name"),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` that is known already")),
    responses((status = 200, description = "The run", body = RunDetail,
            headers(("ETag" = String, description = "Of what is shown"))),
        (status = 304, description = "It is as it was")))]
pub(super) async fn get(
    State(rest): State<Rest>,
    caller: Caller,
    id: Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (body, etag) = shown(&rest, &caller, id.0).await?;
    let known = names(&headers, IF_NONE_MATCH, &etag).unwrap_or(false);
    let etag = HeaderValue::from_str(&etag).expect("hexadecimal digits are good in a header");
    let tag = [(ETAG, etag)];
    Ok(match known {
        true => (StatusCode::NOT_MODIFIED, tag).into_response(),
        false => (tag, [(CONTENT_TYPE, negotiate::JSON)], body).into_response(),
    })
}

/// What is shown of a run, and its tag.
async fn shown(rest: &Rest, caller: &Caller, id: String) -> Result<(Vec<u8>, String), Problem> {
    let request = api::GetRunRequest { id, limit: 1, states: Vec::new() };
    let detail = RunDetail::from(&rest.service.get_run(caller, request).await?);
    let body = serde_json::to_vec(&detail).expect("what is shown has texts for keys");
    let etag = format!("\"{}\"", hex(&Sha256::digest(&body)[..16]));
    Ok((body, etag))
}

/// Refuses where the run is not as the caller saw it, if they say how that was.
pub(super) async fn check_match(
    rest: &Rest,
    caller: &Caller,
    id: &str,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if !headers.contains_key(IF_MATCH) {
        return Ok(());
    }
    let (_, etag) = shown(rest, caller, id.to_owned()).await?;
    if names(headers, IF_MATCH, &etag) == Some(true) {
        return Ok(());
    }
    let title = "the run is not as it was";
    let detail = format!("run `{id}` is not in the state that `If-Match` names any more");
    let mut problem =
        Problem::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", title, detail);
    problem.etag = Some(etag);
    Err(problem.hint("look at it again and decide anew"))
}

/// Whether a list of tags in a header has this one; `None` where there is no such header.
fn names(headers: &HeaderMap, header: HeaderName, etag: &str) -> Option<bool> {
    let mut all = headers.get_all(header).iter().peekable();
    all.peek()?;
    let mut tags = all.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    // A proxy that compresses calls a tag weak; it still names what it named.
    Some(tags.any(|tag| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag))
}

/// How long to wait, and for what.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wait {
    /// Only for these parts of the run.
    #[param(example = "main[3-7]")]
    select: Option<String>,
    /// Seconds.
    #[param(minimum = 0, maximum = 300, default = 30)]
    timeout: Option<u64>,
}

/// Wait for the end of a run
///
/// Answers at the end, or when the time is over with `ended: null`; then call again.
#[utoipa::path(get, path = "/v1/runs/{id}/wait", tag = "runs", operation_id = "wait_for_run",
    params(("id" = String, Path, description = "A run's number, `last`, or a job's name"), Wait),
    responses((status = 200, description = "How it ended, if it did", body = Waited)))]
pub(super) async fn wait(
    State(rest): State<Rest>,
    caller: Caller,
    id: Id,
    Params(params): Params<Wait>,
) -> Result<Json<Waited>, Problem> {
    caller.need(Role::Viewer, "wait for a run")?;
    let seconds = params.timeout.unwrap_or(WAIT_DEFAULT_S);
    if seconds > WAIT_MAX_S {
        return Err(Problem::parameter("timeout", format!("{seconds} is not 0 to {WAIT_MAX_S}")));
    }
    let id = id.select(params.select.as_deref());
    let _place = rest.streams.take()?;
    let handle = &rest.service.handle;
    let mut progress = handle.progress(&id).await?;
    // What has ended before is told at once, however short the time is.
    let patience = Duration::from_secs(if progress.ended < progress.total { seconds } else { 60 });
    let waiting = handle.wait(&id, |now| progress = now);
    let ended = match tokio::time::timeout(patience, waiting).await {
        Ok(end) => Some(Ended::from(&convert::end(&end?))),
        Err(_) => None,
    };
    Ok(Json(Waited { ended, elements_ended: progress.ended, elements: progress.total }))
}
