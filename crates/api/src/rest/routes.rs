//! Which request goes where, and what stands before all of them.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{MethodRouter, any, get, post};
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderValue, StatusCode};

use super::places::{self, Places};
use super::problem::Problem;
use super::{
    Rest, audit, elements, events, front, lists, members, negotiate, nodes, openapi, output, runs,
    security, submit,
};
use crate::calls::Service;

/// Requests at one time; each is done within moments.
const REQUESTS_MAX: usize = 512;
/// Answers at one time that go on or wait for something.
const STREAMS_MAX: usize = 256;

/// What concerns the node that is asked, beside [`DOWN`]: no other one can answer it.
const OF_THE_NODE: [&str; 4] = ["/v1/version", "/healthz", "/readyz", "/metrics"];
/// What takes the node down: asked of another one, it would end that.
pub(crate) const DOWN: &str = "/v1/node/down";

/// Whether a request with this path is for the node that is asked, and for no other.
pub(crate) fn is_of_the_node(path: &str) -> bool {
    path == DOWN || OF_THE_NODE.contains(&path)
}

/// The routes that answer with JSON.
fn plain() -> [(&'static str, MethodRouter<Rest>); 27] {
    [
        ("/v1/runs", get(runs::list).post(submit::submit)),
        ("/v1/runs/purge", post(submit::purge)),
        ("/v1/runs/{id}", get(runs::get)),
        ("/v1/runs/{id}/elements", get(elements::list)),
        ("/v1/runs/{id}/tasks", get(elements::tasks)),
        ("/v1/runs/{id}/tasks/{task}/elements/{index}", get(elements::get)),
        ("/v1/runs/{id}/cancel", post(submit::cancel)),
        ("/v1/runs/{id}/rerun", post(submit::rerun)),
        ("/v1/runs/{id}/wait", get(runs::wait)),
        ("/v1/runs/{id}/why", get(events::why)),
        ("/v1/lists", post(lists::upload)),
        ("/v1/nodes", get(nodes::list)),
        ("/v1/nodes/{node}", get(nodes::get)),
        ("/v1/nodes/{node}/elements", get(nodes::elements)),
        ("/v1/nodes/{node}/drain", post(nodes::drain)),
        ("/v1/nodes/{node}/resume", post(nodes::resume)),
        ("/v1/nodes/{node}/remove", post(nodes::remove)),
        (DOWN, post(nodes::down)),
        ("/v1/tokens", get(security::list).post(security::create)),
        ("/v1/tokens/{token}/revoke", post(security::revoke)),
        ("/v1/audit", get(audit::list)),
        ("/v1/cluster", get(nodes::cluster)),
        ("/v1/cluster/members", get(members::list)),
        ("/v1/cluster/join-tokens", post(members::create_token)),
        ("/v1/cluster/ca", get(nodes::authority)),
        ("/v1/version", get(nodes::version)),
        ("/v1/openapi.json", get(openapi::serve)),
    ]
}

/// The routes that have answers of other kinds.
fn other() -> [(&'static str, MethodRouter<Rest>); 5] {
    [
        ("/v1/runs/{id}/output", get(output::read)),
        ("/v1/runs/{id}/events", get(events::of_run)),
        ("/v1/events", get(events::all)),
        ("/v1/audit/events", get(audit::follow)),
        ("/v1/cluster/snapshot", get(nodes::snapshot)),
    ]
}

/// All routes.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let rest = Rest { service, streams: Places::new(STREAMS_MAX, "streams") };
    let requests = Places::new(REQUESTS_MAX, "requests");
    let add = |router: Router<Rest>, (path, method)| router.route(path, method);
    let plain = plain().into_iter().fold(Router::new(), add);
    let plain =
        plain.method_not_allowed_fallback(method_not_allowed).layer(from_fn(negotiate::json));
    let other = other().into_iter().fold(Router::new(), add);
    let other = other.method_not_allowed_fallback(method_not_allowed);
    plain
        .merge(other)
        .layer(from_fn_with_state(requests, places::hold))
        .route("/v1", any(front::no_route))
        .route("/v1/{*rest}", any(front::no_route))
        .layer(map_response(no_sniffing))
        .merge(around())
        .with_state(rest)
}

/// What is no part of `/v1`, for people and for those who watch over the node.
fn around() -> Router<Rest> {
    Router::new()
        .route("/", get(front::welcome))
        .route("/healthz", get(nodes::healthz))
        .route("/readyz", get(nodes::readyz))
        .method_not_allowed_fallback(method_not_allowed)
}

async fn method_not_allowed(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    let detail = format!("`{path}` does not take {method}; `Allow` says what it takes");
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Problem::new(status, "method-not-allowed", "the route does not take this method", detail)
}

/// What a task wrote must never be taken for a page.
async fn no_sniffing(mut response: Response) -> Response {
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let routes: BTreeSet<_> = plain().iter().chain(&other()).map(|(path, _)| *path).collect();
        let described = super::super::openapi();
        let described: BTreeSet<_> = described.paths.paths.keys().map(String::as_str).collect();
        assert_eq!(routes, described);
    }
}
