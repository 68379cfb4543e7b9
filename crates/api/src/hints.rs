//! What callers may ask for with any request, beside the request: an answer that may be a moment old,
//! and to be sent to the leader instead of being forwarded.
//!
//! ```text
//!  windlass-stale: true      answered from what this node knows; `windlass-age-ms` says how old that may be
//!  windlass-redirect: true   REST alone: 307, or 302 for GET, to the leader, where its API is reached
//! ```

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use node::Handle;
use tower::ServiceExt;

use crate::language::is_grpc;

const STALE: HeaderName = HeaderName::from_static("windlass-stale");
const AGE: HeaderName = HeaderName::from_static("windlass-age-ms");
const REDIRECT: HeaderName = HeaderName::from_static("windlass-redirect");

/// What stands behind.
#[derive(Clone)]
pub(crate) struct Hints {
    pub(crate) handle: Handle,
    /// The same routes, answered without asking the leader.
    pub(crate) stale: Router,
}

/// Sends a request where its hints say.
pub(crate) async fn follow(State(hints): State<Hints>, request: Request, next: Next) -> Response {
    if is_asked(&request, &REDIRECT) && !is_grpc(request.headers()) {
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
    fn a_redirect_names_the_same_request_at_the_leader() {
        let uri: Uri = "/v1/runs?limit=3".parse().unwrap();
        let found = |method| elsewhere("alpha.lan:7400", &method, &uri).unwrap();
        let location = HeaderValue::from_static("https://alpha.lan:7400/v1/runs?limit=3");
        assert_eq!(found(Method::GET), (StatusCode::FOUND, location.clone()));
        assert_eq!(found(Method::POST), (StatusCode::TEMPORARY_REDIRECT, location));
        assert!(elsewhere("alpha\n:7400", &Method::GET, &uri).is_none());
    }
}
