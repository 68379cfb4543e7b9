//! Requests that were made at nodes which only work, and handed on to this one.
//!
//! The other node has looked at the Host and the Origin, for it alone knows its names; the token is looked at here.
//! That a node of the cluster brings a request gives whoever made it no right at all.

use std::net::SocketAddr;

use axum::Router;
use axum::response::Response;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use model::NodeId;
use node::people::{Answer, People};
use tonic::body::Body;
use tower::ServiceExt;

/// Where the caller was when it called the other node, by that one's word.
const FROM: HeaderName = HeaderName::from_static("windlass-from");

/// Goes with the answer to a request whose token is good, as far as the node that handed it on.
const KNOWN: HeaderName = HeaderName::from_static("windlass-known");

/// The node that handed a request on.
#[derive(Clone, Copy, Debug)]
struct Through(NodeId);

/// Notes where a caller is, before its request is handed on; whatever the caller says of it is taken out.
pub(crate) fn note(headers: &mut HeaderMap, from: Option<SocketAddr>) {
    headers.remove(FROM);
    if let Some(from) = from.and_then(|from| HeaderValue::try_from(from.to_string()).ok()) {
        headers.insert(FROM, from);
    }
}

/// Where the caller of a request is that was handed on; `None` of any other.
pub(crate) fn address(extensions: &Extensions, headers: &HeaderMap) -> Option<String> {
    let Through(node) = extensions.get::<Through>()?;
    let from = headers.get(FROM).and_then(|from| from.to_str().ok());
    let from = from.and_then(|from| from.parse::<SocketAddr>().ok());
    let from = from.map(|from| format!("{from} "));
    Some(format!("{}through node {node}", from.unwrap_or_default()))
}

/// Says to the node that handed a request on that its token is good.
pub(crate) fn tell_known(through: bool, answer: &mut Response) {
    if through {
        answer.headers_mut().insert(KNOWN, HeaderValue::from_static("true"));
    }
}

/// Whether a request was handed on.
pub(crate) fn is(extensions: &Extensions) -> bool {
    extensions.get::<Through>().is_some()
}

/// Whether the other node says that the token is good, which nobody else hears.
pub(crate) fn take_known(headers: &mut HeaderMap) -> bool {
    headers.remove(KNOWN).is_some()
}

/// Answers them by these routes, which have a gate of their own.
pub(crate) struct Answering(pub(crate) Router);

impl People for Answering {
    fn answer(&self, from: NodeId, request: http::Request<Body>) -> Answer<'_> {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(Through(from));
        let routes = self.0.clone();
        Box::pin(async move {
            match routes.oneshot(request).await {
                Ok(answer) => answer.map(Body::new),
                Err(never) => match never {},
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_caller_is_stands_there_once_and_is_read_as_an_address() {
        let mut headers = HeaderMap::new();
        headers.append(FROM, HeaderValue::from_static("10.9.9.9:1"));
        headers.append(FROM, HeaderValue::from_static("somebody"));
        note(&mut headers, Some("127.0.0.1:5".parse().unwrap()));
        assert_eq!(headers.get_all(FROM).iter().collect::<Vec<_>>(), ["127.0.0.1:5"]);
        let mut extensions = Extensions::new();
        assert_eq!(address(&extensions, &headers), None, "of a request that came by itself");
        extensions.insert(Through(NodeId::from_bytes(&[0; 16]).unwrap()));
        let node = "through node 00000000-0000-0000-0000-000000000000";
        assert_eq!(address(&extensions, &headers), Some(format!("127.0.0.1:5 {node}")));
        headers.insert(FROM, HeaderValue::from_static("x"));
        assert_eq!(address(&extensions, &headers).as_deref(), Some(node));
        note(&mut headers, None);
        assert!(headers.is_empty());
    }
}
