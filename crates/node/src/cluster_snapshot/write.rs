//! From a view of the state, and the lists beside it, to the bytes of a snapshot.

use std::collections::BTreeMap;
use std::io::Read;

use machine::State;
use model::{Items, ItemsKind};

use super::format::{self, Kind, MAGIC, PART_MAX};
use super::{End, Head};
use crate::blobs::{Fault, hex};

/// The snapshot goes no further: whoever takes it is gone, or a list broke off.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// Takes bytes, in pieces of any size.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Vec<u8>) -> Result<(), Broken>;

/// Opens a list that was found to be what its hash says.
pub(crate) type Lists<'a> = &'a dyn Fn(Items) -> Result<Box<dyn Read>, Fault>;

/// Writes a snapshot. Blocks.
pub(crate) fn write(
    head: &Head,
    state: &State,
    lists: Lists<'_>,
    sink: Sink<'_>,
) -> Result<(), Broken> {
    sink(MAGIC.to_vec())?;
    let mut parts = Parts { sink, number: 0, seed: 0 };
    parts.seed = parts.put(Kind::Head, &serde_json::to_vec(head).expect("a head is plain data"))?;
    for piece in machine::snapshot::encode(state) {
        for piece in piece.chunks(PART_MAX) {
            parts.put(Kind::State, piece)?;
        }
    }
    let mut end = End::default();
    for (blob, kind) in named(state) {
        match parts.list(lists, Items { blob, kind })? {
            Ok(()) => end.lists += 1,
            Err(fault) => {
                let list = hex(&blob);
                tracing::error!(%list, %fault, "a list of items that a run names is not in the snapshot");
                end.missing.push(list);
            }
        }
    }
    parts.put(Kind::End, &serde_json::to_vec(&end).expect("an end is plain data"))?;
    Ok(())
}

/// The lists that runs of this state still need.
pub(super) fn named(state: &State) -> BTreeMap<[u8; 32], ItemsKind> {
    let mut named = BTreeMap::new();
    for (_, run) in state.runs().iter() {
        named.extend(run.spec.tasks.iter().filter_map(|task| task.items).map(|i| (i.blob, i.kind)));
    }
    named
}

struct Parts<'a> {
    sink: Sink<'a>,
    number: u64,
    seed: u32,
}

impl Parts<'_> {
    /// The crc of the part.
    fn put(&mut self, kind: Kind, body: &[u8]) -> Result<u32, Broken> {
        let (bytes, crc) = format::part(kind, self.number, body, self.seed);
        self.number += 1;
        (self.sink)(bytes)?;
        Ok(crc)
    }

    fn list(&mut self, lists: Lists<'_>, items: Items) -> Result<Result<(), Fault>, Broken> {
        let mut bytes = match lists(items) {
            Ok(bytes) => bytes,
            Err(fault) => return Ok(Err(fault)),
        };
        self.put(Kind::List, &items.blob)?;
        let mut piece = vec![0; PART_MAX];
        loop {
            let count = match bytes.read(&mut piece) {
                Ok(0) => return Ok(Ok(())),
                Ok(count) => count,
                Err(error) => {
                    // Half of it is out already: the snapshot is cut off here.
                    tracing::error!(list = %hex(&items.blob), %error, "a list cannot be read on");
                    return Err(Broken);
                }
            };
            self.put(Kind::Bytes, &piece[..count])?;
        }
    }
}
