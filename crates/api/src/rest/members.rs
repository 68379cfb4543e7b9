//! Who belongs to the cluster, and what lets others in.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use proto::api;

use super::Rest;
use super::problem::Problem;
use super::request::Body;
use crate::caller::Caller;
use crate::json::{ClusterStatus, CreateJoinToken, JoinToken};
use crate::refusal::invalid;

/// List the cluster's members
///
/// Who votes and who leads, and what the cluster survives. It is answered without a leader, too.
#[utoipa::path(get, path = "/v1/cluster/members", tag = "nodes", operation_id = "get_members",
    responses((status = 200, description = "The cluster and its members", body = ClusterStatus)))]
pub(super) async fn list(
    State(rest): State<Rest>,
    caller: Caller,
) -> Result<Json<ClusterStatus>, Problem> {
    Ok(Json(ClusterStatus::from(&rest.service.get_cluster(&caller).await?)))
}

/// Make a join token
///
/// For `windlass join`. The answer has its text, which nobody can have again. Takes the role admin.
#[utoipa::path(post, path = "/v1/cluster/join-tokens", tag = "security",
    operation_id = "create_join_token", request_body = CreateJoinToken,
    responses((status = 201, description = "The token and its text", body = JoinToken)))]
pub(super) async fn create_token(
    State(rest): State<Rest>,
    caller: Caller,
    body: Body<CreateJoinToken>,
) -> Result<Response, Problem> {
    let token = body.whole()?;
    if token.roles.is_empty() {
        // Who lets in control nodes gives the keys away, and says so.
        return Err(invalid("roles: it is one of `control,worker`, `control`, `worker`").into());
    }
    let request = api::CreateJoinTokenRequest {
        roles: token.roles,
        lasts_ms: token.lasts_ms.unwrap_or_default(),
        uses_max: token.uses_max.unwrap_or_default(),
        reason: token.reason.unwrap_or_default(),
        actor: token.actor.unwrap_or_default(),
    };
    let made = rest.service.create_join_token(&caller, request).await?;
    Ok((StatusCode::CREATED, Json(JoinToken::from(&made))).into_response())
}
