//! In which of its forms an answer is wanted: the `Accept` of a request.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};

use super::problem::Problem;

/// JSON.
pub(super) const JSON: &str = "application/json";
/// A JSON object a line.
pub(super) const NDJSON: &str = "application/x-ndjson";
/// Server-Sent Events.
pub(super) const EVENTS: &str = "text/event-stream";
/// Bytes as they are.
pub(super) const BYTES: &str = "application/octet-stream";

/// The one of `offered` that the caller likes best; of those liked alike the first.
pub(super) fn choose(
    headers: &HeaderMap,
    offered: &[&'static str],
) -> Result<&'static str, Problem> {
    let accepted: Vec<_> = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
    let accepted = accepted.join(",");
    if accepted.trim().is_empty() {
        return Ok(offered[0]);
    }
    let mut best: Option<(&'static str, f32)> = None;
    for &kind in offered {
        let liked = quality(&accepted, kind);
        if liked > best.map_or(0.0, |(_, quality)| quality) {
            best = Some((kind, liked));
        }
    }
    best.map(|(kind, _)| kind).ok_or_else(|| {
        let detail = format!("none of what is accepted is offered: {}", offered.join(", "));
        let title = "the answer has no such form";
        Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", title, detail)
    })
}

/// How much a media type is liked, by the most exact range that takes it in.
fn quality(accepted: &str, kind: &str) -> f32 {
    let (main, _) = kind.split_once('/').unwrap_or((kind, ""));
    let mut found = (0, 0.0);
    for range in accepted.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let exact = match name.as_str() {
            name if name == kind => 3,
            name if name.strip_suffix("/*") == Some(main) => 2,
            "*/*" => 1,
            _ => continue,
        };
        let liked =
            parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
        if exact > found.0 {
            found = (exact, liked.unwrap_or(0.0));
        }
    }
    found.1
}

/// Lets a request through that takes JSON for an answer.
pub(super) async fn json(request: Request, next: Next) -> Response {
    match choose(request.headers(), &[JSON]) {
        Ok(_) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accepted: &str, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accepted.parse().unwrap());
        assert_eq!(choose(&headers, &[BYTES, NDJSON, EVENTS]).ok(), expected, "{accepted}");
    }

    #[test]
    fn the_form_liked_best_is_given() {
        assert_eq!(choose(&HeaderMap::new(), &[BYTES, NDJSON]), Ok(BYTES));
        check("*/*", Some(BYTES));
        check("text/event-stream", Some(EVENTS));
        check("text/*", Some(EVENTS));
        check("application/json;q=0.9, application/x-ndjson; q=0.5, */*;q=0.1", Some(NDJSON));
        check("application/*;q=0.5,application/octet-stream;q=0", Some(NDJSON));
        check("text/html", None);
        check("application/x-ndjson;q=x", None);
    }
}
