//! The one table from what a node refuses to the status a caller sees.

use http::StatusCode;
use node::Refused;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::details;

/// Bytes of a message that quotes what the caller wrote; the rest is left out. It travels in a
/// header, escaped to three times its length at worst, and callers take 16 KiB of headers.
const MESSAGE_BYTES_MAX: usize = 4_000;
/// The same as it is escaped there: it stands once more in the details.
const ESCAPED_BYTES_MAX: usize = 7_000;

/// What a refusal is called, in each of the two languages.
pub(crate) struct Kind {
    /// In gRPC.
    pub(crate) code: Code,
    /// In HTTP.
    pub(crate) http: StatusCode,
    /// The last word of the problem's type: `urn:windlass:problem:NAME`.
    pub(crate) name: &'static str,
    /// The same for people.
    pub(crate) title: &'static str,
    /// What to do, where the refusal does not say so itself.
    pub(crate) hint: Option<&'static str>,
}

/// The table.
pub(crate) fn kind(refused: &Refused) -> Kind {
    use StatusCode as Http;
    let (code, http, name, title) = match refused {
        Refused::Invalid(_) => (
            Code::InvalidArgument,
            Http::UNPROCESSABLE_ENTITY,
            "invalid-job",
            "the job is not valid",
        ),
        Refused::NotASelector(_) => {
            (Code::InvalidArgument, Http::UNPROCESSABLE_ENTITY, "not-an-id", "that is no id")
        }
        Refused::Unfit(_) => {
            (Code::InvalidArgument, Http::UNPROCESSABLE_ENTITY, "unfit", "that cannot be done so")
        }
        Refused::InTheWay(_) => {
            (Code::FailedPrecondition, Http::CONFLICT, "in-the-way", "something is in the way")
        }
        Refused::Forbidden(_) => {
            (Code::PermissionDenied, Http::FORBIDDEN, "forbidden", "the token does not allow it")
        }
        Refused::NotFound(_) => {
            (Code::NotFound, Http::NOT_FOUND, "not-found", "there is no such thing")
        }
        Refused::KeyUsed { .. } => (
            Code::AlreadyExists,
            Http::UNPROCESSABLE_ENTITY,
            "key-used",
            "the idempotency key was used for something else",
        ),
        Refused::Overloaded { .. } => (
            Code::ResourceExhausted,
            Http::TOO_MANY_REQUESTS,
            "overloaded",
            "too much waits already",
        ),
        Refused::NoSpace { .. } => (
            Code::ResourceExhausted,
            Http::INSUFFICIENT_STORAGE,
            "no-space",
            "the disk has no room for it",
        ),
        Refused::TooOld { .. } => {
            (Code::OutOfRange, Http::GONE, "too-old", "what happened then can no longer be told")
        }
        Refused::Unavailable(_) => (
            Code::Unavailable,
            Http::SERVICE_UNAVAILABLE,
            "unavailable",
            "the node cannot answer now",
        ),
        Refused::OutcomeUnknown => (
            Code::Unavailable,
            Http::SERVICE_UNAVAILABLE,
            "outcome-unknown",
            "it may or may not have been done",
        ),
        Refused::Failed(_) => (
            Code::Internal,
            Http::INTERNAL_SERVER_ERROR,
            "failed",
            "something that should have worked did not",
        ),
    };
    let hint = match refused {
        Refused::NotFound(what) => Some(list_of(what)),
        Refused::KeyUsed { .. } => Some("give this job a key of its own, or leave the key out"),
        Refused::TooOld { .. } => {
            Some("look at the state as it is now, then go on after the index it has")
        }
        Refused::Failed(_) => Some("the node's log may tell more"),
        _ => None,
    };
    Kind { code, http, name, title, hint }
}

/// Where what there is can be seen, for something that is not there.
fn list_of(what: &str) -> &'static str {
    let is_of = |kind: &str| what.starts_with(&format!("there is no {kind} "));
    match () {
        () if is_of("token") => "`windlass token ls` lists all tokens",
        () if is_of("node") => "`windlass node ls` lists all nodes",
        () => "`windlass ps --all` lists all runs",
    }
}

/// After how many seconds it may be tried again, where that helps: whole ones, as HTTP has it, and
/// never fewer than was said.
pub(crate) fn retry_after_s(refused: &Refused) -> Option<u32> {
    match refused {
        Refused::Overloaded { retry_after, .. } | Refused::NoSpace { retry_after, .. } => {
            Some(retry_after.as_millis().div_ceil(1000).clamp(1, 3600) as u32)
        }
        Refused::Unavailable(_) | Refused::OutcomeUnknown => Some(1),
        _ => None,
    }
}

/// The status for a refusal. A second line, `hint: …`, says what to do where there is something.
pub(crate) fn status(refused: &Refused) -> Status {
    let Kind { code, http, name, hint, .. } = kind(refused);
    let message = match hint {
        Some(hint) => format!("{}\nhint: {hint}", bounded(refused.to_string())),
        None => bounded(refused.to_string()),
    };
    let again_s = retry_after_s(refused);
    let mut status = details::status(code, message, refused, name, again_s);
    if let (Code::ResourceExhausted, Some(seconds)) = (code, again_s) {
        let metadata = status.metadata_mut();
        let reason = MetadataValue::try_from(http.as_str()).expect("a number is good metadata");
        metadata.insert("windlass-status", reason);
        metadata.insert("retry-after", seconds.into());
    }
    status
}

/// Of a request that could not be understood.
pub(crate) fn invalid(problem: impl std::fmt::Display) -> Refused {
    Refused::Unfit(problem.to_string())
}

/// What is quoted of a message.
pub(crate) fn bounded(mut message: String) -> String {
    let mut escaped = 0;
    let end = message.bytes().position(|byte| {
        escaped += if byte.is_ascii_alphanumeric() || byte == b' ' { 1 } else { 3 };
        escaped > ESCAPED_BYTES_MAX
    });
    let end = end.unwrap_or(message.len()).min(MESSAGE_BYTES_MAX);
    if end < message.len() {
        message.truncate(message.floor_char_boundary(end));
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_tried_again_is_told_apart() {
        let again = [Refused::Unavailable("x".into()), Refused::OutcomeUnknown];
        assert!(again.iter().all(|refused| status(refused).code() == Code::Unavailable));
        assert_eq!(status(&Refused::Failed("x".into())).code(), Code::Internal);
    }

    #[test]
    fn who_asked_too_much_hears_when_to_ask_again() {
        let (why, retry_after) = ("x".to_owned(), std::time::Duration::from_millis(1_200));
        let check = |refused: Refused, reason: &str| {
            let status = status(&refused);
            let get = |name: &str| status.metadata().get(name).unwrap().to_str().unwrap();
            assert_eq!(status.code(), Code::ResourceExhausted);
            assert_eq!((get("windlass-status"), get("retry-after")), (reason, "2"));
        };
        check(Refused::Overloaded { why: why.clone(), retry_after }, "429");
        check(Refused::NoSpace { why, retry_after }, "507");
    }

    #[test]
    fn what_a_caller_wrote_is_quoted_only_so_far() {
        let long = || "ä".repeat(9_000);
        for refused in [Refused::NotFound(long()), invalid(long())] {
            let status = status(&refused);
            assert!(status.message().len() < MESSAGE_BYTES_MAX + 100);
        }
        assert!(status(&Refused::NotFound("ä".repeat(9_000))).message().contains("\nhint: "));
    }

    #[test]
    fn a_hint_is_the_second_line() {
        let used = status(&Refused::KeyUsed { run: model::RunId(7) });
        assert_eq!(used.code(), Code::AlreadyExists);
        let (first, second) = used.message().split_once('\n').unwrap();
        assert!(first.ends_with("run 7") && second.starts_with("hint: "));
    }
}
