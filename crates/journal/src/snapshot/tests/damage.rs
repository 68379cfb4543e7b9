//! Two snapshots and a trimmed log: whatever is done to the newest, the older one takes its place.

use std::fs;

use super::*;
use crate::log::tests::{append, entry, purge};

const OLDER: Index = 5;
const NEWEST: Index = 9;
/// Chunks of this size make a small file with many borders.
const SMALL: Pace = Pace { chunk: 40, sync: 200 };

/// An open log behind two snapshots.
struct Image {
    env: Env,
    log: Log,
    newest: PathBuf,
    content: Vec<u8>,
}

impl Image {
    fn new() -> Self {
        let env = Env::without_sync();
        let log = env.open().unwrap();
        append(&log, (0..12).map(entry)).unwrap();
        let snapshots = open(&env, &log, SMALL).unwrap();
        for index in [OLDER, NEWEST] {
            snapshots.write(head(id(index)), writes(vec![index as u8; 300])).unwrap();
        }
        purge(&log, OLDER).unwrap();
        let newest = env.path().join(format::name(NEWEST));
        let content = fs::read(&newest).unwrap();
        Self { env, log, newest, content }
    }

    /// Which one is chosen with this as the newest file.
    fn chosen(&self, content: &[u8]) -> Index {
        fs::write(&self.newest, content).unwrap();
        let snapshots = open(&self.env, &self.log, SMALL).unwrap();
        let (index, found) = read_newest(&snapshots).unwrap();
        assert_eq!(found, vec![index as u8; 300]);
        assert_eq!(fs::read(&self.newest).unwrap(), content, "what is damaged is left as it is");
        index
    }

    /// Where each chunk begins, and the end.
    fn borders(&self) -> Vec<usize> {
        let begin = format::HEADER + b"who votes".len();
        let chunk = format::CHUNK_HEAD + SMALL.chunk;
        let mut borders: Vec<_> = (0..8).map(|number| begin + number * chunk).collect();
        borders.push(begin + 7 * chunk + format::CHUNK_HEAD + 20);
        borders
    }
}

#[test]
fn a_whole_one_is_chosen() {
    let image = Image::new();
    assert_eq!(image.chosen(&image.content), NEWEST);
    let end = *image.borders().last().unwrap();
    assert_eq!(image.content.len(), end + format::CHUNK_HEAD + format::FOOTER_BODY);
}

#[test]
fn no_flipped_byte_is_taken() {
    let image = Image::new();
    for at in 0..image.content.len() {
        for bit in [at % 8, (at + 5) % 8] {
            let mut content = image.content.clone();
            content[at] ^= 1 << bit;
            assert_eq!(image.chosen(&content), OLDER, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn no_cut_is_taken_nor_anything_added() {
    let image = Image::new();
    for len in 0..image.content.len() {
        assert_eq!(image.chosen(&image.content[..len]), OLDER, "cut to {len} bytes");
    }
    let mut longer = image.content.clone();
    longer.push(0);
    assert_eq!(image.chosen(&longer), OLDER);
}

#[test]
fn no_chunk_is_missed_moved_or_taken_from_elsewhere() {
    let image = Image::new();
    let borders = image.borders();
    for two in borders.windows(2) {
        let mut content = image.content.clone();
        content.drain(two[0]..two[1]);
        assert_eq!(image.chosen(&content), OLDER, "without {two:?}");
    }
    let mut content = image.content.clone();
    content[borders[0]..borders[2]].rotate_left(borders[1] - borders[0]);
    assert_eq!(image.chosen(&content), OLDER, "two changed places");
    let older = fs::read(image.env.path().join(format::name(OLDER))).unwrap();
    assert_eq!(older.len(), image.content.len());
    for two in borders.windows(2) {
        let mut content = image.content.clone();
        content[two[0]..two[1]].copy_from_slice(&older[two[0]..two[1]]);
        assert_eq!(image.chosen(&content), OLDER, "a stale part at {two:?}");
    }
    assert_eq!(image.chosen(&older), OLDER, "all of it is stale");
}

#[test]
fn with_both_damaged_the_refusal_names_both() {
    let image = Image::new();
    let older = image.env.path().join(format::name(OLDER));
    let whole = fs::read(&older).unwrap();
    for len in (0..whole.len()).step_by(13) {
        fs::write(&older, &whole[..len]).unwrap();
        fs::write(&image.newest, &image.content[..len]).unwrap();
        let refused = open(&image.env, &image.log, SMALL).map(drop).unwrap_err();
        let OpenError::NoSnapshot { purged: OLDER, unusable, .. } = &refused else {
            panic!("{refused}")
        };
        let paths: Vec<_> = unusable.iter().map(|one| &one.path).collect();
        assert_eq!(paths, [&image.newest, &older], "{refused}");
    }
}

/// As long as the log is whole, no snapshot is needed.
#[test]
fn a_damaged_first_one_costs_nothing() {
    let env = Env::without_sync();
    let log = env.open().unwrap();
    append(&log, (0..8).map(entry)).unwrap();
    let snapshots = open(&env, &log, SMALL).unwrap();
    snapshots.write(head(id(4)), writes(vec![4; 300])).unwrap();
    let path = env.path().join(format::name(4));
    fs::write(&path, &fs::read(&path).unwrap()[..200]).unwrap();
    let snapshots = open(&env, &log, SMALL).unwrap();
    assert_eq!(read_newest(&snapshots), None);
    // The next one takes its place.
    snapshots.write(head(id(4)), writes(vec![4; 300])).unwrap();
    snapshots.write(head(id(6)), writes(vec![6; 300])).unwrap();
    assert_eq!(snapshots.trims(), Some(4));
}

/// Two entries of one index and two terms: the snapshot is not of this log.
#[test]
fn a_snapshot_of_another_journal_is_not_taken() {
    let image = Image::new();
    let (header, seed) = {
        let mut other = id(NEWEST);
        other.leader.term = 2;
        head(other).encode()
    };
    let mut content = header;
    content.extend_from_slice(&format::footer(0, 0, seed));
    assert_eq!(image.chosen(&content), OLDER);
}
