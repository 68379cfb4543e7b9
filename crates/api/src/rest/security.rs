//! Tokens, and who changed what.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use proto::api;

use super::Rest;
use super::problem::Problem;
use super::request::Body;
use crate::caller::Caller;
use crate::json::{CreateToken, CreatedToken, Revoke, Token, Tokens};

/// List the tokens
///
/// Never their texts. Takes the role admin.
#[utoipa::path(get, path = "/v1/tokens", tag = "security", operation_id = "list_tokens",
    responses((status = 200, description = "All tokens", body = Tokens)))]
pub(super) async fn list(
    State(rest): State<Rest>,
    caller: Caller,
) -> Result<Json<Tokens>, Problem> {
    let answer = rest.service.list_tokens(&caller).await?;
    Ok(Json(Tokens::from(&answer.tokens[..])))
}

/// Make a token
///
/// The answer has its text, which nobody can have again. Takes the role admin.
#[utoipa::path(post, path = "/v1/tokens", tag = "security", operation_id = "create_token",
    request_body = CreateToken,
    responses((status = 201, description = "The token and its text", body = CreatedToken)))]
pub(super) async fn create(
    State(rest): State<Rest>,
    caller: Caller,
    body: Body<CreateToken>,
) -> Result<Response, Problem> {
    let token = body.whole()?;
    let request = api::CreateTokenRequest {
        name: token.name,
        role: token.role,
        owner: token.owner.unwrap_or_default(),
        run_as: token.run_as,
        lasts_ms: token.lasts_ms.unwrap_or_default(),
        reason: token.reason.unwrap_or_default(),
        actor: token.actor.unwrap_or_default(),
    };
    let made = rest.service.create_token(&caller, request).await?;
    Ok((StatusCode::CREATED, Json(CreatedToken::from(&made))).into_response())
}

/// Revoke a token
///
/// At once; what goes on under it ends soon. Takes the role admin.
#[utoipa::path(post, path = "/v1/tokens/{token}/revoke", tag = "security", operation_id = "revoke_token",
    params(("token" = String, Path, description = "A token's id or name")),
    request_body = Revoke,
    responses((status = 200, description = "The token that was", body = Token)))]
pub(super) async fn revoke(
    State(rest): State<Rest>,
    caller: Caller,
    Path(token): Path<String>,
    body: Body<Revoke>,
) -> Result<Json<Token>, Problem> {
    let Revoke { reason, actor } = body.whole()?;
    let (reason, actor) = (reason.unwrap_or_default(), actor.unwrap_or_default());
    let request = api::RevokeTokenRequest { token, reason, actor };
    let revoked = rest.service.revoke_token(&caller, request).await?.token;
    Ok(Json(Token::from(&revoked.unwrap_or_default())))
}
