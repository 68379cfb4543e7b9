//! A list of items on its way from a caller to a node.

use model::ItemsKind;
use node::Handle;
use proto::api::upload_request::Part;
use proto::api::{UploadRequest, UploadResponse};
use proto::job::items::Kind;
use tonic::{Status, Streaming};

use crate::refusal::{invalid, status};

/// Takes the pieces one by one, each once the one before is written: a caller that is faster than
/// the disk waits.
pub(crate) async fn upload(
    handle: &Handle,
    mut pieces: Streaming<UploadRequest>,
) -> Result<UploadResponse, Status> {
    let kind = match pieces.message().await?.and_then(|first| first.part) {
        Some(Part::Kind(kind)) => match Kind::try_from(kind) {
            Ok(Kind::Lines) => ItemsKind::Lines,
            Ok(Kind::Json) => ItemsKind::Json,
            Err(_) => return Err(unfit(format!("kind: {kind} is none of LINES, JSON"))),
        },
        _ => return Err(unfit("kind: must be said before the first bytes")),
    };
    let mut upload = handle.upload(kind).await.map_err(|refused| status(&refused))?;
    while let Some(piece) = pieces.message().await? {
        match piece.part {
            Some(Part::Data(bytes)) => {
                upload.write(bytes).await.map_err(|refused| status(&refused))?;
            }
            _ => return Err(unfit("kind: is said once, before the first bytes")),
        }
    }
    let stored = upload.finish().await.map_err(|refused| status(&refused))?;
    Ok(UploadResponse {
        blob: stored.items.blob.to_vec(),
        bytes: stored.bytes,
        items: stored.count,
    })
}

fn unfit(problem: impl std::fmt::Display) -> Status {
    status(&invalid(problem))
}
