//! What changes something: submit, cancel, rerun, purge.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proto::api;

use super::Rest;
use super::problem::Problem;
use super::request::{Body, Id};
use super::runs::{check_match, instant};
use crate::caller::Caller;
use crate::json::{Cancel, Cancellation, Job, Purge, Purged, Rerun, Submitted};

/// What makes a second try harmless.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Submit a job
///
/// Answers once it is on disk. What is left out of the job has its default; all faults of a bad one
/// are named at once. A try that got no answer is tried again with the same `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/runs", tag = "runs", operation_id = "submit_job",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 bytes, of the caller's choice. The same key with the same job gives the same answer again, for at least 24 hours; with another job it is refused with 422")),
    request_body = Job,
    responses((status = 201, description = "The run that was made", body = Submitted,
        headers(("Location" = String, description = "Where the run is"),
            ("Idempotent-Replayed" = String, description = "`true` where the key was used before"))),
        (status = 507, description = "The disk has no room for it", body = super::Problem, content_type = "application/problem+json")))]
pub(super) async fn submit(
    State(rest): State<Rest>,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Job>,
) -> Result<Response, Problem> {
    let idempotency_key = key(&headers)?;
    let Body { value: job, mut faults } = body;
    let spec = match job.into_spec() {
        Ok(mut spec) if faults.is_empty() => {
            spec.origin = if spec.origin.is_empty() { "rest".to_owned() } else { spec.origin };
            spec
        }
        read => {
            // Of what could be read the faults are named too, but none of what was left out.
            let more = read.map_or_else(|faults| faults, |spec| spec.faults());
            let left_out = |field: &str| {
                let own = |of: &str| of.starts_with(field) || field.starts_with(of);
                faults.iter().any(|fault| own(&fault.field))
            };
            let more: Vec<_> = more.into_iter().filter(|fault| !left_out(&fault.field)).collect();
            faults.extend(more);
            return Err(Problem::faults(faults));
        }
    };
    let job = Some(proto::job::Job::from(&spec));
    let answer = rest.service.submit(&caller, api::SubmitRequest { job, idempotency_key }).await?;
    Ok(made(&answer))
}

/// Repeat a run that has ended, or a part of it
///
/// Makes a run of its own, which names the old one and takes over the results of what it does not
/// repeat.
#[utoipa::path(post, path = "/v1/runs/{id}/rerun", tag = "runs", operation_id = "rerun",
    params(("id" = String, Path, description = "A run's number, `last`, or a job's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "As in a submit")),
    request_body = Rerun,
    responses((status = 201, description = "The run that was made", body = Submitted,
        headers(("Location" = String, description = "Where the run is"),
            ("Idempotent-Replayed" = String, description = "`true` where the key was used before"))),
        (status = 507, description = "The disk has no room for it", body = super::Problem, content_type = "application/problem+json")))]
pub(super) async fn rerun(
    State(rest): State<Rest>,
    caller: Caller,
    id: Id,
    headers: HeaderMap,
    body: Body<Rerun>,
) -> Result<Response, Problem> {
    let idempotency_key = key(&headers)?;
    let Rerun { select, failed, actor } = body.whole()?;
    let id = id.select(select.as_deref());
    let actor = actor.unwrap_or_default();
    let request = api::RerunRequest { id, failed, idempotency_key, actor };
    Ok(made(&rest.service.rerun(&caller, request).await?))
}

/// The answer to what made a run.
fn made(answer: &api::SubmitResponse) -> Response {
    let mut headers = HeaderMap::new();
    let location = HeaderValue::try_from(format!("/v1/runs/{}", answer.run));
    headers.insert(LOCATION, location.expect("a number is good in a header"));
    if answer.repeated {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    (StatusCode::CREATED, headers, Json(Submitted::from(answer))).into_response()
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut keys = headers.get_all(KEY).iter();
    let Some(key) = keys.next() else { return Ok(String::new()) };
    let text = key.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    match (text, keys.next()) {
        (Some(key), None) => Ok(key.to_owned()),
        _ => {
            let problem = "must be one key of 1 to 255 visible ASCII characters";
            Err(Problem::parameter("Idempotency-Key", problem))
        }
    }
}

/// Cancel a run, or a part of it
///
/// What has not started ends at once, what runs is stopped; `wait` tells when that is done. With
/// `If-Match` it is refused where the run is not as it was seen, looked at just before.
#[utoipa::path(post, path = "/v1/runs/{id}/cancel", tag = "runs", operation_id = "cancel_run",
    params(("id" = String, Path, description = "A run's number, `last`, or a job's name"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the run as it was seen")),
    request_body = Cancel,
    responses((status = 200, description = "How much was canceled", body = Cancellation),
        (status = 412, description = "The run is not as it was seen", body = super::Problem, content_type = "application/problem+json")))]
pub(super) async fn cancel(
    State(rest): State<Rest>,
    caller: Caller,
    id: Id,
    headers: HeaderMap,
    body: Body<Cancel>,
) -> Result<Json<Cancellation>, Problem> {
    let Cancel { select, reason, actor } = body.whole()?;
    check_match(&rest, &caller, &id.0, &headers).await?;
    let request = api::CancelRequest {
        ids: vec![id.select(select.as_deref())],
        reason: reason.unwrap_or_default(),
        actor: actor.unwrap_or_default(),
    };
    let answer = rest.service.cancel(&caller, request).await?;
    Ok(Json(Cancellation::from(&answer.canceled[..])))
}

/// Forget ended runs
///
/// Those that meet all that is said; where nothing is, `all` must be. A caller that leaves early does not end it.
#[utoipa::path(post, path = "/v1/runs/purge", tag = "runs", operation_id = "purge_runs",
    request_body = Purge,
    responses((status = 200, description = "What went, or would go", body = Purged)))]
pub(super) async fn purge(
    State(rest): State<Rest>,
    caller: Caller,
    body: Body<Purge>,
) -> Result<Json<Purged>, Problem> {
    let purge = body.whole()?;
    let dry_run = purge.dry_run;
    let (actor, reason) = (purge.actor.unwrap_or_default(), purge.reason.unwrap_or_default());
    let labels = purge.labels.iter();
    let filter = api::RunFilter {
        states: purge.states,
        name: purge.name.unwrap_or_default(),
        owner: purge.owner.unwrap_or_default(),
        labels: labels
            .map(|(name, value)| proto::job::Variable { name: name.clone(), value: value.clone() })
            .collect(),
        since_ms: 0,
        until_ms: instant("until", purge.until.as_deref())?,
        exit_code: purge.exit_code,
        ended_before_ms: instant("ended_before", purge.ended_before.as_deref())?,
    };
    if (filter == api::RunFilter::default()) != purge.all {
        let problem = match purge.all {
            true => "is said beside which runs are meant",
            false => "must be said where nothing else says which runs are meant",
        };
        let fault = model::job::Fault { field: "all".to_owned(), problem: problem.to_owned() };
        return Err(Problem::faults(vec![fault]));
    }
    let request = api::PurgeRequest { filter: Some(filter), dry_run, actor, reason };
    let answer = rest.service.purge(&caller, request).await?;
    Ok(Json(Purged::new(&answer, dry_run)))
}
