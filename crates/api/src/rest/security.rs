//! Tokens, and who changed what.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::LINK;
use http::{HeaderMap, StatusCode, Uri};
use proto::api;
use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;
use super::request::{Body, Params};
use super::runs::{instant, limit};
use super::{Rest, cursor};
use crate::caller::Caller;
use crate::json::{AuditPage, Change, CreateToken, CreatedToken, Revoke, Token, Tokens};

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

/// Which changes are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListChanges {
    /// Made at this instant or later.
    since: Option<String>,
    /// By this actor.
    actor: Option<String>,
    /// Of this kind, such as `cancel`.
    action: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List who changed what, the latest first
#[utoipa::path(get, path = "/v1/audit", tag = "security", operation_id = "list_changes", params(ListChanges),
    responses((status = 200, description = "A page of changes; `Link` names the next", body = AuditPage,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`, where there is one")))))]
pub(super) async fn audit(
    State(rest): State<Rest>,
    caller: Caller,
    uri: Uri,
    Params(params): Params<ListChanges>,
) -> Result<Response, Problem> {
    let request = api::AuditRequest {
        since_ms: instant("since", params.since.as_deref())?,
        actor: params.actor.unwrap_or_default(),
        action: params.action.unwrap_or_default(),
        limit: limit(params.limit)?,
        before: params.cursor.unwrap_or_default(),
    };
    let page = rest.service.audit(&caller, request).await?;
    let next_cursor = (!page.next_before.is_empty()).then_some(page.next_before);
    let mut headers = HeaderMap::new();
    let next = next_cursor.as_deref().and_then(|next| cursor::link(&uri, next));
    headers.extend(next.map(|link| (LINK, link)));
    let changes = page.changes.iter().map(Change::from).collect();
    let page = AuditPage { changes, next_cursor, damaged: page.damaged };
    Ok((headers, Json(page)).into_response())
}
