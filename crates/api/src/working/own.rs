//! What a node that only works answers itself, to whoever has its own token.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{Method, StatusCode, Uri};
use model::Because;
use node::{Refused, WorkerHandle};
use proto::api::{DownEvent, DownRequest, GetServerRequest, GetServerResponse};
use tonic::server::Grpc;
use tonic_prost::ProstCodec;

use super::refused;
use crate::caller::Caller;
use crate::going::going;
use crate::json::{Down, GoingDown};
use crate::language::is_grpc;
use crate::rest::{self, Problem, RestBody};
use crate::streams::answer;

const GET_SERVER: &str = "/windlass.v1.Windlass/GetServer";
const DOWN: &str = "/windlass.v1.Windlass/Down";

/// Why a request is not handed on, which comes with another token than the node's own.
pub(super) fn stays(method: &Method, uri: &Uri) -> Option<Refused> {
    let path = uri.path();
    let why = match () {
        // No other control node must go in its place.
        () if path == DOWN || path == rest::DOWN => {
            "a node that only works is taken down with its own token alone\nhint: on its machine give `--token-file DATA_DIR/token`; from elsewhere `windlass node drain` empties it"
        }
        () if rest::is_of_the_node(path) => {
            "a node that only works tells of itself to its own token alone\nhint: give `--token-file DATA_DIR/token`, or ask a control node, which has metrics of all nodes"
        }
        () if method == Method::CONNECT || !path.starts_with('/') => {
            "the request names no path of this node"
        }
        () => return None,
    };
    Some(Refused::Forbidden(why.to_owned()))
}

pub(super) fn router(handle: WorkerHandle) -> Router {
    Router::new()
        .route(GET_SERVER, post(get_server))
        .route(DOWN, post(down))
        .route(rest::DOWN, post(rest_down))
        .route("/v1/version", get(rest::version))
        .route("/healthz", get(rest::healthz))
        .route("/readyz", get(readyz))
        .fallback(elsewhere)
        .with_state(handle)
}

async fn get_server(State(handle): State<WorkerHandle>, request: Request) -> Response {
    let codec = ProstCodec::<GetServerResponse, GetServerRequest>::default();
    let service = tower::service_fn(move |_: tonic::Request<GetServerRequest>| {
        std::future::ready(Ok::<_, tonic::Status>(tonic::Response::new(server(&handle))))
    });
    Grpc::new(codec).unary(service, request).await.map(axum::body::Body::new)
}

/// It knows nothing of what waits, nor of who votes.
fn server(handle: &WorkerHandle) -> GetServerResponse {
    let info = handle.info();
    GetServerResponse {
        version: info.version.clone(),
        cluster_id: info.cluster.to_string(),
        incarnation: u32::from(info.incarnation),
        node_id: info.node.to_string(),
        node_name: info.name.clone(),
        pid: std::process::id(),
        tasks_running: handle.running(),
        level: info.level,
        ..GetServerResponse::default()
    }
}

async fn down(State(handle): State<WorkerHandle>, request: Request) -> Response {
    let codec = ProstCodec::<DownEvent, DownRequest>::default();
    let service = tower::service_fn(move |request: tonic::Request<DownRequest>| {
        let DownRequest { reason, actor } = request.into_inner();
        let went = go_down(&handle, reason, &actor);
        let handle = handle.clone();
        std::future::ready(match went {
            Err(refusal) => Err(crate::refusal::status(&refusal)),
            Ok(left) => Ok(answer(move |recipient| {
                let stopped = handle.clone();
                let stopped = async move { stopped.stopped().await };
                going(move || handle.running(), stopped, left, recipient)
            })),
        })
    });
    Grpc::new(codec).server_streaming(service, request).await.map(axum::body::Body::new)
}

async fn rest_down(
    State(handle): State<WorkerHandle>,
    body: RestBody<Down>,
) -> Result<(StatusCode, Json<GoingDown>), Problem> {
    let Down { reason, actor } = body.whole()?;
    let (reason, actor) = (reason.unwrap_or_default(), actor.unwrap_or_default());
    let tasks_left = go_down(&handle, reason, &actor)?;
    Ok((StatusCode::ACCEPTED, Json(GoingDown { tasks_left })))
}

/// Tells the node to go down; how many tasks are left.
fn go_down(handle: &WorkerHandle, reason: String, actor: &str) -> Result<u64, Refused> {
    let because = Because { actor: Caller::of_directory().actor(actor)?, reason };
    // Counted before, for short tasks are gone before anybody could look.
    let left = handle.running();
    handle.down(&because)?;
    Ok(left)
}

/// Whether it can be given tasks.
async fn readyz(State(handle): State<WorkerHandle>) -> Result<&'static str, Problem> {
    match handle.is_welcome() {
        true => Ok("ready\n"),
        false => Err(Refused::Unavailable("no leader has registered this node".to_owned()).into()),
    }
}

async fn elsewhere(request: Request) -> Response {
    let why = "this node only works, and its own token speaks with it alone: `windlass down`, `windlass version`\nhint: make a token for the cluster at a control node, `windlass token create NAME`, and give it with `--token-file FILE` or WINDLASS_TOKEN";
    refused(&Refused::Forbidden(why.to_owned()), is_grpc(request.headers())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_the_node_stays_there() {
        let stays = |method, uri: &str| stays(&method, &uri.parse().unwrap()).is_some();
        for own in [DOWN, rest::DOWN, "/v1/node/down?x=1", "/metrics", "/readyz"] {
            assert!(stays(Method::POST, own), "{own}");
        }
        for none in ["127.0.0.1:7400", "*"] {
            assert!(stays(Method::CONNECT, none) && stays(Method::OPTIONS, none), "{none}");
        }
        for of_the_cluster in ["/v1/runs", GET_SERVER, "/windlass.v1.Windlass/Run"] {
            assert!(!stays(Method::POST, of_the_cluster), "{of_the_cluster}");
        }
    }
}
