//! What REST answers when it refuses: problem documents after RFC 9457.
//!
//! Every refusal under `/v1` is one, those of the gate and of unknown routes too.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use model::job::Fault;
use node::Refused;
use serde::Serialize;
use utoipa::ToSchema;

use crate::refusal::{bounded, kind, retry_after_s};

/// The media type.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Which kind of problem, the same for ever.
    #[serde(rename = "type")]
    #[schema(example = "urn:windlass:problem:not-found")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The status code.
    #[schema(example = 404)]
    pub status: u16,
    /// What was wrong this time.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Every fault of what was sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// What the `ETag` is now, where the condition of the request did not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The oldest change that can still be told, where those asked for are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<u64>,
    #[serde(skip)]
    retry_after_s: Option<u32>,
}

/// One fault of what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field's path.
    #[schema(example = "tasks[0].cwd")]
    pub field: String,
    /// What is wrong and what was expected.
    #[schema(example = "must be an absolute path")]
    pub problem: String,
}

impl Problem {
    /// A problem that REST itself has with a request.
    pub(crate) fn new(status: StatusCode, name: &str, title: &str, detail: String) -> Problem {
        Problem {
            kind: format!("urn:windlass:problem:{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: bounded(detail),
            hint: None,
            errors: Vec::new(),
            etag: None,
            oldest: None,
            retry_after_s: None,
        }
    }

    /// A request that cannot be read.
    pub(crate) fn bad_request(detail: impl std::fmt::Display) -> Problem {
        let title = "the request cannot be read";
        Problem::new(StatusCode::BAD_REQUEST, "bad-request", title, detail.to_string())
    }

    /// A parameter or a header that can be read and means nothing here.
    pub(crate) fn parameter(name: &str, problem: impl Into<String>) -> Problem {
        let problem = bounded(problem.into());
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let title = "a parameter means nothing here";
        let mut refused =
            Problem::new(status, "bad-parameter", title, format!("{name}: {problem}"));
        refused.errors = vec![FieldError { field: name.to_owned(), problem }];
        refused
    }

    /// A job, or what else was sent, with these faults.
    pub(crate) fn faults(faults: Vec<Fault>) -> Problem {
        Problem::from(Refused::Invalid(faults))
    }

    /// The last of a row of Server-Sent Events.
    pub(crate) fn event(&self) -> axum::response::sse::Event {
        let text = serde_json::to_string(self).expect("a problem has texts for keys");
        axum::response::sse::Event::default().event("error").data(text)
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let what = kind(&refused);
        let text = refused.to_string();
        // Some refusals say in a second line what to do.
        let (detail, own_hint) = match text.split_once("\nhint: ") {
            Some((detail, hint)) => (detail.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        let mut problem = Problem::new(what.http, what.name, what.title, detail);
        problem.hint = own_hint.or(what.hint.map(str::to_owned));
        problem.retry_after_s = retry_after_s(&refused);
        if let Refused::TooOld { oldest } = refused {
            problem.oldest = Some(oldest);
        }
        if let Refused::Invalid(faults) = refused {
            let error =
                |fault: Fault| FieldError { field: fault.field, problem: bounded(fault.problem) };
            problem.errors = faults.into_iter().map(error).collect();
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, PROBLEM)], body).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_refusal_has_a_status_of_its_own() {
        let why = || "x".to_owned();
        let retry_after = Duration::from_millis(1_500);
        let fault = Fault { field: "tasks[0].cwd".into(), problem: "is no path".into() };
        for (refused, status, again) in [
            (Refused::Invalid(vec![fault]), 422, None),
            (Refused::NotASelector(model::selector::NotASelector(why())), 422, None),
            (Refused::Unfit(why()), 422, None),
            (Refused::Forbidden(why()), 403, None),
            (Refused::NotFound(why()), 404, None),
            (Refused::TooOld { oldest: 7 }, 410, None),
            (Refused::KeyUsed { run: model::RunId(1) }, 422, None),
            (Refused::Overloaded { why: why(), retry_after }, 429, Some("2")),
            (Refused::NoSpace { why: why(), retry_after }, 507, Some("2")),
            (Refused::Unavailable(why()), 503, Some("1")),
            (Refused::OutcomeUnknown, 503, Some("1")),
            (Refused::Failed(why()), 500, None),
        ] {
            let response = Problem::from(refused).into_response();
            let header = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap());
            assert_eq!((response.status().as_u16(), header), (status, again));
            assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM);
        }
    }

    #[test]
    fn every_fault_is_named() {
        let fault = |field: &str| Fault { field: field.into(), problem: "is bad".into() };
        let problem = Problem::faults(vec![fault("a"), fault("b")]);
        let fields: Vec<_> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["a", "b"]);
    }

    #[test]
    fn a_second_line_is_the_hint() {
        let problem = Problem::from(Refused::Forbidden("no\nhint: ask".into()));
        assert_eq!((problem.detail.as_str(), problem.hint.as_deref()), ("no", Some("ask")));
    }
}
