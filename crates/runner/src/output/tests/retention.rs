//! Old output goes, nothing that is needed does, and who reads it is told.

use std::collections::BTreeSet;
use std::fs;

use super::*;
use crate::output::frame::own_dir;
use crate::output::{Limits, Merge, PieceKind};

const NOBODY: &dyn Fn(Attempt) -> bool = &|_| false;
const ALL_GOES: Limits = Limits { bytes_max: 0, oldest_us: 0 };

/// Sweeps until there is no more to do.
fn sweep(store: &Store, limits: &Limits, live: &dyn Fn(Attempt) -> bool) -> u64 {
    let mut bytes = 0;
    loop {
        let swept = store.sweep(limits, live).unwrap();
        assert!(swept.files <= 64, "{swept:?}");
        bytes += swept.bytes;
        if !swept.more {
            assert_eq!(swept.left_bytes, total(store));
            return bytes;
        }
    }
}

fn total(store: &Store) -> u64 {
    store.pieces().unwrap().iter().map(|piece| piece.bytes).sum()
}

fn segments(store: &Store) -> Vec<u32> {
    let number = |kind| match kind {
        PieceKind::Segment { number, .. } => Some(number),
        _ => None,
    };
    let mut numbers: Vec<u32> =
        store.pieces().unwrap().iter().filter_map(|piece| number(piece.kind)).collect();
    numbers.sort_unstable();
    numbers
}

/// Attempts of 800 bytes each, some of which end later than the others.
fn many(bench: &mut Bench, attempts: std::ops::Range<u32>, without_end: &BTreeSet<u32>) {
    for of in attempts {
        bench.words(attempt(of), Stream::Stdout, 1, 100);
        if !without_end.contains(&of) {
            bench.end(attempt(of));
            bench.wait_ended(attempt(of));
        }
    }
}

/// What is shown of an ended attempt, as `logs` does it.
fn shown(store: &Store, of: Attempt, outcome: &Outcome) -> Vec<Chunk> {
    let mut merge = Merge::default();
    match store.ended(outcome.output.unwrap()) {
        Ok(extents) => merge.extend(store, of, &extents),
        Err(error) => merge.unlisted(store, of, &error.to_string()),
    }
    merge.map(Result::unwrap).collect()
}

#[test]
fn the_oldest_segments_go_and_the_limit_is_kept() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    many(&mut bench, 0..400, &BTreeSet::new());
    let store = Store::open(dir.path());
    let before = segments(&store);
    assert!(before.len() > 15);
    let limits = Limits { bytes_max: 100_000, oldest_us: 0 };
    assert!(sweep(&store, &limits, NOBODY) > 0);
    assert!(total(&store) <= 100_000 && total(&store) > 70_000, "{}", total(&store));
    let after = segments(&store);
    assert!(before.ends_with(&after), "the newest stay: {after:?}");
    assert_eq!(sweep(&store, &limits, NOBODY), 0, "once is enough");
    for (of, outcome) in &bench.ended {
        let chunks = shown(&store, *of, outcome);
        if outcome.output.unwrap().segment > after[0] {
            check_account(&chunks, outcome);
        } else if outcome.output.unwrap().segment < after[0] {
            assert_eq!(chunks.len(), 1);
            let words = String::from_utf8_lossy(&chunks[0].data).into_owned();
            assert_eq!(chunks[0].stream, Stream::Mark);
            assert!(words.contains("output was removed (retention)"), "{words}");
        }
    }
}

#[test]
fn the_newest_segment_stays_and_no_number_is_used_again() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    many(&mut bench, 0..100, &BTreeSet::new());
    let store = Store::open(dir.path());
    let newest = *segments(&store).last().unwrap();
    sweep(&store, &ALL_GOES, NOBODY);
    assert_eq!(segments(&store), [newest]);
    // It is written to still, and all of that is found.
    many(&mut bench, 100..105, &BTreeSet::new());
    for of in 100..105 {
        let outcome = &bench.ended[&attempt(of)];
        check_account(&read(&store, attempt(of), outcome), outcome);
    }
    // The next supervisor begins behind it, also when it did nothing but die.
    drop(bench);
    sweep(&store, &ALL_GOES, NOBODY);
    let mut bench = Bench::new(small(&dir));
    sweep(&store, &ALL_GOES, NOBODY);
    many(&mut bench, 200..201, &BTreeSet::new());
    let numbers = segments(&store);
    assert!(numbers.iter().all(|number| *number >= newest), "{numbers:?}");
    assert!(bench.ended[&attempt(200)].output.unwrap().segment > newest);
}

#[test]
fn what_holds_output_or_an_end_of_a_live_attempt_stays() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    let open: BTreeSet<u32> = [3, 150].into();
    many(&mut bench, 0..300, &open);
    let store = Store::open(dir.path());
    let before = segments(&store);
    // One runs, and the end of another is not known yet.
    let live = |of: Attempt| open.contains(&of.element.index) || of == attempt(200);
    sweep(&store, &ALL_GOES, &live);
    let kept = segments(&store);
    assert_eq!(kept.len(), 4, "of {} segments, three and the newest: {kept:?}", before.len());
    let outcome = &bench.ended[&attempt(200)];
    check_account(&read(&store, attempt(200), outcome), outcome);
    assert_eq!(store.recover(&[attempt(200)].into()).len(), 1);
    // The next one who keeps a segment is found when the first no longer does.
    let first = open.iter().map(|of| attempt(*of)).collect::<Vec<_>>();
    bench.end(first[0]);
    let outcome = bench.wait_ended(first[0]);
    sweep(&store, &ALL_GOES, &|of| live(of) && of != first[0]);
    assert_eq!(segments(&store).len(), 3);
    // Its end is in the newest, so only the beginning is missing, and that is said.
    let chunks = shown(&store, first[0], &outcome);
    let words = String::from_utf8_lossy(&chunks[0].data).into_owned();
    assert_eq!(words, "[windlass: output was removed here (retention)]");
    sweep(&store, &ALL_GOES, NOBODY);
    assert_eq!(segments(&store).len(), 1);
}

#[test]
fn what_is_left_of_an_attempt_is_shown_with_a_mark_for_what_went() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(Config { shared_bytes_max: 1 << 20, ..small(&dir) });
    bench.words(attempt(0), Stream::Stdout, 1, 10);
    many(&mut bench, 1..60, &BTreeSet::new());
    bench.words(attempt(0), Stream::Stdout, 100_000, 10);
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    let store = Store::open(dir.path());
    sweep(&store, &ALL_GOES, NOBODY);
    let chunks = shown(&store, attempt(0), &outcome);
    let words = String::from_utf8_lossy(&chunks[0].data).into_owned();
    assert_eq!(words, "[windlass: 80 bytes of output missing here: it was removed (retention)]");
    assert_eq!(check_places(&chunks, 160), 80);
}

#[test]
fn what_is_older_than_an_age_goes() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    many(&mut bench, 0..100, &BTreeSet::new());
    let store = Store::open(dir.path());
    // On a disk's clock all may have been written in one moment.
    let day = |number: u32| std::time::UNIX_EPOCH + Duration::from_secs(86_400 * u64::from(number));
    for number in segments(&store) {
        let file = File::options().write(true).open(dir.path().join(format!("{number:08}.seg")));
        file.unwrap().set_modified(day(number)).unwrap();
    }
    let pieces = store.pieces().unwrap();
    assert!(pieces.is_sorted_by_key(|piece| piece.written_us));
    let middle = pieces[pieces.len() / 2].written_us;
    sweep(&store, &Limits { bytes_max: u64::MAX, oldest_us: middle }, NOBODY);
    let left = store.pieces().unwrap();
    assert!(left.len() < pieces.len() && left.iter().all(|piece| piece.written_us >= middle));
    sweep(&store, &Limits { bytes_max: u64::MAX, oldest_us: u64::MAX }, NOBODY);
    assert_eq!(segments(&store).len(), 1);
}

#[test]
fn own_files_go_as_a_whole_and_never_while_they_are_written() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    for of in 0..3 {
        words_of(&mut bench, of, 40);
    }
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    let store = Store::open(dir.path());
    sweep(&store, &ALL_GOES, &|of| of != attempt(0));
    assert!(!own_dir(dir.path(), attempt(0)).exists());
    assert!(own_dir(dir.path(), attempt(1)).exists() && own_dir(dir.path(), attempt(2)).exists());
    let chunks = shown(&store, attempt(0), &outcome);
    let last = String::from_utf8_lossy(&chunks.last().unwrap().data).into_owned();
    assert_eq!(last, "[windlass: output was removed here (retention)]");
    check_places(&chunks, outcome.output_bytes);
    // The others go on in their files.
    words_of(&mut bench, 1, 5);
    bench.end(attempt(1));
    let outcome = bench.wait_ended(attempt(1));
    check_account(&shown(&store, attempt(1), &outcome), &outcome);
}

fn words_of(bench: &mut Bench, of: u32, rounds: u64) {
    (0..rounds).for_each(|round| bench.words(attempt(of), Stream::Stdout, round * 20_000, 200));
    bench.end(attempt(bench.stalls));
    bench.wait_ended(attempt(bench.stalls));
    bench.stalls += 1;
}

#[test]
fn a_purge_takes_what_is_an_attempts_own_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    (0..4).for_each(|of| words_of(&mut bench, of, 30));
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    bench.words(attempt(9), Stream::Stdout, 1, 3);
    drop(bench);
    let store = Store::open(dir.path());
    let wanted: BTreeSet<Attempt> = [1, 2, 3, 9].map(attempt).into();
    assert_eq!(store.take_over(&wanted, BTreeMap::new()).lost.len(), 4);
    fs::create_dir(dir.path().join("own/1-2-3-4-5")).unwrap();
    let before = segments(&store);
    let purged: BTreeSet<Attempt> = [0, 1, 9].map(attempt).into();
    let swept = store.purge(&|of| purged.contains(&of)).unwrap();
    assert!(!swept.more && swept.files == 2 * 3 + 2, "{swept:?}");
    assert_eq!(segments(&store), before);
    for of in [0, 1, 9] {
        assert!(!own_dir(dir.path(), attempt(of)).exists());
        assert!(store.lost(attempt(of)).unwrap().is_none());
    }
    assert!(store.lost(attempt(2)).unwrap().is_some() && own_dir(dir.path(), attempt(3)).exists());
    assert!(dir.path().join("own/1-2-3-4-5").exists(), "what is not ours stays");
    let chunks = shown(&store, attempt(0), &outcome);
    check_places(&chunks, outcome.output_bytes);
    assert_eq!(store.purge(&|of| purged.contains(&of)).unwrap().files, 0);
}

#[test]
fn many_files_go_in_many_steps() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(Config { segment_bytes: 1000, ..small(&dir) });
    many(&mut bench, 0..300, &BTreeSet::new());
    let store = Store::open(dir.path());
    let mut steps = 1;
    while store.sweep(&ALL_GOES, NOBODY).unwrap().more {
        steps += 1;
    }
    assert!((4..10).contains(&steps), "{steps}");
    assert_eq!(segments(&store).len(), 1);
    let unknown = store.ended(model::OutputRef { segment: 9_999, offset: 16 }).unwrap_err();
    assert!(!unknown.to_string().contains("retention"), "{unknown}");
}

#[test]
fn damage_keeps_no_segment_for_ever_and_one_that_is_gone_by_itself_is_a_loss() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    many(&mut bench, 0..100, &BTreeSet::new());
    let store = Store::open(dir.path());
    let numbers = segments(&store);
    let file = |number: u32| dir.path().join(format!("{number:08}.seg"));
    let mut bytes = fs::read(file(numbers[1])).unwrap();
    bytes[16..5000].fill(0xf7);
    fs::write(file(numbers[1]), bytes).unwrap();
    fs::write(file(numbers[2]), [0; 5000]).unwrap();
    fs::remove_file(file(numbers[0])).unwrap();
    let gone = bench.ended.iter().find(|(_, o)| o.output.unwrap().segment == numbers[0]).unwrap();
    sweep(&store, &ALL_GOES, NOBODY);
    assert_eq!(segments(&store).len(), 1);
    let words = String::from_utf8_lossy(&shown(&store, *gone.0, gone.1)[0].data).into_owned();
    assert!(words.contains("cannot open") && !words.contains("retention"), "{words}");
}
