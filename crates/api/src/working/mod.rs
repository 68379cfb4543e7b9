//! The listener of a node that only works. It has no state, so it answers little itself.
//!
//! ```text
//!  the node's own token ──> the node itself: whether it is there, and `down`
//!  any other token ───────> a control node, which looks at the token and answers
//! ```
//!
//! The own token must never reach a control node, nor count there: who holds a worker does not hold the cluster. And
//! what is handed on must have passed the Host and Origin checks, which nobody can make later.

mod own;

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use node::{Refused, WorkerHandle};
use prometheus_client::metrics::gauge::Gauge;
use tonic::body::Body;

use crate::gate::{self, Names};
use crate::handed;
use crate::language::is_grpc;
use crate::listener::Peer;
use crate::refusal;
use crate::rest::Problem;
use crate::server::{self, Error, Manner};
use crate::token::TokenCheck;

/// What is said between two machines of a connection, and means nothing on another one.
const OF_A_CONNECTION: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// What stands at the door.
struct Door {
    names: Names,
    token: TokenCheck,
    handle: WorkerHandle,
}

/// Serves until `shutdown` is done.
pub(crate) async fn serve(
    listener: TcpListener,
    handle: WorkerHandle,
    manner: Manner,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let Manner { token, shown, .. } = manner;
    let listening = listener.local_addr().map_err(Error::Listener)?;
    let names = Names::of(listening, shown.clone());
    let door = Door { names, token, handle: handle.clone() };
    let routes: Router = own::router(handle).layer(from_fn_with_state(Arc::new(door), stand));
    server::listen(listener, routes.into(), shown, Gauge::default(), shutdown).await
}

/// Turns away who must not call here, and hands on what is not for this node.
async fn stand(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let looked = gate::look(&door.names, request.uri(), request.headers());
    let is_own = match looked.and_then(|()| gate::token_of(request.headers())) {
        Ok(text) => door.token.admits(text),
        Err(denied) => return denied.response(request.headers()),
    };
    let peer = request.extensions().get::<Peer>().cloned();
    match is_own {
        true => {
            if let Some(peer) = peer {
                peer.is_known();
            }
            next.run(request).await
        }
        false => door.hand_on(request, peer.as_ref()).await,
    }
}

impl Door {
    async fn hand_on(&self, request: Request, peer: Option<&Peer>) -> Response {
        let grpc = is_grpc(request.headers());
        if let Some(why) = own::stays(request.method(), request.uri()) {
            return refused(&why, grpc);
        }
        // Whether the token is good the control node says, and may take as long as its answer does.
        let _asked = peer.map(Peer::is_asked_for);
        let (mut parts, body) = request.into_parts();
        clean(&mut parts.headers);
        handed::note(&mut parts.headers, peer.and_then(|peer| peer.addr));
        let request = http::Request::from_parts(parts, Body::new(body));
        match self.handle.hand_on(request).await {
            Ok(mut answer) => {
                if let (true, Some(peer)) = (handed::take_known(answer.headers_mut()), peer) {
                    peer.is_known();
                }
                // What the caller speaks is the server's to say.
                *answer.version_mut() = Version::default();
                answer.map(axum::body::Body::new)
            }
            Err(refusal) => refused(&refusal, grpc),
        }
    }
}

/// Takes out what another connection must not hear.
fn clean(headers: &mut HeaderMap) {
    headers.remove(HOST);
    OF_A_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
    // The one word of it that HTTP/2 knows, without which gRPC is not spoken.
    if headers.remove(TE).is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers")) {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

fn refused(refusal: &Refused, grpc: bool) -> Response {
    match grpc {
        true => refusal::status(refusal).into_http(),
        false => Problem::from(refusal.clone()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_connection_stays_there() {
        let mut headers = HeaderMap::new();
        let all = [
            ("host", "127.0.0.1:7400"),
            ("connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("te", "Trailers"),
            ("authorization", "Bearer x"),
        ];
        for (name, value) in all {
            headers.append(name, HeaderValue::from_static(value));
        }
        clean(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!((left.len(), &headers["te"]), (2, &HeaderValue::from_static("trailers")));
        assert!(left.contains(&"authorization"), "{left:?}");
        headers.insert(TE, HeaderValue::from_static("gzip"));
        clean(&mut headers);
        assert!(!headers.contains_key(TE));
    }
}
