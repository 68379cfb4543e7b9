//! What stands at the door: `/` says what there is, and a path that is none says where to look.
//!
//! REST and gRPC share one listener, so whoever asks for a path that neither has is answered in
//! their own language: a problem document, and a gRPC status only where gRPC was spoken.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::problem::Problem;
use crate::language::is_grpc;

const WELCOME: &str = concat!(
    "Windlass ",
    env!("CARGO_PKG_VERSION"),
    "

REST      /v1, with JSON; /v1/openapi.json describes every route
gRPC      windlass.v1.Windlass, with health and reflection
metrics   /metrics, for Prometheus
health    /healthz, /readyz
manual    `windlass help rest`, or docs/reference of the source

Every request needs the header `authorization: Bearer TOKEN`.
"
);

const WHERE: &str = "REST is under `/v1`, and `/v1/openapi.json` describes all routes; gRPC is `windlass.v1.Windlass`, with reflection; `windlass help rest` explains both";

/// Says what there is.
pub(super) async fn welcome() -> &'static str {
    WELCOME
}

/// There is nothing of this path.
pub(super) async fn no_route(request: Request) -> Problem {
    nothing_at(request.uri().path())
}

fn nothing_at(path: &str) -> Problem {
    let detail = format!("there is no route `{path}`");
    let problem = Problem::new(StatusCode::NOT_FOUND, "no-route", "there is no such route", detail);
    problem.hint(WHERE)
}

/// Lets gRPC through to its services, which know best what they have not; for any other request
/// there is nothing here.
pub(crate) async fn only_grpc(request: Request, next: Next) -> Response {
    match is_grpc(request.headers()) {
        true => next.run(request).await,
        false => nothing_at(request.uri().path()).into_response(),
    }
}
