//! Nodes and the cluster, and whether the node that is asked is well.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures::stream::unfold;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use node::Refused;
use proto::api::{self, GetNodeRequest};

use super::Rest;
use super::negotiate::{BYTES, choose};
use super::problem::Problem;
use super::request::Body;
use crate::caller::Caller;
use crate::json::{
    Cluster, ClusterAuthority, Down, Drain, GoingDown, Node, NodeDetail, Nodes, Remove, Removed,
    Resume, Resumed, Version,
};

/// How long the node may take to see all that was acknowledged before it counts as not ready.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// List the nodes
#[utoipa::path(get, path = "/v1/nodes", tag = "nodes", operation_id = "list_nodes",
    responses((status = 200, description = "All nodes", body = Nodes)))]
pub(super) async fn list(State(rest): State<Rest>, caller: Caller) -> Result<Json<Nodes>, Problem> {
    let answer = rest.service.list_nodes(&caller).await?;
    Ok(Json(Nodes::from(&answer.nodes[..])))
}

/// Show a node
#[utoipa::path(get, path = "/v1/nodes/{node}", tag = "nodes", operation_id = "get_node",
    params(("node" = String, Path, description = "A node's id or name")),
    responses((status = 200, description = "The node", body = Node)))]
pub(super) async fn get(
    State(rest): State<Rest>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Node>, Problem> {
    Ok(Json(Node::from(&rest.service.get_node(&caller, GetNodeRequest { id }).await?)))
}

/// List what is placed on a node
///
/// In the order it came there, at most 100 elements: what still keeps a node that is drained.
#[utoipa::path(get, path = "/v1/nodes/{node}/elements", tag = "nodes",
    operation_id = "list_node_elements",
    params(("node" = String, Path, description = "A node's id or name")),
    responses((status = 200, description = "The node and its elements", body = NodeDetail)))]
pub(super) async fn elements(
    State(rest): State<Rest>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<NodeDetail>, Problem> {
    Ok(Json(NodeDetail::from(&rest.service.get_node(&caller, GetNodeRequest { id }).await?)))
}

/// Take a node out of work
///
/// Nothing more is placed there. What runs there may go on for a while, and is then stopped and waits
/// for another node; no failure is counted. Takes the role operator.
#[utoipa::path(post, path = "/v1/nodes/{node}/drain", tag = "nodes", operation_id = "drain_node",
    params(("node" = String, Path, description = "A node's id or name")),
    request_body = Drain,
    responses((status = 200, description = "The node", body = Node)))]
pub(super) async fn drain(
    State(rest): State<Rest>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body<Drain>,
) -> Result<Json<Node>, Problem> {
    let Drain { wait_ms, reason, actor } = body.whole()?;
    let (reason, actor) = (reason.unwrap_or_default(), actor.unwrap_or_default());
    let request = api::DrainNodeRequest { id, wait_ms, reason, actor };
    Ok(Json(Node::from(&rest.service.drain_node(&caller, request).await?)))
}

/// Take a node back into work
///
/// What is being stopped already stays so. Takes the role operator.
#[utoipa::path(post, path = "/v1/nodes/{node}/resume", tag = "nodes", operation_id = "resume_node",
    params(("node" = String, Path, description = "A node's id or name")),
    request_body = Resume,
    responses((status = 200, description = "The node", body = Resumed)))]
pub(super) async fn resume(
    State(rest): State<Rest>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body<Resume>,
) -> Result<Json<Resumed>, Problem> {
    let Resume { reason, actor } = body.whole()?;
    let (reason, actor) = (reason.unwrap_or_default(), actor.unwrap_or_default());
    let request = api::ResumeNodeRequest { id, reason, actor };
    Ok(Json(Resumed::from(&rest.service.resume_node(&caller, request).await?)))
}

/// Forget a node
///
/// One that is connected stays, and without `force` also one whose lease has not run out or where
/// something is placed. With `force` a node that only works is cut off: nothing it says counts any
/// more, and it is removed, and answered for, when its lease has run out. Of one that is not
/// connected whoever asks vouches that its machine is dead: what waits for it is started elsewhere,
/// too. Takes the role operator, with `force` admin.
#[utoipa::path(post, path = "/v1/nodes/{node}/remove", tag = "nodes", operation_id = "remove_node",
    params(("node" = String, Path, description = "A node's id or name")),
    request_body = Remove,
    responses((status = 200, description = "The node that was", body = Removed)))]
pub(super) async fn remove(
    State(rest): State<Rest>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body<Remove>,
) -> Result<Json<Removed>, Problem> {
    let Remove { force, reason, actor } = body.whole()?;
    let (reason, actor) = (reason.unwrap_or_default(), actor.unwrap_or_default());
    let request = api::RemoveNodeRequest { id, force, reason, actor };
    Ok(Json(Removed::from(&rest.service.remove_node(&caller, request).await?)))
}

/// Take the node that is asked down
///
/// Nothing more is placed on it, its tasks are stopped, then it ends.
#[utoipa::path(post, path = "/v1/node/down", tag = "nodes", operation_id = "go_down",
    request_body = Down,
    responses((status = 202, description = "It goes down", body = GoingDown)))]
pub(super) async fn down(
    State(rest): State<Rest>,
    caller: Caller,
    body: Body<Down>,
) -> Result<(StatusCode, Json<GoingDown>), Problem> {
    let Down { reason, actor } = body.whole()?;
    let (reason, actor) = (reason.unwrap_or_default(), actor.unwrap_or_default());
    let request = proto::api::DownRequest { reason, actor };
    let tasks_left = rest.service.go_down(&caller, request).await?;
    Ok((StatusCode::ACCEPTED, Json(GoingDown { tasks_left })))
}

/// Show the cluster, as the node that is asked sees it
#[utoipa::path(get, path = "/v1/cluster", tag = "nodes", operation_id = "get_cluster",
    responses((status = 200, description = "The cluster", body = Cluster)))]
pub(super) async fn cluster(
    State(rest): State<Rest>,
    caller: Caller,
) -> Result<Json<Cluster>, Problem> {
    Ok(Json(Cluster::from(&rest.service.get_server(&caller).await?)))
}

/// Take a snapshot of the cluster
///
/// Everything that is needed to go on with it elsewhere, as one file; without the keys, history and
/// output. `windlass cluster snapshot check FILE` tells whether all of it has arrived.
#[utoipa::path(get, path = "/v1/cluster/snapshot", tag = "nodes", operation_id = "take_snapshot",
    responses((status = 200, description = "The snapshot", body = String, content_type = "application/octet-stream")))]
pub(super) async fn snapshot(
    State(rest): State<Rest>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = choose(&headers, &[BYTES])?;
    let place = rest.streams.take()?;
    let taking = rest.service.take_snapshot(&caller).await?;
    let pieces = unfold((taking, place), async |(mut taking, place)| {
        Some((Ok::<_, Infallible>(taking.next().await?), (taking, place)))
    });
    Ok(([(CONTENT_TYPE, form)], axum::body::Body::from_stream(pieces)).into_response())
}

/// Show whom to believe every node of the cluster by
///
/// The certificate of the cluster's authority, for clients on other machines.
#[utoipa::path(get, path = "/v1/cluster/ca", tag = "nodes", operation_id = "get_authority",
    responses((status = 200, description = "The authority", body = ClusterAuthority)))]
pub(super) async fn authority(
    State(rest): State<Rest>,
    caller: Caller,
) -> Result<Json<ClusterAuthority>, Problem> {
    Ok(Json(rest.service.get_authority(&caller)?.into()))
}

/// Show which version answers
#[utoipa::path(get, path = "/v1/version", tag = "nodes", operation_id = "get_version",
    responses((status = 200, description = "The version", body = Version)))]
pub(crate) async fn version() -> Json<Version> {
    Json(Version { version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// Whether the process answers at all.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the node sees all that is acknowledged, so that it can be asked anything.
pub(super) async fn readyz(State(rest): State<Rest>) -> Result<impl IntoResponse, Problem> {
    let late = || Refused::Unavailable("the journal does not answer".to_owned());
    let view = tokio::time::timeout(READY_WITHIN, rest.service.handle.view()).await;
    view.map_err(|_| late())??;
    Ok("ready\n")
}
