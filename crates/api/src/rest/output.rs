//! The output of a run: as bytes, as JSON a line, or as events.
//!
//! Each is read piece by piece as the caller takes it. One who is slow keeps only themselves
//! waiting: what they have not taken stays on disk.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use futures::stream::unfold;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use model::Role;
use node::{Logs, LogsRequest, Refused, Streams};
use proto::api::OutputChunk;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

use super::Rest;
use super::negotiate::{BYTES, EVENTS, NDJSON, choose};
use super::problem::Problem;
use super::request::{Id, Params};
use super::sse::Positions;
use crate::caller::Caller;
use crate::json::{Line, Output};
use crate::output::Offsets;

/// How often a follower hears that the connection lives, where there is nothing else to hear.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which output is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadOutput {
    /// Only of these parts of the run: `main[3-7]`, `main[3]#2`.
    select: Option<String>,
    /// Go on until all of it has ended.
    follow: bool,
    /// Which streams.
    #[param(inline)]
    stream: Wanted,
}

/// Which streams are wanted. Words of Windlass itself are always shown, but not among bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Wanted {
    /// Both.
    #[default]
    Both,
    /// Standard output alone.
    Stdout,
    /// Standard error alone.
    Stderr,
}

/// Read the output of a run, merged by time
///
/// In one of three forms, by `Accept`: the bytes as they were written (the default), an `Output` a
/// line (`application/x-ndjson`), or an `Output` an event (`text/event-stream`): events `output`,
/// at last `end`, or `error` with a problem. With `Last-Event-ID` events go on behind that one, and
/// nothing comes twice; of more than 100 streams of attempts events have no id.
#[utoipa::path(get, path = "/v1/runs/{id}/output", tag = "output", operation_id = "read_output",
    params(("id" = String, Path, description = "A run's number, `last`, or a job's name"), ReadOutput,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was heard")),
    responses((status = 200, description = "The output", content(
        (String = "application/octet-stream"), (Line = "application/x-ndjson"), (super::sse::ServerSentEvent = "text/event-stream")))))]
pub(super) async fn read(
    State(rest): State<Rest>,
    caller: Caller,
    id: Id,
    headers: HeaderMap,
    Params(params): Params<ReadOutput>,
) -> Result<Response, Problem> {
    let form = choose(&headers, &[BYTES, NDJSON, EVENTS])?;
    caller.need(Role::Viewer, "read output")?;
    let seen = match headers.get("last-event-id").filter(|_| form == EVENTS) {
        None => Positions::default(),
        Some(id) => id.to_str().ok().and_then(Positions::parse).ok_or_else(|| {
            Problem::parameter("Last-Event-ID", "it is none that output has given out")
        })?,
    };
    let place = rest.streams.take()?;
    let streams = match params.stream {
        Wanted::Both => Streams::Both,
        Wanted::Stdout => Streams::Stdout,
        Wanted::Stderr => Streams::Stderr,
    };
    let request = LogsRequest { follow: params.follow, streams };
    let id = id.select(params.select.as_deref());
    let logs = rest.service.handle.logs(&id, request).await?;
    let pieces = Pieces { logs, offsets: Offsets::default(), seen, _place: place };
    let kind = [(CONTENT_TYPE, form)];
    Ok(match form {
        EVENTS => Sse::new(events(pieces))
            .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
            .into_response(),
        NDJSON => (kind, Body::from_stream(lines(pieces))).into_response(),
        _ => (kind, Body::from_stream(bytes(pieces))).into_response(),
    })
}

/// Output as it is read, with the place that it takes up.
struct Pieces {
    logs: Logs,
    offsets: Offsets,
    seen: Positions,
    _place: OwnedSemaphorePermit,
}

impl Pieces {
    async fn next(&mut self) -> Option<Result<OutputChunk, Refused>> {
        loop {
            let chunk = match self.logs.next().await? {
                Ok(chunk) => self.offsets.message(&self.logs, chunk),
                Err(refused) => return Some(Err(refused)),
            };
            if let Some(chunk) = self.seen.take(chunk) {
                return Some(Ok(chunk));
            }
        }
    }
}

/// A failure cuts the answer off, so that nobody takes a part for the whole.
fn cut_off(refused: &Refused) -> std::io::Error {
    std::io::Error::other(refused.to_string())
}

fn bytes(pieces: Pieces) -> impl Stream<Item = std::io::Result<Vec<u8>>> {
    unfold(Some(pieces), async |pieces| {
        let mut pieces = pieces?;
        loop {
            match pieces.next().await? {
                // Words of Windlass would not be told from the task's own.
                Ok(chunk) if !(1..=2).contains(&chunk.stream) => {}
                Ok(chunk) => return Some((Ok(chunk.data), Some(pieces))),
                Err(refused) => return Some((Err(cut_off(&refused)), None)),
            }
        }
    })
}

fn lines(pieces: Pieces) -> impl Stream<Item = std::io::Result<Vec<u8>>> {
    unfold(Some(pieces), async |pieces| {
        let mut pieces = pieces?;
        let line = match pieces.next().await? {
            Ok(chunk) => line(&chunk),
            Err(refused) => return Some((Err(cut_off(&refused)), None)),
        };
        Some((Ok((line + "\n").into_bytes()), Some(pieces)))
    })
}

fn line(chunk: &OutputChunk) -> String {
    let line = Line::Output(Output::new(None, chunk));
    serde_json::to_string(&line).expect("what is shown has texts for keys")
}

fn events(pieces: Pieces) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(Some(pieces), async |pieces| {
        let mut pieces = pieces?;
        let event = match pieces.next().await {
            Some(Ok(chunk)) => {
                let event = Event::default().event("output").data(line(&chunk));
                let event = match pieces.seen.id() {
                    Some(id) => event.id(id),
                    None => event,
                };
                return Some((Ok(event), Some(pieces)));
            }
            Some(Err(refused)) => {
                let problem = Problem::from(refused);
                let text = serde_json::to_string(&problem).expect("a problem has texts for keys");
                Event::default().event("error").data(text)
            }
            // A browser would come back for ever if it were not told that this is all.
            None => Event::default().event("end").data("{}"),
        };
        Some((Ok(event), None))
    })
}
