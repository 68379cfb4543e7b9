//! Where the output of attempts lies whose supervisor was killed before it wrote their ends.
//!
//! Without an end frame nothing lists what such an attempt wrote. So when the next supervisor is
//! met, what the search through the last segments found is kept in a small file for each, before
//! newer segments push the old ones out of the search. Like all output the files are not synced,
//! and like all of it they are taken for nothing that their checksum does not say.
//!
//! ```text
//! lost/RUN-TASK-INDEX-ATTEMPT    "windlass lost" 13 | version 1 | crc of the list 4 | list
//! ```

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use model::Attempt;
use prost::Message as _;
use proto::supervisor::Extent;

use super::recover::frames;
use super::{KeepError, ReadError};
use crate::output::extents::Extents;
use crate::output::frame::{FILE_HEADER, FileId, attempt_name, own_dir, own_number};

const LIST_HEADER: [u8; 14] = *b"windlass lost\x01";
/// A list is far shorter; no longer file is one.
const LIST_BYTES_MAX: u64 = 64 << 10;

/// The list itself.
#[derive(Clone, PartialEq, prost::Message)]
struct List {
    #[prost(message, repeated, tag = "1")]
    extents: Vec<Extent>,
}

/// All that is known of an attempt's output: these stretches, which may overlap, and its own files.
pub(super) fn all(dir: &Path, attempt: Attempt, shared: Vec<Extent>) -> Vec<Extent> {
    let mut all = shared;
    // Of own files the directory knows better: the oldest go, the newest may not have been told.
    all.retain(|extent| extent.own_file == 0);
    all.extend(own_files(dir, attempt));
    Extents::covering(all).take()
}

/// Keeps a list, unless there is a whole one: that was made when more was left.
pub(super) fn keep(dir: &Path, attempt: Attempt, extents: &[Extent]) -> Result<(), KeepError> {
    if matches!(kept(dir, attempt), Ok(Some(_))) {
        return Ok(());
    }
    let path = path(dir, attempt);
    let list = List { extents: extents.to_vec() }.encode_to_vec();
    let mut bytes = LIST_HEADER.to_vec();
    bytes.extend_from_slice(&crc32c::crc32c(&list).to_le_bytes());
    bytes.extend_from_slice(&list);
    let new = path.with_extension("new");
    fs::create_dir_all(dir.join("lost"))
        .and_then(|()| fs::write(&new, bytes))
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|source| KeepError { path, source })
}

/// The list that was kept for an attempt, if one was.
pub(super) fn kept(dir: &Path, attempt: Attempt) -> Result<Option<Vec<Extent>>, ReadError> {
    let path = path(dir, attempt);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ReadError::Open { path, source }),
    };
    let mut bytes = Vec::new();
    match file.take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes) {
        Ok(_) => decode(&bytes).map(Some).ok_or(ReadError::NoList { path }),
        Err(source) => Err(ReadError::Read { path, offset: bytes.len() as u64, source }),
    }
}

pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Extent>> {
    let (crc, list) = bytes.strip_prefix(&LIST_HEADER)?.split_first_chunk()?;
    if bytes.len() as u64 > LIST_BYTES_MAX || u32::from_le_bytes(*crc) != crc32c::crc32c(list) {
        return None;
    }
    Some(List::decode(list).ok()?.extents)
}

pub(super) fn path(dir: &Path, attempt: Attempt) -> PathBuf {
    dir.join("lost").join(attempt_name(attempt))
}

/// The stretches of an attempt's own files, oldest first.
fn own_files(dir: &Path, attempt: Attempt) -> Vec<Extent> {
    let names = fs::read_dir(own_dir(dir, attempt)).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> =
        names.filter_map(|entry| own_number(entry.file_name().to_str()?)).collect();
    numbers.sort_unstable();
    let newest = numbers.last().copied();
    let begin = FILE_HEADER.len() as u64;
    let extent = |number| {
        let id = FileId::Own(attempt, number);
        let end = match Some(number) == newest {
            true => whole_end(dir, id),
            false => fs::metadata(id.path(dir)).map_or(0, |metadata| metadata.len()),
        };
        (end > begin).then(|| id.extent(begin, end - begin))
    };
    numbers.into_iter().filter_map(extent).collect()
}

/// Where the last whole frame of a file ends: what lies behind was being written.
fn whole_end(dir: &Path, id: FileId) -> u64 {
    let mut end = 0;
    // What cannot be read now ends where it cannot; the reader will say so of the rest.
    let _ = frames(dir, id, |_, offset, header| {
        end = offset + header.frame_length();
        Ok(())
    });
    end
}
