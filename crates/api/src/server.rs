//! The one listener: gRPC with health and reflection, and REST.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures::FutureExt;
use prometheus_client::metrics::gauge::Gauge;
use proto::api::windlass_server::{Windlass, WindlassServer};
use tonic::service::Routes;
use tonic::transport::Server;

use crate::calls::Service;
use crate::gate::{self, Gate, Names, Tokens};
use crate::handed::Answering;
use crate::hints::{self, Hints};
use crate::listener;
use crate::metrics::{self, Requests};
use crate::rest;
use crate::tls::{Handshakes, Shown};
use crate::token::TokenCheck;

/// Bytes of one request; a job with its command and environment is far smaller.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// Bytes of one answer; lists are paged and output comes in chunks, so none gets near.
const RESPONSE_BYTES_MAX: usize = 16 << 20;
/// Calls at one time on one connection.
const STREAMS_MAX: u32 = 256;
/// How often a caller from elsewhere is asked whether it is still there, and when it has to have answered.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);
/// How long calls that are under way may go on after the node was told to stop.
const FAREWELL: Duration = Duration::from_millis(500);

/// Why a server could not serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener given could not be used.
    #[error("cannot serve on the listener")]
    Listener(#[source] std::io::Error),
    /// Reflection could not be made of the descriptors: a fault of the build.
    #[error("cannot describe the interface")]
    Descriptors(#[source] tonic_reflection::server::Error),
    /// Others could read along.
    #[error("will not serve at {0} without TLS: others could read along")]
    Exposed(SocketAddr),
    /// TLS cannot be set up: a fault of the build.
    #[error("cannot speak TLS")]
    Tls(#[source] rustls::Error),
    /// Serving failed.
    #[error("serving failed")]
    Transport(#[source] tonic::transport::Error),
}

/// How a node meets its callers.
#[derive(Debug)]
pub struct Manner {
    /// The token of its data directory.
    pub token: TokenCheck,
    /// What it shows over TLS; without it plain HTTP is spoken, on loopback or not at all.
    pub shown: Option<Shown>,
    /// Whether REST sends callers to the leader instead of asking it for them.
    pub redirects: bool,
}

/// Serves a control node: on the listener, and what others hand on.
pub(crate) async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    manner: Manner,
    tokens: Arc<dyn Tokens>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let Manner { token, shown: tls, redirects } = manner;
    let listening = listener.local_addr().map_err(Error::Listener)?;
    let handle = service.handle.clone();
    let requests = Arc::new(Requests::new(handle.metrics()));
    let connections = requests.connections.clone();
    let behind = Arc::new(Gate::behind(tokens.clone()));
    let handed = routes(service.clone(), behind, requests.clone(), false).await?;
    handle.answer_people(Arc::new(Answering(handed)));
    let gate = Arc::new(Gate::new(Names::of(listening, tls.clone()), token, tokens));
    let routes = routes(service, gate, requests, redirects).await?;
    listen(listener, routes.into(), tls, connections, shutdown).await
}

/// Serves until `shutdown` is done and the calls under way have had a moment to end.
pub(crate) async fn listen(
    listener: TcpListener,
    routes: Routes,
    tls: Option<Shown>,
    connections: Gauge,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    listener.set_nonblocking(true).map_err(Error::Listener)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(Error::Listener)?;
    let listening = listener.local_addr().map_err(Error::Listener)?;
    let handshakes = handshakes(listening, tls.as_ref())?;
    // Whoever vanished from a network does not say so.
    let ping = tls.is_some().then_some(PING);
    let shutdown = shutdown.shared();
    let serving = Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(ping)
        .http2_keepalive_timeout(Some(PONG))
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            listener::connections(listener, handshakes, connections),
            shutdown.clone(),
        );
    // A `logs -f` would hold a graceful end for ever.
    let farewell = async {
        shutdown.await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        served = serving => served.map_err(Error::Transport),
        () = farewell => Ok(()),
    }
}

/// Plain text is for loopback alone, whatever whoever serves has in mind.
fn handshakes(listening: SocketAddr, tls: Option<&Shown>) -> Result<Handshakes, Error> {
    match tls {
        Some(shown) => Handshakes::with(shown).map_err(Error::Tls),
        None if listening.ip().is_loopback() => Ok(Handshakes::none()),
        None => Err(Error::Exposed(listening)),
    }
}

async fn routes(
    service: Arc<Service>,
    gate: Arc<Gate>,
    requests: Arc<Requests>,
    redirects: bool,
) -> Result<Router, Error> {
    let grpc = calls(Arc::clone(&service));
    let handle = service.handle.clone();
    let stale = Arc::new(Service { handle: handle.stale() });
    let stale = Routes::new(calls(Arc::clone(&stale)))
        .into_axum_router()
        .layer(axum::middleware::from_fn(rest::only_grpc))
        .merge(rest::router(stale));
    let hints = Hints { handle, stale, redirects };
    let (health, health_service) = tonic_health::server::health_reporter();
    set_serving(&health, &grpc).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let grpc = Routes::new(grpc)
        .add_service(health_service)
        .add_service(reflection().build_v1().map_err(Error::Descriptors)?)
        // What `grpcio-reflection` of Python and older tools ask for.
        .add_service(reflection().build_v1alpha().map_err(Error::Descriptors)?);
    let router = grpc
        .into_axum_router()
        .layer(axum::middleware::from_fn(rest::only_grpc))
        .merge(metrics::router(Arc::clone(&service)))
        .merge(rest::router(service))
        .layer(axum::middleware::from_fn_with_state(hints, hints::follow))
        .layer(axum::middleware::from_fn_with_state(gate, gate::stand))
        .layer(axum::middleware::from_fn_with_state(requests, metrics::measure));
    Ok(router)
}

fn calls(service: Arc<Service>) -> WindlassServer<Service> {
    WindlassServer::from_arc(service)
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX)
}

async fn set_serving<S: Windlass>(
    health: &tonic_health::server::HealthReporter,
    _service: &WindlassServer<S>,
) {
    health.set_serving::<WindlassServer<S>>().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_for_loopback_alone() {
        let at = |text: &str, tls| handshakes(text.parse().unwrap(), tls);
        let shown = Shown::new(crate::tls::of(&["alpha.example"]));
        for loopback in ["127.0.0.1:7400", "127.0.0.9:1", "[::1]:7400"] {
            assert!(at(loopback, None).is_ok() && at(loopback, Some(&shown)).is_ok(), "{loopback}");
        }
        for beyond in ["0.0.0.0:7400", "[::]:7400", "10.0.0.5:7400", "[::ffff:127.0.0.1]:7400"] {
            let refused = at(beyond, None).err();
            assert!(matches!(refused, Some(Error::Exposed(_))), "{beyond}");
            assert!(at(beyond, Some(&shown)).is_ok(), "{beyond}");
        }
    }
}
