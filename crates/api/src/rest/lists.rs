//! Uploads of lists, a piece at a time: a caller that is faster than the disk waits.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http_body_util::BodyExt;
use model::Role;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Rest;
use super::problem::Problem;
use super::request::{Params, slow};
use crate::caller::Caller;
use crate::json::{ItemsKind, List, hex};

/// How long a caller may take for the next piece.
const PIECE_WITHIN: Duration = Duration::from_secs(30);

/// What a list is made of.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Upload {
    /// What its items are.
    kind: ItemsKind,
}

/// Upload a list of items
///
/// The body is the list as it is, of any length that the disk has room for. It is kept for as long
/// as a run names it, and for some time before one does.
#[utoipa::path(post, path = "/v1/lists", tag = "lists", operation_id = "upload_list", params(Upload),
    request_body(content_type = "application/octet-stream", description = "The list"),
    responses((status = 201, description = "It is on disk", body = List),
        (status = 408, description = "The body takes too long", body = super::Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is no such list", body = super::Problem, content_type = "application/problem+json"),
        (status = 507, description = "The disk has no room for it", body = super::Problem, content_type = "application/problem+json")))]
pub(super) async fn upload(
    State(rest): State<Rest>,
    caller: Caller,
    Params(Upload { kind }): Params<Upload>,
    mut body: Body,
) -> Result<Response, Problem> {
    caller.need(Role::Submitter, "upload a list")?;
    let items_kind = match kind {
        ItemsKind::Lines => model::ItemsKind::Lines,
        ItemsKind::Json => model::ItemsKind::Json,
    };
    let mut upload = rest.service.handle.upload(items_kind).await?;
    loop {
        let piece = tokio::time::timeout(PIECE_WITHIN, body.frame()).await;
        let Some(piece) = piece.map_err(|_| slow("the next piece"))? else { break };
        let piece = piece
            .map_err(|error| Problem::bad_request(format!("the list ended early: {error}")))?;
        // Trailers are no part of a list.
        if let Ok(bytes) = piece.into_data() {
            upload.write(bytes.to_vec()).await?;
        }
    }
    let stored = upload.finish().await?;
    let list =
        List { blob: hex(&stored.items.blob), kind, items: stored.count, bytes: stored.bytes };
    Ok((StatusCode::CREATED, Json(list)).into_response())
}
