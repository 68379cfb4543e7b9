//! From bytes, in pieces of any size, to items.

use prost::Message;
use proto::record::{SnapshotItem, snapshot_item::Kind};

use super::SnapshotError;
use super::rebuild::Rebuild;
use crate::state::State;

/// Bytes of one item at most: a job and its environment are far below.
const ITEM_BYTES_MAX: usize = 64 << 20;
/// Bytes a length takes at most.
const LENGTH_BYTES_MAX: usize = 10;

/// An item's bytes, and what is behind them.
type Split<'a> = (&'a [u8], &'a [u8]);

/// Reads a snapshot piece by piece.
#[derive(Debug, Default)]
pub struct Reader {
    /// What has come and is no whole item yet.
    rest: Vec<u8>,
    items: u64,
    ended: bool,
    rebuild: Rebuild,
}

impl Reader {
    /// A reader of which nothing has come yet.
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), SnapshotError> {
        self.rest.extend_from_slice(piece);
        let rest = std::mem::take(&mut self.rest);
        let mut left = &rest[..];
        while let Some((item, behind)) = self.split(left)? {
            self.take(item)?;
            left = behind;
        }
        self.rest = left.to_vec();
        Ok(())
    }

    /// The state, once everything has come.
    pub fn finish(self) -> Result<State, SnapshotError> {
        if !self.ended || !self.rest.is_empty() {
            return Err(SnapshotError::Cut { item: self.items });
        }
        let items = self.items;
        self.rebuild.finish().map_err(|why| malformed(items, why))
    }

    /// The first whole item, and what is behind it.
    fn split<'a>(&self, bytes: &'a [u8]) -> Result<Option<Split<'a>>, SnapshotError> {
        let mut behind = bytes;
        let length = match prost::decode_length_delimiter(&mut behind) {
            Ok(length) => length,
            Err(_) if bytes.len() < LENGTH_BYTES_MAX => return Ok(None),
            Err(error) => return Err(malformed(self.items, error.to_string())),
        };
        if length > ITEM_BYTES_MAX {
            return Err(malformed(self.items, format!("it claims {length} bytes")));
        }
        Ok(behind.split_at_checked(length))
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let item = self.items;
        let fault = |why: String| malformed(item, why);
        if self.ended {
            return Err(fault("it comes behind the end".to_owned()));
        }
        let kind = SnapshotItem::decode(bytes).map_err(|error| fault(error.to_string()))?.kind;
        match kind {
            Some(Kind::Header(header)) if header.level > crate::LEVEL => {
                return Err(SnapshotError::TooNew { level: header.level });
            }
            Some(Kind::End(end)) if end.items == self.items => self.ended = true,
            Some(kind) => self.rebuild.take(kind, item == 0).map_err(fault)?,
            None => return Err(fault("nobody knows its kind".to_owned())),
        }
        self.items += 1;
        Ok(())
    }
}

fn malformed(item: u64, why: String) -> SnapshotError {
    SnapshotError::Malformed { item, why }
}
