//! What is measured of requests, and `GET /metrics`, where Prometheus reads all that the node
//! measures.
//!
//! It stands around every other layer, so that who is turned away is counted too. Labels are
//! routes, methods and statuses that are known here; what a caller makes up is `other`.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use model::Role;
use node::Refused;
use node::metrics::{Histogram, Metrics, SECONDS};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::caller::Caller;
use crate::calls::Service;
use crate::rest::Problem;

/// The text form that Prometheus asks for.
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Before the name of a gRPC method.
const GRPC: [&str; 2] = ["/windlass.v1.Windlass/", "/grpc."];
/// The gRPC status of a method that does not exist.
const UNIMPLEMENTED: &str = "12";

/// What is measured of requests.
#[derive(Debug)]
pub(crate) struct Requests {
    all: Family<Kind, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    refused: Family<Reason, Counter>,
    /// Connections that are open; the listener counts them.
    pub(crate) connections: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    route: String,
    method: &'static str,
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Why a request was turned away; goes along with its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnedAway(pub(crate) &'static str);

/// Reasons that are counted from the start, so that a first one is seen as a rise.
const REASONS: [&str; 6] = ["host", "origin", "token", "role", "too_many", "no_space"];

impl Requests {
    pub(crate) fn new(metrics: &Metrics) -> Requests {
        let seconds = || Histogram::seconds(SECONDS);
        let requests = metrics.register(|names| Requests {
            all: names.add(
                "requests",
                "Requests, by route, method and status: of HTTP, or of gRPC where the method is that",
                Family::default(),
            ),
            seconds: names.add(
                "request_seconds",
                "From a request until its answer begins",
                Family::new_with_constructor(seconds as fn() -> Histogram),
            ),
            in_flight: names.add(
                "requests_in_flight",
                "Requests whose answer has not begun",
                Gauge::default(),
            ),
            refused: names.add(
                "requests_refused",
                "Requests that were turned away: at the gate, for want of a role, or of room",
                Family::default(),
            ),
            connections: names.add("connections", "Connections that are open", Gauge::default()),
        });
        for reason in REASONS {
            drop(requests.refused.get_or_create(&Reason { reason }));
        }
        requests
    }

    fn count(
        &self,
        route: Option<String>,
        method: &http::Method,
        begun: Instant,
        answer: &Response,
    ) {
        let headers = answer.headers();
        let text =
            |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let kind = text(CONTENT_TYPE.as_str()).unwrap_or_default();
        let grpc = kind.starts_with("application/grpc");
        let status = match grpc {
            true => text("grpc-status").unwrap_or("0").to_owned(),
            false => answer.status().as_u16().to_string(),
        };
        let unknown = grpc && status == UNIMPLEMENTED;
        let route = route.filter(|_| !unknown).unwrap_or_else(|| "other".to_owned());
        let method = if grpc { "gRPC" } else { known(method) };
        self.seconds.get_or_create(&Route { route: route.clone() }).took(begun.elapsed());
        let reason = match (answer.extensions().get::<TurnedAway>(), answer.status()) {
            (Some(TurnedAway(reason)), _) => Some(*reason),
            (None, StatusCode::TOO_MANY_REQUESTS) => Some("too_many"),
            (None, StatusCode::INSUFFICIENT_STORAGE) => Some("no_space"),
            (None, StatusCode::FORBIDDEN) => Some("role"),
            _ => match text("windlass-status") {
                Some("429") => Some("too_many"),
                Some("507") => Some("no_space"),
                _ if grpc && status == "7" => Some("role"),
                _ => None,
            },
        };
        if let Some(reason) = reason {
            self.refused.get_or_create(&Reason { reason }).inc();
        }
        self.all.get_or_create(&Kind { route, method, status }).inc();
    }
}

fn known(method: &http::Method) -> &'static str {
    let all = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];
    all.into_iter().find(|one| *one == method.as_str()).unwrap_or("other")
}

/// Lets a request through and measures it.
pub(crate) async fn measure(
    State(requests): State<Arc<Requests>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let route = match GRPC.iter().any(|prefix| path.starts_with(prefix)) {
        true => Some(path.to_owned()),
        false => request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()),
    };
    let (method, begun) = (request.method().clone(), Instant::now());
    // A caller that leaves drops this future.
    let in_flight = InFlight::new(&requests.in_flight);
    let answer = next.run(request).await;
    drop(in_flight);
    requests.count(route, &method, begun, &answer);
    answer
}

/// One more of something, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Gauge);

impl InFlight {
    pub(crate) fn new(gauge: &Gauge) -> InFlight {
        gauge.inc();
        InFlight(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// `GET /metrics`, for whoever may look.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(service)
}

async fn scrape(State(service): State<Arc<Service>>, caller: Caller) -> Result<Response, Problem> {
    caller.need(Role::Viewer, "read metrics")?;
    let text = service.handle.metrics().text();
    let text =
        text.map_err(|error| Refused::Failed(format!("cannot write the metrics: {error}")))?;
    Ok(([(CONTENT_TYPE, TEXT)], text).into_response())
}
