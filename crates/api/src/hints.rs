//! What callers may ask for with any request, beside the request: an answer that may be a moment old,
//! and to be sent to the leader instead of being forwarded.
//!
//! ```text
//!  windlass-stale: true      answered from what this node knows; `windlass-age-ms` says how old that may be
//!  windlass-redirect: true   REST alone: 307, or 302 for GET, to the leader, where its API is reached
//! ```
//!
//! A node may be told to redirect whoever does not ask for it either; `false` then asks for an answer. What concerns
//! the node itself must never be sent to another one: `down` would end that.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use node::Handle;
use tower::ServiceExt;

use crate::caller::Caller;
use crate::language::is_grpc;
use crate::rest::is_of_the_node;

const STALE: HeaderName = HeaderName::from_static("windlass-stale");
const AGE: HeaderName = HeaderName::from_static("windlass-age-ms");
const REDIRECT: HeaderName = HeaderName::from_static("windlass-redirect");

/// What stands behind.
#[derive(Clone)]
pub(crate) struct Hints {
    pub(crate) handle: Handle,
    /// The same routes, answered without asking the leader.
    pub(crate) stale: Router,
    /// Whether whoever says nothing of it is redirected.
    pub(crate) redirects: bool,
}

/// Sends a request where its hints say.
pub(crate) async fn follow(State(hints): State<Hints>, request: Request, next: Next) -> Response {
    if wants_redirect(&request, hints.redirects) {
        let leader = hints.handle.leaders_api();
        if let Some((status, location)) =
            leader.and_then(|api| elsewhere(&api, request.method(), request.uri()))
        {
            return (status, [(LOCATION, location)]).into_response();
        }
    }
    if !is_asked(&request, &STALE) {
        return next.run(request).await;
    }
    let age_ms = hints.handle.age().as_millis() as u64;
    let mut response = match hints.stale.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    };
    response.headers_mut().insert(AGE, HeaderValue::from(age_ms));
    response
}

/// Whether the leader is to be asked instead; `usual` is what holds where the request does not say.
fn wants_redirect(request: &Request, usual: bool) -> bool {
    let path = request.uri().path();
    let may_be = path.starts_with("/v1/") && !is_of_the_node(path);
    let wanted = match request.headers().get(&REDIRECT) {
        Some(value) => value == "true",
        // Whoever takes an old answer wants no other node.
        // Whoever takes an old answer wants no other node, and the token of a data directory counts at none.
        None => usual && !is_asked(request, &STALE) && has_made_token(request),
    };
    may_be && wanted && !is_grpc(request.headers())
}

fn has_made_token(request: &Request) -> bool {
    request.extensions().get::<Caller>().is_some_and(|caller| caller.token.is_some())
}

fn is_asked(request: &Request, hint: &HeaderName) -> bool {
    request.headers().get(hint).is_some_and(|value| value == "true")
}

/// Where the same request is to be made, and how that is said. An API that others reach speaks TLS.
fn elsewhere(api: &str, method: &Method, uri: &Uri) -> Option<(StatusCode, HeaderValue)> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let location = HeaderValue::try_from(format!("https://{api}{path}")).ok()?;
    let status = match *method {
        Method::GET | Method::HEAD => StatusCode::FOUND,
        _ => StatusCode::TEMPORARY_REDIRECT,
    };
    Some((status, location))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_redirected() {
        let check = |path: &str, headers: &[(&'static str, &'static str)], by_itself, anyway| {
            let mut request = Request::get(path);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let mut request = request.body(Body::empty()).unwrap();
            assert!(!wants_redirect(&request, true) || by_itself, "{path}: of the directory's own");
            let made = Caller { token: Some("id".to_owned()), ..Caller::default() };
            request.extensions_mut().insert(made);
            assert_eq!(wants_redirect(&request, false), by_itself, "{path} {headers:?}");
            assert_eq!(wants_redirect(&request, true), anyway, "{path} {headers:?}");
        };
        check("/v1/runs", &[], false, true);
        check("/v1/runs", &[("windlass-redirect", "true")], true, true);
        check("/v1/runs", &[("windlass-redirect", "false")], false, false);
        check("/v1/runs", &[("windlass-stale", "true")], false, false);
        check("/v1/runs", &[("content-type", "application/grpc")], false, false);
        for own in ["/v1/node/down", "/v1/version", "/metrics", "/healthz", "/readyz", "/"] {
            check(own, &[("windlass-redirect", "true")], false, false);
        }
    }

    #[test]
    fn a_redirect_names_the_same_request_at_the_leader() {
        let uri: Uri = "/v1/runs?limit=3".parse().unwrap();
        let found = |method| elsewhere("alpha.lan:7400", &method, &uri).unwrap();
        let location = HeaderValue::from_static("https://alpha.lan:7400/v1/runs?limit=3");
        assert_eq!(found(Method::GET), (StatusCode::FOUND, location.clone()));
        assert_eq!(found(Method::POST), (StatusCode::TEMPORARY_REDIRECT, location));
        assert!(elsewhere("alpha\n:7400", &Method::GET, &uri).is_none());
    }
}
