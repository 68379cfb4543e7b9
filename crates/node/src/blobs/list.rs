//! A list that is kept: where its items lie, so that any of them is read at little cost.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use model::ItemsKind;
use model::job::limits::ELEMENTS_MAX;
use sha2::{Digest, Sha256};

use super::Fault;
use super::split::{Problem, Splitter};

/// Of so many items the first one's place is remembered: 10 million items cost 1.2 MiB.
const STRIDE: u32 = 64;
/// Bytes read at once.
const PIECE_BYTES: usize = 64 << 10;

/// Finds the items of a list as its bytes come in, and its hash.
pub(super) struct Indexer {
    kind: ItemsKind,
    hash: Sha256,
    splitter: Splitter,
    starts: Vec<u64>,
    count: u32,
    bytes: u64,
}

/// What was found.
pub(super) struct Index {
    pub(super) hash: [u8; 32],
    kind: ItemsKind,
    starts: Vec<u64>,
    pub(super) count: u32,
    pub(super) bytes: u64,
}

impl Indexer {
    pub(super) fn new(kind: ItemsKind) -> Indexer {
        Indexer {
            kind,
            hash: Sha256::new(),
            splitter: Splitter::new(kind),
            starts: Vec::new(),
            count: 0,
            bytes: 0,
        }
    }

    /// How many bytes came in.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        while self.splitter.take(&mut bytes).map_err(|problem| self.fault(problem))? {
            self.item()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Index, Fault> {
        if self.splitter.finish().map_err(|problem| self.fault(problem))? {
            self.item()?;
        }
        let Indexer { kind, hash, starts, count, bytes, .. } = self;
        Ok(Index { hash: hash.finalize().into(), kind, starts, count, bytes })
    }

    fn item(&mut self) -> Result<(), Fault> {
        self.splitter.text().map_err(|problem| self.fault(problem))?;
        if self.count.is_multiple_of(STRIDE) {
            self.starts.push(self.splitter.start());
        }
        self.count += 1;
        match self.count {
            ..=ELEMENTS_MAX => Ok(()),
            _ => Err(Fault::Unfit(format!("it has more than {ELEMENTS_MAX} items"))),
        }
    }

    fn fault(&self, problem: Problem) -> Fault {
        Fault::Unfit(match problem {
            Problem::NoList(_) => format!("{problem}, behind {} items", self.count),
            _ => format!("item {} {problem}", u64::from(self.count) + 1),
        })
    }
}

/// A list whose bytes are as they were given.
pub(crate) struct List {
    file: File,
    index: Index,
}

impl List {
    /// Reads all of a list once.
    pub(super) fn open(mut file: File, kind: ItemsKind) -> Result<List, Fault> {
        let mut indexer = Indexer::new(kind);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => indexer.take(&piece[..length])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::io("read", error)),
            }
        }
        Ok(List::new(file, indexer.finish()?))
    }

    pub(super) fn new(file: File, index: Index) -> List {
        List { file, index }
    }

    pub(super) fn hash(&self) -> &[u8; 32] {
        &self.index.hash
    }

    /// How many items it has.
    pub(super) fn count(&self) -> u32 {
        self.index.count
    }

    /// The items of these numbers, counted from 1, in the order asked for. Runs of numbers are read
    /// at once.
    pub(crate) fn texts(&self, numbers: &[u32]) -> Result<Vec<String>, Fault> {
        let mut texts = Vec::with_capacity(numbers.len());
        let mut cursor: Option<Cursor<'_>> = None;
        for number in numbers {
            let ordinal = number.checked_sub(1).filter(|ordinal| *ordinal < self.index.count);
            let ordinal =
                ordinal.ok_or_else(|| Fault::Unfit(format!("it has no item {number}")))?;
            let near = |cursor: &Cursor<'_>| {
                (cursor.next..cursor.next.saturating_add(STRIDE)).contains(&ordinal)
            };
            let mut reader = match cursor.take().filter(near) {
                Some(cursor) => cursor,
                None => Cursor::new(self, ordinal / STRIDE),
            };
            texts.push(reader.text(ordinal)?);
            cursor = Some(reader);
        }
        Ok(texts)
    }
}

/// Reads items one after the other.
struct Cursor<'a> {
    list: &'a List,
    splitter: Splitter,
    /// The item that comes next.
    next: u32,
    piece: Vec<u8>,
    /// How much of `piece` was taken, and where the next one lies.
    taken: usize,
    at: u64,
}

impl<'a> Cursor<'a> {
    fn new(list: &'a List, stride: u32) -> Cursor<'a> {
        let at = list.index.starts[stride as usize];
        let splitter = Splitter::at(list.index.kind, at);
        Cursor { list, splitter, next: stride * STRIDE, piece: Vec::new(), taken: 0, at }
    }

    fn text(&mut self, ordinal: u32) -> Result<String, Fault> {
        let damaged = |_| Fault::Changed;
        loop {
            let mut rest = &self.piece[self.taken..];
            let mut whole = self.splitter.take(&mut rest).map_err(damaged)?;
            self.taken = self.piece.len() - rest.len();
            if !whole && !self.more()? {
                whole = self.splitter.finish().map_err(damaged)?;
                if !whole {
                    return Err(Fault::Changed);
                }
            }
            if whole {
                self.next += 1;
                if self.next > ordinal {
                    return self.splitter.text().map_err(damaged);
                }
            }
        }
    }

    /// Reads the next piece; says whether there is one.
    fn more(&mut self) -> Result<bool, Fault> {
        self.taken = 0;
        self.piece.resize(PIECE_BYTES, 0);
        let length = loop {
            match self.list.file.read_at(&mut self.piece, self.at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| Fault::io("read", error))?,
            }
        };
        self.piece.truncate(length);
        self.at += length as u64;
        Ok(length > 0)
    }
}
