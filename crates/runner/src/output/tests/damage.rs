//! Damaged files: what is whole is shown, what is not is marked, and nothing else is made up.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use super::*;
use crate::output::frame::{FileId, Kind};
use crate::output::read::fuzz::frames_of;

const ATTEMPTS: u32 = 3;

/// A segment of a few interleaved attempts, and their outcomes.
pub(super) fn segment() -> (TempDir, PathBuf, BTreeMap<Attempt, Outcome>) {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    for round in 0..3u64 {
        for of in 0..ATTEMPTS {
            let stream = if round == 1 { Stream::Stderr } else { Stream::Stdout };
            bench.words(attempt(of), stream, round * 50_000, 2 + round + u64::from(of));
        }
    }
    for of in 0..ATTEMPTS {
        bench.end(attempt(of));
    }
    for of in 0..ATTEMPTS {
        bench.wait_ended(attempt(of));
    }
    let file = dir.path().join("00000001.seg");
    let ended = bench.ended.clone();
    (dir, file, ended)
}

/// Reads everything there is from damaged files; whether all was whole.
fn check(dir: &TempDir, ended: &BTreeMap<Attempt, Outcome>, extents: &Told, what: &str) -> bool {
    let store = Store::open(dir.path());
    let mut whole = true;
    for (attempt, outcome) in ended {
        let at = outcome.output.unwrap();
        match store.ended(at) {
            Ok(found) => assert_eq!(found, extents[attempt], "{what}"),
            Err(error) => {
                assert!(error.to_string().contains("00000001.seg"), "{what}");
                whole = false;
            }
        }
        let chunks =
            store.read(*attempt, &extents[attempt]).map(Result::unwrap).collect::<Vec<_>>();
        let kept = check_places(&chunks, outcome.output_bytes);
        whole &= kept == outcome.output_bytes;
    }
    let found = store.recover(&ended.keys().copied().collect());
    for (attempt, outcome) in &found {
        assert_eq!(outcome, &ended[attempt], "{what}");
    }
    whole && found.len() == ended.len()
}

/// Where each end stands in the good file.
fn ends(dir: &TempDir, ended: &BTreeMap<Attempt, Outcome>) -> Vec<(Attempt, Range<usize>)> {
    let mut ends = Vec::new();
    frames_of(dir.path(), FileId::Segment(1), |offset, header| {
        if header.kind == Kind::End {
            let begin = offset as usize;
            ends.push((header.attempt, begin..begin + header.frame_length() as usize));
        }
    });
    assert_eq!(ends.len(), ended.len());
    ends
}

/// Checks that every end that is whole is found.
fn check_ends(
    dir: &TempDir,
    ends: &[(Attempt, Range<usize>)],
    ended: &BTreeMap<Attempt, Outcome>,
    whole: impl Fn(&Range<usize>) -> bool,
) {
    let found = Store::open(dir.path()).recover(&ended.keys().copied().collect());
    for (attempt, end) in ends {
        assert_eq!(found.contains_key(attempt), whole(end), "{attempt} at {end:?}");
    }
}

type Told = BTreeMap<Attempt, Vec<proto::supervisor::Extent>>;

fn extents(dir: &TempDir, ended: &BTreeMap<Attempt, Outcome>) -> Told {
    let store = Store::open(dir.path());
    let of = |outcome: &Outcome| store.ended(outcome.output.unwrap()).unwrap();
    ended.iter().map(|(attempt, outcome)| (*attempt, of(outcome))).collect()
}

#[test]
fn a_damaged_byte_anywhere_is_never_shown_as_output() {
    let (dir, file, ended) = segment();
    let (extents, ends) = (extents(&dir, &ended), ends(&dir, &ended));
    let good = fs::read(&file).unwrap();
    assert!(check(&dir, &ended, &extents, "the whole file"));
    for at in 0..good.len() {
        let flip = [0x01, 0x80, 0xff][at % 3];
        let mut bad = good.clone();
        bad[at] ^= flip;
        fs::write(&file, &bad).unwrap();
        let whole = check(&dir, &ended, &extents, &format!("byte {at} ^ {flip}"));
        check_ends(&dir, &ends, &ended, |end| !end.contains(&at));
        assert_eq!(whole, at < 16, "byte {at} ^ {flip}: is the damage seen?");
    }
}

#[test]
fn a_file_cut_anywhere_shows_what_is_left() {
    let (dir, file, ended) = segment();
    let (extents, ends) = (extents(&dir, &ended), ends(&dir, &ended));
    let good = fs::read(&file).unwrap();
    for length in (0..good.len()).rev() {
        fs::write(&file, &good[..length]).unwrap();
        assert!(!check(&dir, &ended, &extents, &format!("cut to {length}")));
        check_ends(&dir, &ends, &ended, |end| end.end <= length);
    }
    fs::remove_file(&file).unwrap();
    assert!(!check(&dir, &ended, &extents, "no file"));
}

#[test]
fn a_damaged_frame_of_another_attempt_is_no_gap() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    for (of, time_us) in [(0, 0), (1, 0), (0, 50_000)] {
        bench.words(attempt(of), Stream::Stdout, time_us, 4);
        bench.wait("the frame", |bench| bench.told.values().flatten().count() > 0);
        bench.told.clear();
    }
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    let store = Store::open(dir.path());
    let mut extents = store.ended(outcome.output.unwrap()).unwrap();
    assert_eq!(extents.len(), 2);
    // One stretch over the frame of the other, as in a list that grew too long.
    extents[0].length = extents[1].offset + extents[1].length - extents[0].offset;
    extents.pop();
    let file = dir.path().join("00000001.seg");
    let mut bytes = fs::read(&file).unwrap();
    bytes[16 + 56 + 32 + 20] ^= 1;
    fs::write(&file, bytes).unwrap();
    let chunks: Vec<_> =
        Store::open(dir.path()).read(attempt(0), &extents).map(Result::unwrap).collect();
    assert!(chunks.iter().all(|chunk| chunk.stream == Stream::Stdout));
    check_account(&chunks, &outcome);
}

#[test]
fn a_copy_of_a_segment_in_the_output_is_output_and_nothing_more() {
    let (dir, file, ended) = segment();
    let copy = fs::read(&file).unwrap();
    let mut bench = Bench::new(small(&dir));
    bench.writer.append(attempt(9), Stream::Stdout, 1, &copy);
    bench.positions.insert(attempt(9), copy.len() as u64);
    bench.end(attempt(9));
    let outcome = bench.wait_ended(attempt(9));
    // Its frame's header is damaged, so that a reader looks for frames in the payload.
    let second = dir.path().join("00000002.seg");
    let mut bytes = fs::read(&second).unwrap();
    bytes[16] ^= 1;
    fs::write(&second, bytes).unwrap();
    fs::remove_file(&file).unwrap();
    let store = Store::open(dir.path());
    let wanted = ended.keys().copied().chain([attempt(9)]).collect();
    assert_eq!(store.recover(&wanted), [(attempt(9), outcome.clone())].into());
    let chunks = read(&store, attempt(9), &outcome);
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].stream, Stream::Mark);
}

#[test]
fn the_frame_behind_a_damaged_one_is_found_wherever_it_begins() {
    for length in 4000..4130 {
        let dir = TempDir::new().unwrap();
        let mut bench = Bench::new(Config { shared_bytes_max: 1 << 20, ..small(&dir) });
        bench.writer.append(attempt(0), Stream::Stdout, 1, &vec![b'x'; length]);
        bench.writer.append(attempt(0), Stream::Stderr, 1, b"behind");
        bench.positions.insert(attempt(0), length as u64 + 6);
        bench.end(attempt(0));
        let outcome = bench.wait_ended(attempt(0));
        let file = dir.path().join("00000001.seg");
        let mut bytes = fs::read(&file).unwrap();
        bytes[20] ^= 1;
        fs::write(&file, bytes).unwrap();
        let store = Store::open(dir.path());
        let chunks = read(&store, attempt(0), &outcome);
        assert_eq!(chunks[0].stream, Stream::Mark);
        assert_eq!(chunks.last().unwrap().data, b"behind", "{length}");
        assert_eq!(store.recover(&[attempt(0)].into()), [(attempt(0), outcome)].into());
    }
}
