//! Which language a caller speaks, for one listener hears gRPC and plain HTTP alike.
//!
//! It exists because a refusal that comes in the other language is none that the caller reads.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// Whether gRPC is spoken, and so wants to be answered in.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    kind.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}
