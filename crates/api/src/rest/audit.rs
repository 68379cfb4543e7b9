//! Who changed what: the list, and as it happens.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use futures::stream::unfold;
use http::header::LINK;
use http::{HeaderMap, Uri};
use node::Refused;
use node::changes::Changes;
use proto::api;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use super::events::{KEEP_ALIVE, last_event};
use super::negotiate::{EVENTS, choose};
use super::problem::Problem;
use super::request::Params;
use super::runs::{instant, limit};
use super::{Rest, cursor};
use crate::audit::told;
use crate::caller::Caller;
use crate::json::{AuditPage, Change};

/// Which changes are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListChanges {
    /// Made at this instant or later.
    since: Option<String>,
    /// By this actor.
    actor: Option<String>,
    /// Of this kind, such as `cancel`.
    action: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List who changed what, the latest first
#[utoipa::path(get, path = "/v1/audit", tag = "security", operation_id = "list_changes", params(ListChanges),
    responses((status = 200, description = "A page of changes; `Link` names the next", body = AuditPage,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`, where there is one")))))]
pub(super) async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    uri: Uri,
    Params(params): Params<ListChanges>,
) -> Result<Response, Problem> {
    let request = api::AuditRequest {
        since_ms: instant("since", params.since.as_deref())?,
        actor: params.actor.unwrap_or_default(),
        action: params.action.unwrap_or_default(),
        limit: limit(params.limit)?,
        before: params.cursor.unwrap_or_default(),
    };
    let page = rest.service.audit(&caller, request).await?;
    let next_cursor = (!page.next_before.is_empty()).then_some(page.next_before);
    let mut headers = HeaderMap::new();
    let next = next_cursor.as_deref().and_then(|next| cursor::link(&uri, next));
    headers.extend(next.map(|link| (LINK, link)));
    let changes = page.changes.iter().map(Change::from).collect();
    let page = AuditPage { changes, next_cursor, damaged: page.damaged };
    Ok((headers, Json(page)).into_response())
}

/// Which changes are wanted. All must hold that is given.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WatchChanges {
    /// By this actor.
    actor: Option<String>,
    /// Of this kind, such as `cancel`.
    action: Option<String>,
    /// What was changed behind this journal index, 0 for all that is kept; left out: from now on.
    after: Option<u64>,
    /// Go on with what is changed from now on, which is so where this is left out; else the answer
    /// ends with what is there.
    #[param(default = true)]
    follow: Option<bool>,
}

/// Watch who changes what
///
/// As Server-Sent Events `change`, each with a `Change`; where something happens that ends it,
/// `error` with a problem. With `Last-Event-ID` it goes on behind that one; what is too old to be
/// told is 410, and `oldest` says from where on there is something. Takes the role admin.
#[utoipa::path(get, path = "/v1/audit/events", tag = "security", operation_id = "watch_audit",
    params(WatchChanges, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was heard; counts before `after`")),
    responses((status = 200, description = "The changes", body = super::sse::ServerSentEvent, content_type = "text/event-stream"),
        (status = 410, description = "What was changed then can no longer be told", body = super::Problem, content_type = "application/problem+json")))]
pub(super) async fn follow(
    State(rest): State<Rest>,
    caller: Caller,
    headers: HeaderMap,
    Params(params): Params<WatchChanges>,
) -> Result<Response, Problem> {
    choose(&headers, &[EVENTS])?;
    let request = api::FollowAuditRequest {
        actor: params.actor.unwrap_or_default(),
        action: params.action.unwrap_or_default(),
        after: last_event(&headers)?.or(params.after),
        follow: params.follow.unwrap_or(true),
    };
    let place = rest.streams.take()?;
    let changes = rest.service.follow_audit(&caller, &request).await?;
    let followed =
        Followed { changes, follow: request.follow, waiting: VecDeque::new(), _place: place };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(sent(followed)).keep_alive(keep_alive).into_response())
}

/// Changes as they are read, with the place that they take up.
struct Followed {
    changes: Changes,
    follow: bool,
    /// The rest of the batch that was read last.
    waiting: VecDeque<Sent>,
    _place: OwnedSemaphorePermit,
}

impl Followed {
    /// The next change; `None` where there are no more.
    async fn next(&mut self) -> Result<Option<Sent>, Refused> {
        if let Some(sent) = self.waiting.pop_front() {
            return Ok(Some(sent));
        }
        let batch = match self.follow {
            true => Some(self.changes.next().await?),
            false => self.changes.next_now().await?,
        };
        let Some(batch) = batch.map(told) else { return Ok(None) };
        let mut changes = batch.changes.iter().peekable();
        while let Some(change) = changes.next() {
            let text = serde_json::to_string(&Change::from(change));
            let text = text.expect("a change has texts for keys");
            let sent = Sent::default().event("change").data(text);
            // Only who has all of an index may go on behind it.
            let id = match changes.peek() {
                Some(next) if next.index == change.index => None,
                Some(_) => Some(change.index),
                None => Some(batch.index),
            };
            self.waiting.push_back(id.into_iter().fold(sent, |sent, id| sent.id(id.to_string())));
        }
        if batch.damaged > 0 {
            let note = format!("{} stretches are damaged, changes may be missing", batch.damaged);
            self.waiting.push_back(Sent::default().comment(note));
        }
        let nothing = || Sent::default().id(batch.index.to_string());
        Ok(Some(self.waiting.pop_front().unwrap_or_else(nothing)))
    }
}

fn sent(followed: Followed) -> impl Stream<Item = Result<Sent, Infallible>> {
    unfold(Some(followed), async |followed| {
        let mut followed = followed?;
        match followed.next().await {
            Ok(sent) => Some((Ok(sent?), Some(followed))),
            Err(refused) => Some((Ok(Problem::from(refused).event()), None)),
        }
    })
}
