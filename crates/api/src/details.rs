//! What a status tells programs beside its sentence: the standard details of `google.rpc`.
//!
//! They travel in a header, and callers take 16 KiB of headers. So what does not fit is left out,
//! never the refusal itself.

use std::collections::HashMap;
use std::time::Duration;

use node::Refused;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Bytes of headers that a status may take.
const HEADERS_MAX: usize = 14_000;
/// What a detail takes beside its texts.
const DETAIL_BYTES: usize = 100;

/// A status with its details. `name` is that of the refusal's kind: `key-used`.
pub(crate) fn status(
    code: Code,
    message: String,
    refused: &Refused,
    name: &str,
    retry_after_s: Option<u32>,
) -> Status {
    let mut details = ErrorDetails::new();
    let mut metadata = HashMap::new();
    match refused {
        Refused::TooOld { oldest } => _ = metadata.insert("oldest".to_owned(), oldest.to_string()),
        Refused::KeyUsed { run } => {
            metadata.insert("run".to_owned(), run.to_string());
            let what = "the idempotency key made it";
            details.set_resource_info("windlass.v1.Run", run.to_string(), "", what);
        }
        Refused::Invalid(faults) => {
            let mut left = room(&message);
            for fault in faults {
                let bytes = fault.field.len() + fault.problem.len() + DETAIL_BYTES;
                let Some(rest) = left.checked_sub(bytes) else { break };
                left = rest;
                details.add_bad_request_violation(&fault.field, &fault.problem);
            }
        }
        _ => {}
    }
    details.set_error_info(name.to_uppercase().replace('-', "_"), "windlass", metadata);
    if let Some(seconds) = retry_after_s {
        details.set_retry_info(Some(Duration::from_secs(seconds.into())));
    }
    Status::with_error_details_and_metadata(code, message, details, MetadataMap::new())
}

/// What is left for details beside the message, which stands in them once more: as it is in a
/// header of its own with each odd character as three, and here with four for three.
fn room(message: &str) -> usize {
    let escaped: usize =
        message.bytes().map(|byte| if byte.is_ascii_alphanumeric() { 1 } else { 3 }).sum();
    let room = HEADERS_MAX.saturating_sub(escaped) * 3 / 4;
    room.saturating_sub(message.len() + 4 * DETAIL_BYTES)
}

#[cfg(test)]
mod tests {
    use model::job::Fault;

    use super::*;
    use crate::refusal;

    fn fault(at: usize) -> Fault {
        let problem = "must be an absolute path without anything else in it".to_owned();
        Fault { field: format!("tasks[{at}].cwd"), problem }
    }

    #[test]
    fn programs_are_told_which_fault_is_where() {
        let faults = vec![fault(0), fault(1)];
        let status = refusal::status(&Refused::Invalid(faults));
        let details = status.get_error_details();
        let told = &details.bad_request().unwrap().field_violations;
        assert_eq!((told.len(), told[1].field.as_str()), (2, "tasks[1].cwd"));
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_JOB", "windlass"));
    }

    #[test]
    fn programs_are_told_what_to_go_on_with() {
        let old = refusal::status(&Refused::TooOld { oldest: 7 });
        let info = old.get_error_details().error_info().unwrap().clone();
        assert_eq!((info.reason.as_str(), info.metadata["oldest"].as_str()), ("TOO_OLD", "7"));
        let retry_after = Duration::from_millis(1_200);
        let full = refusal::status(&Refused::Overloaded { why: "x".into(), retry_after });
        let retry = full.get_error_details().retry_info().unwrap().retry_delay;
        assert_eq!(retry, Some(Duration::from_secs(2)));
        let used = refusal::status(&Refused::KeyUsed { run: model::RunId(7) });
        assert_eq!(used.get_error_details().resource_info().unwrap().resource_name, "7");
    }

    #[test]
    fn a_refusal_always_fits_its_headers() {
        for count in [0, 1, 10, 100, 10_000] {
            let status = refusal::status(&Refused::Invalid((0..count).map(fault).collect()));
            let details = status.details().len().div_ceil(3) * 4;
            let odd = |byte: u8| if byte.is_ascii_alphanumeric() { 1 } else { 3 };
            let message: usize = status.message().bytes().map(odd).sum();
            assert!(details + message < 16_000, "{count}: {details} + {message}");
        }
        let long = refusal::status(&Refused::NotFound("ä".repeat(9_000)));
        assert!(long.details().len() * 4 / 3 + long.message().len() * 3 < 16_000);
    }
}
