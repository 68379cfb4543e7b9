//! Requests of people and programs, which a node that only works hands on to a control node: HTTP, carried as it is in
//! both directions.
//!
//! They come over a connection with the certificate of a node, made by somebody who need not be anybody. So they have
//! paths of their own, below which nothing but [`Service::people`] answers: none of them must ever reach a call between
//! nodes. It never looks into them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, StatusCode, Uri};
use http_body::{Frame, SizeHint};
use tonic::body::Body;

use crate::calls::{Call, Calls};
use crate::connection::From;
use crate::service::{Refused, Service};

/// Requests of one node at a time, with their answers: some of these last.
pub(crate) const REQUESTS_OF_NODE_MAX: u32 = 256;
/// Before the path of each of them.
const PEOPLE: &str = "/people";
/// Goes with an answer that is not one to the request: it was not served here, and nothing was done.
const UNSERVED: HeaderName = HeaderName::from_static("windlass-unserved");

/// The same request below the path of those that are handed on; `None` of what has no path.
pub(crate) fn below(uri: &Uri) -> Option<Uri> {
    let path = uri.path_and_query().map(PathAndQuery::as_str);
    let path = path.filter(|path| path.starts_with('/'))?;
    format!("{PEOPLE}{path}").parse().ok()
}

/// The request as it was, without what [`below`] has put before its path, and nothing else.
fn back(uri: &Uri) -> Option<Uri> {
    let path = uri.path_and_query()?.as_str().strip_prefix(PEOPLE)?;
    // Whatever the path is, it stays a path and becomes no host.
    let path = PathAndQuery::try_from(path).ok().filter(|path| path.as_str().starts_with('/'))?;
    Uri::builder().path_and_query(path).build().ok()
}

/// Whether it is the word of the other node, which did not serve the request; and why.
pub(crate) fn unserved<T>(answer: &http::Response<T>) -> Option<String> {
    let why = answer.headers().get(UNSERVED)?.to_str().ok();
    Some(why.unwrap_or("it does not say why").to_owned())
}

/// What stands beside the calls between nodes.
#[derive(Clone)]
struct Desk {
    service: Arc<dyn Service>,
    under_way: Arc<Calls>,
}

/// Answers what is handed on by [`Service::people`], and all else by these calls.
pub(crate) fn beside(calls: Router, service: Arc<dyn Service>) -> Router {
    let desk = Desk { service, under_way: Calls::new(REQUESTS_OF_NODE_MAX) };
    calls.fallback(move |request: Request| take(desk, request))
}

async fn take(desk: Desk, mut request: Request) -> Response {
    let Some(From(Some(from))) = request.extensions().get::<From>().copied() else {
        let why = "only nodes of the cluster may call this\n";
        return (StatusCode::UNAUTHORIZED, why).into_response();
    };
    let Some(uri) = back(request.uri()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    *request.uri_mut() = uri;
    let Some(call) = desk.under_way.begin(from.identity.node) else {
        let why = "the node has handed on too many requests that are still under way";
        return turned(StatusCode::TOO_MANY_REQUESTS, why);
    };
    match desk.service.people(from, request.map(Body::new)).await {
        Ok(answer) => answer.map(|body| axum::body::Body::new(Held { body, _call: call })),
        Err(Refused::Unavailable(why)) => turned(StatusCode::SERVICE_UNAVAILABLE, &why),
        Err(Refused::Forbidden(why)) => turned(StatusCode::FORBIDDEN, &why),
    }
}

fn turned(status: StatusCode, why: &str) -> Response {
    let why = HeaderValue::try_from(why).unwrap_or(HeaderValue::from_static("unserved"));
    (status, [(UNSERVED, why)]).into_response()
}

/// An answer that counts as under way until its last word.
struct Held {
    body: Body,
    _call: Call,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_keeps_its_path_below_that_of_all() {
        let of = |uri: &str| below(&uri.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(of("/v1/runs?a=1").as_deref(), Some("/people/v1/runs?a=1"));
        assert_eq!(of("https://x:1/").as_deref(), Some("/people/"));
        assert_eq!(
            of("//windlass.peer.v1.Peer/Renew").unwrap(),
            "/people//windlass.peer.v1.Peer/Renew"
        );
        for path in ["/", "/v1/runs?a=%2F", "//v1/node/down", "/people/x"] {
            let handed = below(&path.parse().unwrap()).unwrap();
            assert_eq!(back(&handed).unwrap().to_string(), path, "nothing is put right on the way");
        }
        for other in ["/windlass.peer.v1.Peer/X", "/", "/peoplex"] {
            assert_eq!(back(&other.parse().unwrap()), None, "{other}");
        }
        // What `CONNECT` and `OPTIONS *` name.
        assert_eq!((of("127.0.0.1:7400"), of("*")), (None, None));
    }
}
