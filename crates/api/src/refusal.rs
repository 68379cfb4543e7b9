//! The one table from what a node refuses to the status a caller sees.

use node::Refused;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// Bytes of a message that quotes what the caller wrote; the rest is left out. It travels in a
/// header, escaped to three times its length at worst, and callers take 16 KiB of headers.
const MESSAGE_BYTES_MAX: usize = 4_000;

/// The status for a refusal. A second line, `hint: …`, says what to do where there is something.
pub(crate) fn status(refused: &Refused) -> Status {
    let (code, hint) = match refused {
        Refused::Invalid(_) | Refused::NotASelector(_) | Refused::Unfit(_) => {
            (Code::InvalidArgument, None)
        }
        Refused::Forbidden(_) => (Code::PermissionDenied, None),
        Refused::NotFound(_) => (Code::NotFound, Some("`windlass ps --all` lists all runs")),
        Refused::KeyUsed { .. } => {
            (Code::AlreadyExists, Some("give this job a key of its own, or leave the key out"))
        }
        Refused::Overloaded { .. } | Refused::NoSpace { .. } => (Code::ResourceExhausted, None),
        Refused::TooOld { .. } => (
            Code::OutOfRange,
            Some("look at the state as it is now, then go on after the index it has"),
        ),
        Refused::Unavailable(_) | Refused::OutcomeUnknown => (Code::Unavailable, None),
        Refused::Failed(_) => (Code::Internal, Some("the node's log may tell more")),
    };
    let message = match hint {
        Some(hint) => format!("{}\nhint: {hint}", bounded(refused.to_string())),
        None => bounded(refused.to_string()),
    };
    let mut status = Status::new(code, message);
    let again = match refused {
        Refused::Overloaded { retry_after, .. } => Some(("429", retry_after)),
        Refused::NoSpace { retry_after, .. } => Some(("507", retry_after)),
        _ => None,
    };
    if let Some((reason, retry_after)) = again {
        let metadata = status.metadata_mut();
        metadata.insert("windlass-status", MetadataValue::from_static(reason));
        // Whole seconds, as HTTP has it, and never less than was said.
        let seconds = retry_after.as_millis().div_ceil(1000).clamp(1, 3600) as u32;
        metadata.insert("retry-after", seconds.into());
    }
    status
}

/// Of a request that could not be understood.
pub(crate) fn invalid(problem: impl std::fmt::Display) -> Refused {
    Refused::Unfit(problem.to_string())
}

fn bounded(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
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
