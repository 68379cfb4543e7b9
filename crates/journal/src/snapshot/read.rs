//! Reading a snapshot: nothing is handed on before its checksum is proved.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Kept;
use super::format::{self, CHUNK_HEAD, FOOTER_BODY, HEADER, Head, Next};
use crate::log::record::long;

/// The content of a snapshot, checked while it is read.
///
/// An error names the file and says what to do; what was read before it was sound, but is not the whole.
pub struct SnapshotReader {
    source: Box<dyn Read + Send>,
}

impl SnapshotReader {
    pub(crate) fn new(source: impl Read + Send + 'static) -> Self {
        Self { source: Box::new(source) }
    }
}

impl Read for SnapshotReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.source.read(out)
    }
}

impl fmt::Debug for SnapshotReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotReader")
    }
}

/// Why a snapshot cannot be read on.
#[derive(Debug)]
pub(crate) enum Fault {
    /// What stands at this byte.
    Damaged {
        at: u64,
        found: &'static str,
    },
    Io(io::Error),
}

/// A snapshot found damaged while it was read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the snapshot `{}` is damaged at byte {at}: {found}; nothing was cut or changed. \
     Start again: the node then goes back to the snapshot before this one and the log behind it, \
     or says what it needs; and check the disk",
    path.display()
)]
pub(crate) struct Damaged {
    path: PathBuf,
    at: u64,
    found: &'static str,
}

/// The chunks of a snapshot, one after the other.
pub(crate) struct Chunks<R> {
    source: R,
    pub(crate) head: Head,
    seed: u32,
    /// Where the next chunk begins.
    at: u64,
    number: u64,
    bytes: u64,
    chunk: Vec<u8>,
}

impl<R: Read> Chunks<R> {
    /// Reads the header.
    pub(crate) fn new(mut source: R) -> Result<Self, Fault> {
        let damaged = |found| Fault::Damaged { at: 0, found };
        let mut fixed = [0; HEADER];
        fill(&mut source, &mut fixed, 0)?;
        let mut membership = vec![0; Head::membership_len(&fixed).map_err(damaged)?];
        fill(&mut source, &mut membership, 0)?;
        let at = (HEADER + membership.len()) as u64;
        let (head, seed) = Head::decode(&fixed, membership).map_err(damaged)?;
        Ok(Self { source, head, seed, at, number: 0, bytes: 0, chunk: Vec::new() })
    }

    /// The next chunk; `None` once all were read and the footer has confirmed it.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Fault> {
        let at = self.at;
        let damaged = |found| Fault::Damaged { at, found };
        let mut head = [0; CHUNK_HEAD];
        fill(&mut self.source, &mut head, at)?;
        let next = Next::decode(&head, self.number).map_err(damaged)?;
        let len = match next {
            Next::Chunk { len } => len,
            Next::Footer => FOOTER_BODY,
        };
        self.chunk.resize(len, 0);
        fill(&mut self.source, &mut self.chunk, at)?;
        if !format::proves(&head, &self.chunk, self.seed) {
            return Err(damaged("a chunk whose checksum does not fit"));
        }
        if next == Next::Footer {
            if long(&self.chunk, 0) != self.bytes {
                return Err(damaged("a footer that counts other bytes"));
            }
            if self.source.read(&mut [0]).map_err(Fault::Io)? != 0 {
                return Err(damaged("more bytes behind the footer"));
            }
            return Ok(None);
        }
        self.at += (CHUNK_HEAD + len) as u64;
        self.number += 1;
        self.bytes += len as u64;
        Ok(Some(&self.chunk))
    }

    /// Reads all of it.
    pub(crate) fn verify(&mut self) -> Result<(), Fault> {
        while self.next()?.is_some() {}
        Ok(())
    }
}

/// Checks that the file is a whole snapshot, from its beginning on. Blocks.
pub(crate) fn verify(mut file: File) -> io::Result<File> {
    file.rewind()?;
    let checked = Chunks::new(&mut file).and_then(|mut chunks| chunks.verify());
    checked.map_err(|fault| fault.into_io(Path::new("(received)")))?;
    file.rewind()?;
    Ok(file)
}

/// A snapshot file, as a stream of what was written into it.
pub(crate) struct Content {
    path: PathBuf,
    chunks: Chunks<File>,
    /// How much of the chunk at hand is read.
    taken: usize,
    ended: bool,
    /// Something is wrong with it; what follows in the file is not asked for.
    broken: bool,
    /// Keeps the file from being shortened while it is read.
    _kept: Option<Arc<Kept>>,
}

impl Content {
    /// Opens the file and reads its header.
    pub(crate) fn open(path: &Path, kept: Option<Arc<Kept>>) -> io::Result<Self> {
        Self::of(File::open(path)?, path, kept)
    }

    /// The same with a file that is open already; `path` is what messages call it.
    pub(crate) fn of(file: File, path: &Path, kept: Option<Arc<Kept>>) -> io::Result<Self> {
        let chunks = Chunks::new(file).map_err(|fault| fault.into_io(path))?;
        Ok(Self {
            path: path.to_owned(),
            chunks,
            taken: 0,
            ended: false,
            broken: false,
            _kept: kept,
        })
    }

    pub(crate) fn head(&self) -> &Head {
        &self.chunks.head
    }
}

impl Read for Content {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.broken {
            let text = format!("the snapshot `{}` could not be read before", self.path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if self.taken == self.chunks.chunk.len() && !self.ended && !out.is_empty() {
            self.taken = 0;
            match self.chunks.next() {
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.ended = true;
                    self.chunks.chunk.clear();
                }
                Err(fault) => {
                    self.broken = true;
                    return Err(fault.into_io(&self.path));
                }
            }
        }
        let rest = &self.chunks.chunk[self.taken..];
        let len = rest.len().min(out.len());
        out[..len].copy_from_slice(&rest[..len]);
        self.taken += len;
        Ok(len)
    }
}

impl Fault {
    pub(crate) fn into_io(self, path: &Path) -> io::Error {
        match self {
            Self::Damaged { at, found } => {
                let damaged = Damaged { path: path.to_owned(), at, found };
                io::Error::new(io::ErrorKind::InvalidData, damaged)
            }
            Self::Io(error) => {
                let text = format!("cannot read the snapshot `{}`: {error}", path.display());
                io::Error::new(error.kind(), text)
            }
        }
    }
}

/// Fills `out` with what begins in the part at `at`.
fn fill(source: &mut impl Read, out: &mut [u8], at: u64) -> Result<(), Fault> {
    source.read_exact(out).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Fault::Damaged { at, found: "the file ends inside this part of it" }
        }
        _ => Fault::Io(error),
    })
}
