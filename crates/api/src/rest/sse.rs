//! Where a reader of output was, as the id of an event: so that one who was cut off goes on there.
//!
//! Output has no order of its own that two readings would share: attempts that write at one time
//! are merged as they are found. So the id says how much of each stream of each attempt was sent.
//! A reading from there begins at the first byte and leaves out what was sent, which is exact. Of
//! more than [`STREAMS_MAX`] streams an id would outgrow what it is for; then events have none.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proto::api::OutputChunk;
use serde::Serialize;
use utoipa::ToSchema;

/// Streams whose positions one id tells.
const STREAMS_MAX: usize = 100;

/// A Server-Sent Event, for the description; comments between them keep the connection.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ServerSentEvent {
    /// What it is: `output`, `change`, `end` or `error`.
    #[schema(example = "output")]
    pub event: Option<String>,
    /// Its JSON: an `Output`, an `Event`, or a `Problem`.
    pub data: Option<String>,
    /// What to send as `Last-Event-ID` to go on behind it.
    pub id: Option<String>,
}

/// A stream of an attempt: task, index, attempt, stream.
type Stream = (u32, u32, u32, u32);

/// How much of each stream was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Positions(BTreeMap<Stream, u64>);

impl Positions {
    /// Reads an id that was given out.
    pub(super) fn parse(id: &str) -> Option<Positions> {
        let bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
        let text = std::str::from_utf8(&bytes).ok()?.strip_prefix('o')?;
        let mut positions = BTreeMap::new();
        for part in text.split(';') {
            let mut numbers = part.split('.').map(str::parse::<u64>);
            let mut number = || numbers.next()?.ok();
            let mut small = || u32::try_from(number()?).ok();
            let stream = (small()?, small()?, small()?, small()?);
            positions.insert(stream, number()?);
            if positions.len() > STREAMS_MAX {
                return None;
            }
        }
        Some(Positions(positions))
    }

    /// The id of what was sent last; `None` where there are too many streams.
    pub(super) fn id(&self) -> Option<String> {
        if self.0.len() > STREAMS_MAX {
            return None;
        }
        let part = |((task, index, attempt, stream), sent): (&Stream, &u64)| {
            format!("{task}.{index}.{attempt}.{stream}.{sent}")
        };
        let parts: Vec<_> = self.0.iter().map(part).collect();
        Some(URL_SAFE_NO_PAD.encode(format!("o{}", parts.join(";"))))
    }

    /// Leaves out of a chunk what was sent before; `None` where that is all of it.
    pub(super) fn take(&mut self, mut chunk: OutputChunk) -> Option<OutputChunk> {
        let stream = (chunk.task, chunk.index, chunk.attempt, chunk.stream);
        let sent = self.0.get(&stream).copied().unwrap_or(0);
        let end = chunk.offset + chunk.data.len() as u64;
        if end <= sent {
            return None;
        }
        if chunk.offset < sent {
            chunk.data.drain(..(sent - chunk.offset) as usize);
            chunk.offset = sent;
        }
        // Behind the most there is no id to be made, so there is nothing to remember either.
        if self.0.len() <= STREAMS_MAX || self.0.contains_key(&stream) {
            self.0.insert(stream, end);
        }
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(index: u32, offset: u64, data: &str) -> OutputChunk {
        OutputChunk {
            index,
            attempt: 1,
            stream: 1,
            offset,
            data: data.into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_reader_that_was_cut_off_misses_nothing_and_sees_nothing_twice() {
        let mut before = Positions::default();
        assert!(before.take(chunk(1, 0, "abc")).is_some());
        assert!(before.take(chunk(2, 0, "x")).is_some());
        let mut after = Positions::parse(&before.id().unwrap()).unwrap();
        assert_eq!(after, before);
        assert_eq!(after.take(chunk(2, 0, "x")), None);
        let rest = after.take(chunk(1, 0, "abcde")).unwrap();
        assert_eq!((rest.offset, rest.data.as_slice()), (3, &b"de"[..]));
        assert!(after.take(chunk(3, 0, "new")).is_some());
    }

    #[test]
    fn of_too_many_streams_there_is_no_id() {
        let mut positions = Positions::default();
        for index in 0..=STREAMS_MAX as u32 {
            assert!(positions.id().is_some());
            positions.take(chunk(index, 0, "x"));
        }
        assert_eq!(positions.id(), None);
        for bad in ["", "x", "bzE", "!"] {
            assert_eq!(Positions::parse(bad), None, "{bad}");
        }
    }
}
