//! One file of tails: its name, and how it is written.
//!
//! ```text
//! NNNNNNNN.tails               it is written, or its writer has ended
//! NNNNNNNN-FIRST-LAST.tails    nothing is added any more; its runs are from FIRST to LAST
//! ```
//!
//! A file is never continued by another process, so a torn end stays where it is.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use model::RunId;
use prost::Message as _;
use proto::session::Tail;

use super::TAIL_BYTES_MAX;
use super::format::{self, HEADER, Header};

/// What tasks write is for nobody else on the machine.
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIR: u32 = 0o700;

/// The name of a file of tails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) number: u32,
    /// The runs in it, once nothing is added any more.
    runs: Option<RangeInclusive<u64>>,
}

impl Name {
    fn parse(text: &str) -> Option<Name> {
        let mut parts = text.strip_suffix(".tails")?.split('-');
        let number = parts.next()?.parse().ok()?;
        let runs = match parts.next() {
            None => None,
            Some(first) => Some(first.parse().ok()?..=parts.next()?.parse().ok()?),
        };
        let name = Name { number, runs };
        (name.to_string() == text).then_some(name)
    }

    /// Whether there may be tails of this run in it.
    pub(super) fn may_have(&self, run: RunId) -> bool {
        self.runs.as_ref().is_none_or(|runs| runs.contains(&run.0))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.runs {
            None => write!(f, "{:08}.tails", self.number),
            Some(runs) => write!(f, "{:08}-{}-{}.tails", self.number, runs.start(), runs.end()),
        }
    }
}

/// The names in a directory, which need not be there.
pub(super) fn names(dir: &Path) -> impl Iterator<Item = Name> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| Name::parse(entry.file_name().to_str()?))
}

/// The tail at this place, if it is whole.
pub(super) fn read(path: &Path, offset: u64) -> Option<Tail> {
    let file = File::open(path).ok()?;
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, offset).ok()?;
    let header = Header::decode(&header)?;
    let length = header.length as usize;
    let mut payload = vec![0; if length <= TAIL_BYTES_MAX { length } else { return None }];
    file.read_exact_at(&mut payload, offset + HEADER as u64).ok()?;
    header.fits(&payload).then(|| Tail::decode(&*payload).ok()).flatten()
}

/// The file that is written.
#[derive(Debug)]
pub(super) struct Segment {
    name: Name,
    file: File,
    bytes: u64,
    runs: Option<RangeInclusive<u64>>,
}

impl Segment {
    /// Begins the next file. What a former process wrote last gets its last name.
    pub(super) fn begin(dir: &Path) -> io::Result<Segment> {
        DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(dir)?;
        let all: Vec<Name> = names(dir).collect();
        for name in all.iter().filter(|name| name.runs.is_none()) {
            let bytes = fs::read(dir.join(name.to_string()))?;
            let runs = format::headers(&bytes)
                .fold(None, |runs, (_, header)| Some(with(runs, header.attempt.element.run)));
            seal(dir, name, runs)?;
        }
        let number = all.iter().map(|name| name.number).max().unwrap_or(0).saturating_add(1);
        let name = Name { number, runs: None };
        let path = dir.join(name.to_string());
        let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(path)?;
        Ok(Segment { name, file, bytes: 0, runs: None })
    }

    pub(super) fn number(&self) -> u32 {
        self.name.number
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn append(&mut self, header: &Header, payload: &[u8]) -> io::Result<()> {
        let mut record = header.encode().to_vec();
        record.extend_from_slice(payload);
        self.file.write_all_at(&record, self.bytes)?;
        self.bytes += record.len() as u64;
        self.runs = Some(with(self.runs.take(), header.attempt.element.run));
        Ok(())
    }

    /// Nothing is added any more.
    pub(super) fn seal(self, dir: &Path) -> io::Result<()> {
        seal(dir, &self.name, self.runs)
    }
}

/// One without a tail goes.
fn seal(dir: &Path, name: &Name, runs: Option<RangeInclusive<u64>>) -> io::Result<()> {
    let path = dir.join(name.to_string());
    match runs {
        None => fs::remove_file(path),
        runs => fs::rename(path, dir.join(Name { number: name.number, runs }.to_string())),
    }
}

fn with(runs: Option<RangeInclusive<u64>>, run: RunId) -> RangeInclusive<u64> {
    match runs {
        None => run.0..=run.0,
        Some(runs) => run.0.min(*runs.start())..=run.0.max(*runs.end()),
    }
}
