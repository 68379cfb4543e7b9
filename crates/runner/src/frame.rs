//! Frames between daemon and supervisor: a little-endian `u32` length, then one message.
//!
//! Pure: bytes in, messages out, so that a blocking supervisor and an asynchronous daemon share
//! it. It must never buffer more than one oversized read above [`FRAME_BYTES_MAX`].

use std::marker::PhantomData;

use prost::Message;

/// The longest message either side sends or takes.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

const HEADER: usize = 4;

/// What came is no frame of this protocol; the connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The announced length is above [`FRAME_BYTES_MAX`].
    #[error("a frame of {0} bytes was announced, at most {FRAME_BYTES_MAX} are taken")]
    TooLong(usize),
    /// The bytes are not the expected message.
    #[error("a frame holds no valid message")]
    Garbled(#[from] prost::DecodeError),
}

/// Appends `message` as a frame.
pub fn encode_into(message: &impl Message, out: &mut Vec<u8>) {
    let length = message.encoded_len();
    debug_assert!(length <= FRAME_BYTES_MAX, "senders keep their messages below the limit");
    out.reserve(HEADER + length);
    out.extend_from_slice(&(length as u32).to_le_bytes());
    message.encode(out).expect("a vector grows as needed");
}

/// `message` as a frame.
pub fn encode(message: &impl Message) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(message, &mut out);
    out
}

/// Takes bytes as they come and gives whole messages.
#[derive(Debug)]
pub struct Decoder<M> {
    bytes: Vec<u8>,
    /// How much of `bytes` has been given out already.
    taken: usize,
    message: PhantomData<fn() -> M>,
}

impl<M> Default for Decoder<M> {
    fn default() -> Self {
        Decoder { bytes: Vec::new(), taken: 0, message: PhantomData }
    }
}

impl<M: Message + Default> Decoder<M> {
    /// A decoder that has seen nothing.
    pub fn new() -> Decoder<M> {
        Decoder::default()
    }

    /// Adds bytes read from the peer. Call [`Decoder::next_message`] until `None` before the next.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, `None` where more bytes are needed.
    pub fn next_message(&mut self) -> Result<Option<M>, FrameError> {
        let rest = &self.bytes[self.taken..];
        let Some((header, rest)) = rest.split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = u32::from_le_bytes(*header) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong(length));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = M::decode(body)?;
        self.taken += HEADER + length;
        if self.taken == self.bytes.len() {
            self.taken = 0;
            self.bytes.clear();
            // A rare large frame must not keep its room for ever.
            self.bytes.shrink_to(64 << 10);
        }
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use proto::supervisor::{Condition, FromSupervisor, from_supervisor::Kind};

    use super::*;

    fn condition(text: &str) -> FromSupervisor {
        FromSupervisor { kind: Some(Kind::Condition(Condition { degraded: text.to_owned() })) }
    }

    #[test]
    fn messages_arrive_whole_however_the_bytes_are_cut() {
        let sent: Vec<_> = ["", "a", &"b".repeat(300)].map(condition).into();
        let bytes: Vec<u8> = sent.iter().flat_map(encode).collect();
        for cut in 1..bytes.len() {
            let mut decoder = Decoder::<FromSupervisor>::new();
            let mut received = Vec::new();
            for piece in bytes.chunks(cut) {
                decoder.push(piece);
                while let Some(message) = decoder.next_message().unwrap() {
                    received.push(message);
                }
            }
            assert_eq!(received, sent, "cut every {cut} bytes");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let mut decoder = Decoder::<FromSupervisor>::new();
        decoder.push(&u32::MAX.to_le_bytes());
        assert!(matches!(decoder.next_message(), Err(FrameError::TooLong(_))));
        let mut decoder = Decoder::<FromSupervisor>::new();
        decoder.push(&[1, 0, 0, 0, 0xff]);
        assert!(matches!(decoder.next_message(), Err(FrameError::Garbled(_))));
    }
}
