//! The one table from what a node refuses to the status a caller sees.

use node::Refused;
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
        Refused::NotFound(_) => (Code::NotFound, Some("`windlass ps --all` lists all runs")),
        Refused::KeyUsed { .. } => {
            (Code::AlreadyExists, Some("give this job a key of its own, or leave the key out"))
        }
        Refused::Overloaded(_) => (Code::ResourceExhausted, None),
        Refused::Unavailable(_) | Refused::OutcomeUnknown => (Code::Unavailable, None),
        Refused::Failed(_) => (Code::Internal, Some("the node's log may tell more")),
    };
    let message = match hint {
        Some(hint) => format!("{}\nhint: {hint}", bounded(refused.to_string())),
        None => bounded(refused.to_string()),
    };
    Status::new(code, message)
}

/// The status for a request that could not be understood.
pub(crate) fn invalid(problem: impl std::fmt::Display) -> Status {
    Status::invalid_argument(bounded(problem.to_string()))
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
    fn what_a_caller_wrote_is_quoted_only_so_far() {
        for status in [status(&Refused::NotFound("ä".repeat(9_000))), invalid("ä".repeat(9_000))]
        {
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
