//! A supervisor is killed before it wrote the ends: what it had written is found, kept and marked.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use proto::supervisor::Extent;

use super::*;
use crate::output::Merge;

const MARK: &str = "[windlass: the supervisor ended here; what came after is not known]";

/// What a killed supervisor left: of one attempt its end, of others a beginning, of one nothing.
fn left() -> (TempDir, BTreeSet<Attempt>, Bench) {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    for round in 0..5 {
        for of in 0..3 {
            bench.words(attempt(of), Stream::Stdout, round * 50_000, 3 + round);
        }
    }
    // Far beyond its share: it has own files, of which the oldest are gone.
    for round in 0..20 {
        bench.words(attempt(3), Stream::Stderr, round * 50_000, 500);
    }
    bench.end(attempt(0));
    bench.wait_ended(attempt(0));
    let wanted = (0..5).map(attempt).collect();
    (dir, wanted, bench)
}

/// All that is shown of a lost attempt.
fn shown(store: &Store, attempt: Attempt) -> Vec<Chunk> {
    let extents = store.lost(attempt).unwrap().unwrap();
    let mut merge = Merge::default();
    merge.lost(store, attempt, &extents);
    merge.map(Result::unwrap).collect()
}

/// Takes the mark behind it off; it must be there.
fn without_mark(mut chunks: Vec<Chunk>) -> Vec<Chunk> {
    let last = chunks.pop().unwrap();
    assert_eq!((last.stream, last.data.as_slice()), (Stream::Mark, MARK.as_bytes()));
    assert!(chunks.iter().all(|chunk| chunk.data != MARK.as_bytes()));
    chunks
}

fn list(dir: &TempDir, attempt: Attempt) -> PathBuf {
    let element = attempt.element;
    let name = format!("{}-{}-{}-{}", element.run, element.task, element.index, attempt.number);
    dir.path().join("lost").join(name)
}

#[test]
fn what_a_killed_supervisor_wrote_is_found_and_kept() {
    let (dir, wanted, bench) = left();
    let positions = bench.positions.clone();
    drop(bench);
    let store = Store::open(dir.path());
    let remains = store.take_over(&wanted, BTreeMap::new());
    assert!(remains.unkept.is_none());
    assert!(remains.ends.keys().eq([&attempt(0)]));
    assert!(remains.lost.keys().copied().eq([1, 2, 3].map(attempt)));
    let files = fs::read_dir(dir.path().join("lost")).unwrap().count();
    assert_eq!(files, 3, "one for each that has output and no end, and nothing else");
    for of in [0, 4] {
        assert!(store.lost(attempt(of)).unwrap().is_none());
    }
    for of in 1..=3 {
        let chunks = without_mark(shown(&Store::open(dir.path()), attempt(of)));
        let kept = check_places(&chunks, positions[&attempt(of)]);
        let all = positions[&attempt(of)];
        if of < 3 {
            assert_eq!(kept, all);
        } else {
            let end = chunks.last().unwrap().data.last_chunk().unwrap();
            assert_eq!(u64::from_le_bytes(*end), all - 8, "the last word is there");
            assert!(kept < all && kept > 4096 + 2 * 7000, "{kept}");
        }
    }
}

#[test]
fn a_list_is_kept_for_good_when_its_segments_are_no_longer_searched() {
    let (dir, wanted, bench) = left();
    drop(bench);
    let store = Store::open(dir.path());
    let first = store.take_over(&wanted, BTreeMap::new()).lost;
    let before = shown(&store, attempt(1));
    for later in 0..6 {
        let mut bench = Bench::new(small(&dir));
        bench.words(attempt(100 + later), Stream::Stdout, 1, 4);
        bench.end(attempt(100 + later));
        bench.wait_ended(attempt(100 + later));
    }
    let second = store.take_over(&wanted, BTreeMap::new());
    assert!(second.ends.is_empty() && second.lost.keys().eq([&attempt(3)]), "own files are left");
    assert_eq!(store.lost(attempt(3)).unwrap().unwrap(), first[&attempt(3)]);
    assert_eq!(shown(&store, attempt(1)), before);
    // What was told to lie there is found without a search.
    fs::remove_dir_all(dir.path().join("lost")).unwrap();
    let third = store.take_over(&wanted, first.clone());
    assert!(third.ends.is_empty());
    assert_eq!(store.lost(attempt(1)).unwrap().unwrap(), first[&attempt(1)]);
    assert_eq!(shown(&store, attempt(1)), before);
}

#[test]
fn a_beginning_that_is_too_old_to_be_searched_for_is_marked() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    bench.words(attempt(1), Stream::Stdout, 1, 25);
    bench.wait("the beginning", |bench| !bench.told.is_empty());
    for other in 10..40 {
        bench.words(attempt(other), Stream::Stdout, 50_000, 500);
    }
    // What is written at once may be put in another order.
    bench.wait("all of theirs", |bench| bench.told.len() == 31);
    bench.words(attempt(1), Stream::Stdout, 100_000, 5);
    drop(bench);
    let store = Store::open(dir.path());
    store.take_over(&[attempt(1)].into(), BTreeMap::new());
    let chunks = without_mark(shown(&store, attempt(1)));
    let words = String::from_utf8_lossy(&chunks[0].data);
    assert!(words.contains("200 bytes") && words.contains("not found again"), "{words}");
    assert_eq!(check_places(&chunks, 240), 40);
}

#[test]
fn a_reader_of_the_live_output_goes_on_where_it_is() {
    for words_last in [false, true] {
        let dir = TempDir::new().unwrap();
        let mut bench = Bench::new(small(&dir));
        let all: Vec<Stream> = match words_last {
            true => vec![Stream::Stdout, Stream::Stderr, Stream::Mark],
            false => vec![Stream::Stdout, Stream::Mark, Stream::Stderr],
        };
        let length = |extents: &[Extent]| extents.iter().map(|extent| extent.length).sum::<u64>();
        let mut ends = vec![0];
        for (at, stream) in all.iter().enumerate() {
            bench.writer.append(attempt(1), *stream, at as u64 * 50_000, b"12345678");
            let last = ends[at];
            let told = |bench: &Bench| bench.told.get(&attempt(1)).map_or(0, |told| length(told));
            bench.wait("the frame", |bench| told(bench) > last);
            ends.push(told(&bench));
        }
        let begin = bench.told[&attempt(1)][0];
        drop(bench);
        for (frames, so_far) in ends.iter().enumerate() {
            let store = Store::open(dir.path());
            let mut merge = Merge::default();
            if frames > 0 {
                merge.extend(&store, attempt(1), &[Extent { length: *so_far, ..begin }]);
            }
            let mut chunks: Vec<_> = merge.by_ref().map(Result::unwrap).collect();
            assert_eq!(chunks.len(), frames);
            let lost = store.take_over(&[attempt(1)].into(), BTreeMap::new()).lost;
            assert_eq!(length(&lost[&attempt(1)]), ends[3]);
            for _ in 0..2 {
                merge.lost(&store, attempt(1), &lost[&attempt(1)]);
                chunks.extend(merge.by_ref().map(Result::unwrap));
            }
            let chunks = without_mark(chunks);
            let streams: Vec<_> = chunks.iter().map(|chunk| chunk.stream).collect();
            assert_eq!(streams, all, "{frames}");
        }
    }
}

#[test]
fn a_torn_end_is_where_the_supervisor_ended() {
    let (dir, wanted, bench) = left();
    let positions = bench.positions.clone();
    drop(bench);
    let files = fs::read_dir(dir.path().join("own")).unwrap().next().unwrap().unwrap().path();
    let newest = fs::read_dir(files).unwrap().map(|file| file.unwrap().path()).max().unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() - 3]).unwrap();
    let store = Store::open(dir.path());
    store.take_over(&wanted, BTreeMap::new());
    let chunks = without_mark(shown(&store, attempt(3)));
    assert_ne!(chunks.last().unwrap().stream, Stream::Mark, "no damage, but an end");
    check_places(&chunks, positions[&attempt(3)] - 4000);
}

#[test]
fn a_damaged_list_is_an_error_of_that_attempt_alone() {
    let (dir, wanted, bench) = left();
    drop(bench);
    let store = Store::open(dir.path());
    let lost = store.take_over(&wanted, BTreeMap::new()).lost;
    let path = list(&dir, attempt(1));
    let good = fs::read(&path).unwrap();
    let flipped = (0..good.len()).map(|at| {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        bad
    });
    let cut = (0..good.len()).map(|length| good[..length].to_vec());
    for bad in flipped.chain(cut).chain([vec![0; 1 << 20]]) {
        fs::write(&path, &bad).unwrap();
        let error = store.lost(attempt(1)).unwrap_err().to_string();
        assert!(error.contains("lost/812-1-1-2"), "{error}");
        assert!(store.lost(attempt(2)).unwrap().is_some());
    }
    // The next search mends it.
    store.take_over(&wanted, BTreeMap::new());
    assert_eq!(store.lost(attempt(1)).unwrap().unwrap(), lost[&attempt(1)]);
    assert_eq!(fs::read(&path).unwrap(), good);
}

#[test]
fn a_disk_that_takes_no_list_is_told() {
    let (dir, wanted, bench) = left();
    drop(bench);
    fs::write(dir.path().join("lost"), "in the way").unwrap();
    let remains = Store::open(dir.path()).take_over(&wanted, BTreeMap::new());
    assert!(remains.unkept.unwrap().to_string().contains("lost/812-1-1-2"));
    assert_eq!((remains.ends.len(), remains.lost.len()), (1, 3), "what was found is told");
}

#[test]
fn what_nothing_lists_is_marked_and_keeps_nobody_from_the_rest() {
    let (dir, _, bench) = left();
    let at = bench.ended[&attempt(0)].output.unwrap();
    let store = Store::open(dir.path());
    let mut merge = Merge::default();
    merge.extend(&store, attempt(0), &store.ended(at).unwrap());
    for _ in 0..2 {
        merge.unlisted(&store, attempt(1), "its list is damaged");
    }
    let chunks: Vec<_> = merge.map(Result::unwrap).collect();
    let (marks, rest): (Vec<_>, Vec<_>) =
        chunks.into_iter().partition(|chunk| chunk.attempt == attempt(1));
    assert_eq!(marks.len(), 1);
    let expected = "[windlass: the output of this attempt is missing: its list is damaged]";
    assert_eq!((marks[0].stream, marks[0].data.as_slice()), (Stream::Mark, expected.as_bytes()));
    check_account(&rest, &bench.ended[&attempt(0)]);
}
