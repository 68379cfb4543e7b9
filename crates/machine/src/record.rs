//! Batches as bytes: what the journal carries.

use prost::Message;
use proto::record::Batch;

/// The level this binary can apply: one more with every new command or field.
pub const LEVEL: u32 = 5;

/// Why bytes are no batch that this binary can apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They are no batch at all.
    #[error("the record at journal index {index} is no batch: {why}")]
    Malformed {
        /// Where.
        index: u64,
        /// What the decoder says.
        why: String,
    },
    /// A newer binary made it.
    #[error(
        "the batch at journal index {index} needs level {level}, this binary knows {LEVEL}; start the newer version that wrote it"
    )]
    TooNew {
        /// Where.
        index: u64,
        /// What it needs.
        level: u32,
    },
}

/// The bytes of a batch.
pub fn encode(batch: &Batch) -> Vec<u8> {
    batch.encode_to_vec()
}

/// The batch of `record`, found at `index`.
pub fn decode(index: u64, record: &[u8]) -> Result<Batch, DecodeError> {
    let malformed = |why: String| DecodeError::Malformed { index, why };
    let batch = Batch::decode(record).map_err(|error| malformed(error.to_string()))?;
    let Some(header) = &batch.header else { return Err(malformed("it has no header".to_owned())) };
    if header.level > LEVEL {
        return Err(DecodeError::TooNew { index, level: header.level });
    }
    Ok(batch)
}
