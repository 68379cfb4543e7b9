//! From the bytes of a snapshot to what is in it, with every doubt told.

use std::io::{self, Read};

use machine::State;
use machine::snapshot::SnapshotError;
use model::ItemsKind;
use sha2::{Digest, Sha256};

use super::format::{Kind, MAGIC, PART_HEAD, PartHead};
use super::write::named;
use super::{End, Fault, Head};
use crate::blobs::hex;

/// What a snapshot was found to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Of what it is.
    pub head: Head,
    /// Runs that had not ended.
    pub runs: u64,
    /// Nodes.
    pub nodes: u64,
    /// Tokens that let people and programs in.
    pub tokens: u64,
    /// Lists of items.
    pub lists: u64,
    /// The hashes of lists that runs name and that are not in it.
    pub lists_missing: Vec<String>,
    /// Its bytes.
    pub bytes: u64,
}

/// Takes the lists of a snapshot, one after the other.
pub(crate) trait Lists {
    /// A list of this kind comes.
    fn begin(&mut self, kind: ItemsKind) -> io::Result<()>;
    /// Its next bytes.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// It is whole, and what its hash says.
    fn end(&mut self) -> io::Result<()>;
}

/// Reads all of a snapshot and says what is in it. Blocks.
pub fn check(source: impl Read) -> Result<Checked, Fault> {
    struct Nowhere;
    impl Lists for Nowhere {
        fn begin(&mut self, _: ItemsKind) -> io::Result<()> {
            Ok(())
        }
        fn take(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
        fn end(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    Ok(read(source, &mut Nowhere)?.0)
}

/// Reads all of a snapshot. Blocks. What `lists` was given before an error is not to be used.
pub(crate) fn read(source: impl Read, lists: &mut dyn Lists) -> Result<(Checked, State), Fault> {
    let mut parts = Parts::open(source)?;
    let head = head(&mut parts)?;
    let mut reader = machine::snapshot::Reader::new();
    let mut next = parts.next()?;
    while let (Kind::State, body) = &next {
        reader.push(body).map_err(|error| parts.fault(&head, error))?;
        next = parts.next()?;
    }
    let state = reader.finish().map_err(|error| parts.fault(&head, error))?;
    let cluster = state.cluster();
    let same = cluster.is_some_and(|cluster| {
        (cluster.id.0, cluster.incarnation) == (head.cluster_id, head.incarnation)
    });
    if !same || state.applied() != head.index {
        return Err(parts.damaged("its head is that of another state"));
    }
    let mut named = named(&state);
    let mut count = 0;
    while next.0 == Kind::List {
        let blob: [u8; 32] = next.1[..].try_into().map_err(|_| parts.damaged("no hash"))?;
        let kind = named.remove(&blob).ok_or_else(|| parts.damaged("a list nobody names"))?;
        lists.begin(kind)?;
        let mut hash = Sha256::new();
        next = parts.next()?;
        while let (Kind::Bytes, body) = &next {
            hash.update(body);
            lists.take(body)?;
            next = parts.next()?;
        }
        if <[u8; 32]>::from(hash.finalize()) != blob {
            return Err(parts.damaged("a list that is not what its hash says"));
        }
        lists.end()?;
        count += 1;
    }
    let (Kind::End, body) = next else { return Err(parts.damaged("a part out of its order")) };
    let end: End =
        serde_json::from_slice(&body).map_err(|error| parts.damaged(&error.to_string()))?;
    parts.nothing_behind()?;
    let missing: Vec<String> = named.keys().map(|blob| hex(blob)).collect();
    if end.lists != count || end.missing != missing {
        return Err(parts.damaged("lists are missing"));
    }
    let checked = Checked {
        head,
        runs: state.runs().len() as u64,
        nodes: state.nodes().len() as u64,
        tokens: state.tokens().len() as u64,
        lists: count,
        lists_missing: missing,
        bytes: parts.at,
    };
    Ok((checked, state))
}

fn head(parts: &mut Parts<impl Read>) -> Result<Head, Fault> {
    let (Kind::Head, body) = parts.next()? else {
        return Err(parts.damaged("its first part is no head"));
    };
    let head: Head = serde_json::from_slice(&body).map_err(|error| Fault::Other {
        found: format!("its head does not say what it is: {error}"),
    })?;
    if head.level > machine::LEVEL {
        return Err(Fault::TooNew { version: head.version, level: head.level });
    }
    parts.seed = parts.last_crc;
    Ok(head)
}

struct Parts<R> {
    source: R,
    /// Where the next part begins, and its number.
    at: u64,
    number: u64,
    seed: u32,
    last_crc: u32,
}

impl<R: Read> Parts<R> {
    fn open(mut source: R) -> Result<Parts<R>, Fault> {
        let mut magic = [0; MAGIC.len()];
        let got = fill(&mut source, &mut magic)?;
        if &magic == MAGIC {
            return Ok(Parts { source, at: magic.len() as u64, number: 0, seed: 0, last_crc: 0 });
        }
        let found = match (got, magic[..6] == MAGIC[..6]) {
            (0, _) => "it is empty".to_owned(),
            (8, true) => "its form is one of another version".to_owned(),
            _ => "it begins with other bytes".to_owned(),
        };
        Err(Fault::Other { found })
    }

    /// The next part, proved.
    fn next(&mut self) -> Result<(Kind, Vec<u8>), Fault> {
        let mut fixed = [0; PART_HEAD];
        let got = fill(&mut self.source, &mut fixed)?;
        if got < PART_HEAD {
            return Err(Fault::Cut { at: self.at + got as u64 });
        }
        let head = PartHead::decode(&fixed, self.number).map_err(|found| self.damaged(found))?;
        let mut body = vec![0; head.length];
        let got = fill(&mut self.source, &mut body)?;
        let crc = match head.proves(&fixed, &body, self.seed) {
            Some(crc) if got == head.length => crc,
            _ if got < head.length => {
                return Err(Fault::Cut { at: self.at + (PART_HEAD + got) as u64 });
            }
            _ => return Err(self.damaged("a part whose checksum does not fit")),
        };
        self.at += (PART_HEAD + head.length) as u64;
        self.number += 1;
        self.last_crc = crc;
        Ok((head.kind, body))
    }

    fn nothing_behind(&mut self) -> Result<(), Fault> {
        match fill(&mut self.source, &mut [0])? {
            0 => Ok(()),
            _ => Err(self.damaged("more bytes behind its end")),
        }
    }

    fn damaged(&self, found: &str) -> Fault {
        Fault::Damaged { at: self.at, found: found.to_owned() }
    }

    fn fault(&self, head: &Head, error: SnapshotError) -> Fault {
        match error {
            SnapshotError::TooNew { level } => {
                Fault::TooNew { version: head.version.clone(), level }
            }
            other => self.damaged(&other.to_string()),
        }
    }
}

/// Fills `out` as far as there is something; how far.
fn fill(source: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < out.len() {
        match source.read(&mut out[got..]) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
