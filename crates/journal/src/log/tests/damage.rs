//! The damage rule, byte by byte: below the mark nothing is ever lost silently, above it the tail goes.

use std::collections::BTreeMap;
use std::fs;

use super::*;

/// A closed set of files that can be put back after each case.
struct Image {
    env: Env,
    files: BTreeMap<String, Vec<u8>>,
}

impl Image {
    /// Three segments, two of them full; all twelve entries were acknowledged.
    const COUNT: u64 = 12;

    fn new() -> Self {
        let env = Env::crashed(Self::COUNT);
        let files = read_files(env.path());
        assert_eq!(segment_files(env.path()).len(), 3);
        Self { env, files }
    }

    /// Opens with one file changed. `None`: it was refused as damaged, and nothing was touched.
    fn open_with(&self, name: &str, content: &[u8]) -> Option<Vec<Index>> {
        let path = self.env.path().join(name);
        fs::write(&path, content).unwrap();
        let opened = match self.env.open() {
            Ok(log) => {
                let found = indices(&log);
                log.close();
                self.restore();
                return Some(found);
            }
            Err(error) => error,
        };
        assert!(matches!(opened, OpenError::Damaged { .. }), "{opened}");
        assert_eq!(fs::read(&path).unwrap(), content);
        fs::write(&path, &self.files[name]).unwrap();
        None
    }

    fn restore(&self) {
        for file in fs::read_dir(self.env.path()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        for (name, content) in &self.files {
            fs::write(self.env.path().join(name), content).unwrap();
        }
    }

    fn complete() -> Option<Vec<Index>> {
        Some(Vec::from_iter(0..Self::COUNT))
    }

    /// The byte behind the last record of a segment with this many entries.
    fn end(entries: u64) -> usize {
        (segment::DATA + entries * 700) as usize
    }
}

#[test]
fn no_flipped_byte_loses_anything_silently() {
    let image = Image::new();
    for (name, entries) in [(segment::name(0), 5), (segment::name(10), 2)] {
        let data = segment::DATA as usize;
        let written = |at: &usize| *at % 4096 < 40 || *at >= data || at.is_multiple_of(61);
        for at in (0..image.files[&name].len()).filter(written) {
            let mut content = image.files[&name].clone();
            content[at] ^= 1 << (at % 8);
            let found = image.open_with(&name, &content);
            if (data..Image::end(entries)).contains(&at) {
                assert_eq!(found, None, "byte {at} of `{name}` is in a synced record");
            } else {
                assert!(found.is_none() || found == Image::complete(), "byte {at} of `{name}`");
            }
        }
    }
    let state = &image.files["state"];
    for at in 0..state.len() {
        let mut content = state.clone();
        content[at] ^= 1 << (at % 8);
        assert_eq!(image.open_with("state", &content), None, "byte {at} of the state");
    }
}

#[test]
fn no_cut_loses_anything_silently() {
    let image = Image::new();
    for (name, entries) in [(segment::name(0), 5), (segment::name(10), 2)] {
        let content = &image.files[&name];
        let dense = |len: &usize| *len >= segment::DATA as usize || len.is_multiple_of(61);
        for len in (0..content.len()).filter(dense) {
            let found = image.open_with(&name, &content[..len]);
            let expected = if len < Image::end(entries) { None } else { Image::complete() };
            assert_eq!(found, expected, "`{name}` cut to {len} bytes");
        }
    }
}

#[test]
fn no_missing_file_goes_unnoticed() {
    let image = Image::new();
    for name in image.files.keys().filter(|name| *name != "lock") {
        fs::remove_file(image.env.path().join(name)).unwrap();
        let refused = image.env.open().map(|log| indices(&log));
        assert!(matches!(refused, Err(OpenError::Damaged { .. })), "without `{name}`: {refused:?}");
        fs::write(image.env.path().join(name), &image.files[name]).unwrap();
    }
    for name in segment_files(image.env.path()) {
        fs::remove_file(image.env.path().join(name)).unwrap();
    }
    assert!(matches!(image.env.open(), Err(OpenError::Damaged { .. })), "without any segment");
}

#[test]
fn the_message_says_where_what_and_what_to_do() {
    let image = Image::new();
    let name = segment::name(10);
    let mut content = image.files[&name].clone();
    content[Image::end(1) + 100] ^= 1;
    fs::write(image.env.path().join(&name), content).unwrap();
    let message = image.env.open().map(|_| ()).unwrap_err().to_string();
    for part in [&*name, "byte 12988", "checksum", "entry 11", "backup", "nothing was cut"] {
        assert!(message.contains(part), "`{part}` in: {message}");
    }
}

#[test]
fn losing_the_newest_mark_loses_no_entry() {
    let image = Image::new();
    let name = segment::name(10);
    for slot in [4096, 8192] {
        let mut content = image.files[&name].clone();
        content[slot..slot + 512].fill(0);
        assert_eq!(image.open_with(&name, &content), Image::complete(), "a torn write of a mark");
    }
}

/// Above the mark: what an interrupted write has left, in whatever order its pages came to the disk.
#[test]
fn an_unsynced_tail_goes_and_never_comes_back() {
    let before = Image { env: Env::crashed(11), files: BTreeMap::new() };
    let image = Image::new();
    let name = segment::name(10);
    let mut content = image.files[&name].clone();
    let marks = fs::read(before.env.path().join(&name)).unwrap();
    content[4096..12288].copy_from_slice(&marks[4096..12288]);
    // Two more records that were never synced.
    let (begin, end) = (Image::end(1), Image::end(3));
    let mut last = Vec::new();
    entry(12).encode(None, &mut last);
    content[Image::end(2)..end].copy_from_slice(&last);

    for torn in (begin..end).step_by(7) {
        for len in [1, 50, end - torn] {
            let mut content = content.clone();
            content[torn..(torn + len).min(end)].fill(0xee);
            fs::write(image.env.path().join(&name), &content).unwrap();
            let log = image.env.open().unwrap();
            let found = indices(&log).len() as u64;
            assert_eq!(found, 11 + ((torn - begin) / 700) as u64, "torn at byte {torn}");
            append(&log, [in_term(2, found)]).unwrap();
            log.close();

            let log = image.env.open().unwrap();
            let mut expected = Vec::from_iter((0..found).map(entry));
            expected.push(in_term(2, found));
            assert_eq!(all(&log), expected, "what stood behind the torn record stays gone");
            log.close();
            image.restore();
        }
    }
}

#[test]
fn damage_that_comes_later_is_found_when_it_is_read() {
    let env = Env { cache_bytes: 0, ..Env::new() };
    let log = env.open().unwrap();
    append(&log, (0..12).map(entry)).unwrap();
    let path = env.path().join(segment::name(5));
    let mut content = fs::read(&path).unwrap();
    content[Image::end(1) + 300] ^= 1;
    fs::write(&path, content).unwrap();
    let error = log.read(0..12, ALL).unwrap_err().to_string();
    assert!(error.contains("entry 6 at byte 12988"), "{error}");
    assert_eq!(log.read(0..6, ALL).unwrap().len(), 6);
}
