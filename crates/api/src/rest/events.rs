//! What happens, as it happens, and why things are where they are.
//!
//! The id of an event is the journal index behind which to go on. Only the last event of an index
//! has one, so that whoever was cut off in the middle of an index gets all of it again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use futures::stream::unfold;
use http::HeaderMap;
use node::Refused;
use node::events::Events;
use proto::api;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use super::Rest;
use super::negotiate::{EVENTS, choose};
use super::problem::Problem;
use super::request::{Id, Params};
use super::runs::{labels, states};
use crate::caller::Caller;
use crate::json::{Event, Whys};
use crate::watch;

/// How often a follower hears that the connection lives, where there is nothing else to hear.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which changes are wanted. All must hold that is given.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Watch {
    /// Of this kind, such as `run_ended`; several times for several.
    kind: Vec<String>,
    /// Of the node of this name or id.
    node: Option<String>,
    /// That left elements, or a run, in one of these states, separated by commas.
    state: Vec<String>,
    /// Of runs of the job of this name.
    name: Option<String>,
    /// Of runs with this label, `KEY=VALUE`; several times for several.
    label: Vec<String>,
    /// What happened behind this journal index; left out: from now on.
    after: Option<u64>,
    /// Go on with what happens from now on, which is so where this is left out; else the answer
    /// ends with what is there.
    #[param(default = true)]
    follow: Option<bool>,
}

/// Watch what happens
///
/// As Server-Sent Events `change`, each with an `Event`; where something happens that ends it,
/// `error` with a problem. With `Last-Event-ID` it goes on behind that one; what is too old to be
/// told is 410, and `oldest` says from where on there is something.
#[utoipa::path(get, path = "/v1/events", tag = "events", operation_id = "watch_events",
    params(Watch, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was heard; counts before `after`")),
    responses((status = 200, description = "The changes", body = super::sse::ServerSentEvent, content_type = "text/event-stream"),
        (status = 410, description = "What happened then can no longer be told", body = super::Problem, content_type = "application/problem+json")))]
pub(super) async fn all(
    State(rest): State<Rest>,
    caller: Caller,
    headers: HeaderMap,
    Params(params): Params<Watch>,
) -> Result<Response, Problem> {
    watch(&rest, &caller, &headers, params, Vec::new()).await
}

/// Watch what happens to a run
///
/// As `/v1/events`.
#[utoipa::path(get, path = "/v1/runs/{id}/events", tag = "events", operation_id = "watch_run",
    params(("id" = String, Path, description = "A run's number, `last`, or a job's name"), Watch,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was heard; counts before `after`")),
    responses((status = 200, description = "The changes", body = super::sse::ServerSentEvent, content_type = "text/event-stream"),
        (status = 410, description = "What happened then can no longer be told", body = super::Problem, content_type = "application/problem+json")))]
pub(super) async fn of_run(
    State(rest): State<Rest>,
    caller: Caller,
    id: Id,
    headers: HeaderMap,
    Params(params): Params<Watch>,
) -> Result<Response, Problem> {
    watch(&rest, &caller, &headers, params, vec![id.0]).await
}

async fn watch(
    rest: &Rest,
    caller: &Caller,
    headers: &HeaderMap,
    params: Watch,
    runs: Vec<String>,
) -> Result<Response, Problem> {
    choose(headers, &[EVENTS])?;
    let filter = api::EventFilter {
        runs,
        kinds: params.kind,
        node: params.node.unwrap_or_default(),
        states: states(&params.state)?.iter().map(ToString::to_string).collect(),
        name: params.name.unwrap_or_default(),
        labels: labels(&params.label)?,
    };
    let request = api::EventsRequest {
        filter: Some(filter),
        after: last_event(headers)?.or(params.after),
        kept: false,
        follow: params.follow.unwrap_or(true),
    };
    let place = rest.streams.take()?;
    let events = rest.service.events(caller, &request).await?;
    let watched =
        Watched { events, follow: request.follow, waiting: VecDeque::new(), _place: place };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(changes(watched)).keep_alive(keep_alive).into_response())
}

/// The index behind which to go on, where a caller was cut off.
pub(super) fn last_event(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let index = |id: &http::HeaderValue| {
        id.to_str().ok().and_then(|id| id.parse().ok()).ok_or_else(|| {
            Problem::parameter("Last-Event-ID", "it is none that a change was given")
        })
    };
    headers.get("last-event-id").map(index).transpose()
}

/// Changes as they are read, with the place that they take up.
struct Watched {
    events: Events,
    follow: bool,
    /// The rest of the batch that was read last.
    waiting: VecDeque<Sent>,
    _place: OwnedSemaphorePermit,
}

impl Watched {
    /// The next change; `None` where there are no more.
    async fn next(&mut self) -> Option<Result<Sent, Refused>> {
        loop {
            if let Some(sent) = self.waiting.pop_front() {
                return Some(Ok(sent));
            }
            let before = self.events.seen();
            let batch = match self.follow {
                true => Some(self.events.next().await),
                false => self.events.next_now().transpose(),
            };
            let batch = match batch? {
                Ok(batch) => batch,
                Err(refused) => return Some(Err(refused)),
            };
            let Some((last, others)) = batch.events.split_last() else {
                // Nothing that is wanted: only from where to go on.
                return Some(Ok(Sent::default().id(batch.index.to_string())));
            };
            let change = |event: &node::events::Event, index| {
                let event = Event::new(&watch::event(event), index);
                let text = serde_json::to_string(&event).expect("a change has texts for keys");
                Sent::default().event("change").data(text)
            };
            self.waiting.extend(others.iter().map(|event| change(event, before)));
            self.waiting.push_back(change(last, batch.index).id(batch.index.to_string()));
        }
    }
}

fn changes(watched: Watched) -> impl Stream<Item = Result<Sent, Infallible>> {
    unfold(Some(watched), async |watched| {
        let mut watched = watched?;
        match watched.next().await? {
            Ok(sent) => Some((Ok(sent), Some(watched))),
            Err(refused) => Some((Ok(Problem::from(refused).event()), None)),
        }
    })
}

/// Which parts of a run are asked about.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Only these parts of the run: `main[3-7]`.
    select: Option<String>,
}

/// Say why a run, or a part of it, is where it is
///
/// Before it runs every reason, who holds what is missing, and what would change it; while it runs
/// where; when it has ended who or what ended it.
#[utoipa::path(get, path = "/v1/runs/{id}/why", tag = "events", operation_id = "why",
    params(("id" = String, Path, description = "A run's number, `last`, or a job's name"), Part),
    responses((status = 200, description = "The reasons", body = Whys)))]
pub(super) async fn why(
    State(rest): State<Rest>,
    caller: Caller,
    id: Id,
    Params(Part { select }): Params<Part>,
) -> Result<Json<Whys>, Problem> {
    let request = api::WhyRequest { id: id.select(select.as_deref()) };
    Ok(Json(Whys::from(&rest.service.why(&caller, request).await?)))
}
