//! Runs that were deleted and may still lie in parts: nobody sees them, and merges leave them out.
//!
//! A log beside the parts, so that what was deleted stays so after a crash. Where it is damaged,
//! runs come back, and go again as they did before. There are never more ranges than runs that are
//! kept, and one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::block::{self, HEADER_BYTES, Key, Kind, Meta};
use crate::bytes::{In, Out};
use crate::cover::Ranges;
use crate::fact::States;

pub(crate) const NAME: &str = "gone.log";
const INTERIM: &str = "gone.tmp";
/// The log is written anew once it is so much larger than what it says.
const WASTE_BYTES: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Gone {
    dir: PathBuf,
    pub(crate) runs: Ranges,
    /// The log, once something is added.
    log: Option<File>,
    bytes: u64,
}

impl Gone {
    pub(crate) fn open(dir: &Path) -> io::Result<Gone> {
        let bytes = match fs::read(dir.join(NAME)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut gone = Gone { dir: dir.to_owned(), runs: Ranges::default(), log: None, bytes: 0 };
        let mut rest = &bytes[..];
        while let Some((runs, length)) = first_record(rest) {
            gone.runs.extend(&runs);
            rest = &rest[length..];
        }
        gone.bytes = bytes.len() as u64;
        if !rest.is_empty() {
            tracing::warn!(
                dir = %dir.display(),
                "the list of deleted runs is damaged at its end; some may show until they are deleted again"
            );
            gone.rewrite()?;
        }
        Ok(gone)
    }

    /// Adds runs, durably.
    pub(crate) fn add(&mut self, runs: &Ranges) -> io::Result<()> {
        let record = record(runs);
        if self.bytes + record.len() as u64 > WASTE_BYTES + 32 * self.runs.len() as u64 {
            self.runs.extend(runs);
            return self.rewrite();
        }
        if self.log.is_none() {
            let path = self.dir.join(NAME);
            self.log = Some(OpenOptions::new().append(true).create(true).open(path)?);
            File::open(&self.dir)?.sync_all()?;
        }
        let log = self.log.as_mut().expect("it is open by now");
        let written = log.write_all(&record).and_then(|()| log.sync_data());
        if written.is_err() {
            // What a failed write has left would hide what comes after it.
            let _ = log.set_len(self.bytes);
            self.log = None;
            return written;
        }
        self.bytes += record.len() as u64;
        self.runs.extend(runs);
        Ok(())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        self.log = None;
        let interim = self.dir.join(INTERIM);
        let record = record(&self.runs);
        let mut file = File::create(&interim)?;
        file.write_all(&record)?;
        file.sync_all()?;
        fs::rename(&interim, self.dir.join(NAME))?;
        self.bytes = record.len() as u64;
        File::open(&self.dir)?.sync_all()
    }
}

fn record(runs: &Ranges) -> Vec<u8> {
    let mut out = Out::default();
    runs.write(&mut out);
    let keys = (Key::MIN, Key::MIN);
    block::pack(Kind::Gone, out.0, 0, keys, States::default(), 0).1
}

fn first_record(bytes: &[u8]) -> Option<(Ranges, usize)> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let meta = Meta::parse(header, 0).filter(|meta| meta.kind == Kind::Gone)?;
    let payload = rest.get(..meta.stored as usize)?;
    let runs = Ranges::read(&mut In(&meta.unpack(payload)?))?;
    Some((runs, HEADER_BYTES + payload.len()))
}
