//! Output on its way from a node to a caller.

use std::collections::BTreeMap;

use model::Attempt;
use node::{Chunk, Logs, Refused, Streams};
use proto::api::OutputChunk;
use proto::api::logs_request::Streams as Wanted;
use tonic::Status;

use crate::refusal::{invalid, status};
use crate::streams::Recipient;

/// Which streams a caller wants.
pub(crate) fn streams(wanted: i32) -> Result<Streams, Refused> {
    match Wanted::try_from(wanted) {
        Ok(Wanted::Both) => Ok(Streams::Both),
        Ok(Wanted::Stdout) => Ok(Streams::Stdout),
        Ok(Wanted::Stderr) => Ok(Streams::Stderr),
        Err(_) => Err(invalid(format!("streams: {wanted} is none of BOTH, STDOUT, STDERR"))),
    }
}

/// Sends all of `logs`, each chunk as the message that `wrap` makes of it.
pub(crate) async fn forward<T>(
    mut logs: Logs,
    recipient: Recipient<T>,
    wrap: impl Fn(OutputChunk) -> T + Send,
) -> Result<(), Status> {
    let mut offsets = Offsets::default();
    while let Some(chunk) = logs.next().await {
        let chunk = chunk.map_err(|refused| status(&refused))?;
        let chunk = offsets.message(&logs, chunk);
        recipient.send(wrap(chunk)).await?;
    }
    Ok(())
}

/// How much of each stream was sent in this call.
#[derive(Default)]
pub(crate) struct Offsets(BTreeMap<(Attempt, u8), u64>);

impl Offsets {
    /// The message for the next chunk of `logs`.
    pub(crate) fn message(&mut self, logs: &Logs, chunk: Chunk) -> OutputChunk {
        let element = chunk.attempt.element;
        OutputChunk {
            task: element.task,
            task_name: logs.task_name(element.task).to_owned(),
            index: element.index,
            attempt: chunk.attempt.number,
            stream: u32::from(chunk.stream),
            time_us: chunk.time_us,
            offset: self.advance(&chunk),
            data: chunk.data,
            many: logs.is_many(),
        }
    }

    /// Where the chunk starts.
    fn advance(&mut self, chunk: &Chunk) -> u64 {
        let sent = self.0.entry((chunk.attempt, chunk.stream)).or_default();
        let offset = *sent;
        *sent += chunk.data.len() as u64;
        offset
    }
}

#[cfg(test)]
mod tests {
    use model::{Element, RunId};

    use super::*;

    #[test]
    fn each_stream_of_each_attempt_counts_for_itself() {
        let mut offsets = Offsets::default();
        let mut check = |number, stream, data: &str, offset| {
            let attempt = Attempt { element: Element { run: RunId(1), task: 0, index: 0 }, number };
            let chunk = Chunk { attempt, stream, time_us: 0, data: data.into() };
            assert_eq!(offsets.advance(&chunk), offset, "{number} {stream} {data}");
        };
        check(1, 1, "abc", 0);
        check(1, 2, "x", 0);
        check(1, 1, "d", 3);
        check(2, 1, "e", 0);
        check(1, 1, "f", 4);
    }

    #[test]
    fn an_unknown_stream_is_refused() {
        assert!(streams(3).is_err_and(|refused| refused.to_string().contains("BOTH")));
    }
}
