//! Many attempts: in few files, read one by one or merged.

use std::fs;

use super::*;
use crate::output::Merge;

#[test]
fn twenty_thousand_tiny_attempts_share_a_few_files() {
    const ATTEMPTS: u32 = 20_000;
    let dir = TempDir::new().unwrap();
    let config = Config { dir: dir.path().to_owned(), ..Config::default() };
    let mut bench = Bench::new(config);
    let begin = Instant::now();
    for of in 0..ATTEMPTS {
        bench.words(attempt(of), Stream::Stdout, u64::from(of), 2);
        bench.end(attempt(of));
        if of % 1000 == 0 {
            // No more than finds room, however slow the disk.
            bench.wait("room", |bench| bench.ended.len() + 10_000 > of as usize);
        }
    }
    bench.wait("all ends", |bench| bench.ended.len() == ATTEMPTS as usize);
    let rate = f64::from(ATTEMPTS) / begin.elapsed().as_secs_f64();
    eprintln!("{rate:.0} attempts a second written");
    let dropped: u64 = bench.ended.values().map(|outcome| outcome.output_dropped_bytes).sum();
    assert_eq!(dropped, 0);
    assert!(fs::read_dir(dir.path()).unwrap().count() <= 2);

    let store = Store::open(dir.path());
    let begin = Instant::now();
    for (attempt, outcome) in &bench.ended {
        check_account(&read(&store, *attempt, outcome), outcome);
    }
    let rate = f64::from(ATTEMPTS) / begin.elapsed().as_secs_f64();
    eprintln!("{rate:.0} attempts a second read");
    let wanted = (0..ATTEMPTS).step_by(7).map(attempt).collect();
    let begin = Instant::now();
    let found = store.recover(&wanted);
    eprintln!("{:?} to recover", begin.elapsed());
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().all(|(attempt, outcome)| bench.ended[attempt] == *outcome));
}

#[test]
fn ten_thousand_attempts_are_merged_by_time() {
    const ATTEMPTS: u32 = 10_000;
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(Config { segment_bytes: 1 << 20, ..small(&dir) });
    for round in 0..3u64 {
        for of in 0..ATTEMPTS {
            let time_us = round * 1_000_000 + u64::from(of) * 37 % 100_003;
            bench.words(attempt(of), Stream::Stdout, time_us, 1);
        }
        bench.end(attempt(ATTEMPTS + round as u32));
        bench.wait_ended(attempt(ATTEMPTS + round as u32));
    }
    (0..ATTEMPTS).for_each(|of| bench.end(attempt(of)));
    bench.wait("all ends", |bench| bench.ended.len() == ATTEMPTS as usize + 3);
    let store = Store::open(dir.path());
    let written: u64 = (0..ATTEMPTS).map(|of| bench.ended[&attempt(of)].output_bytes).sum();
    let dropped: u64 = (0..ATTEMPTS).map(|of| bench.ended[&attempt(of)].output_dropped_bytes).sum();
    let sources = (0..ATTEMPTS).map(|of| {
        let extents = store.ended(bench.ended[&attempt(of)].output.unwrap()).unwrap();
        store.read(attempt(of), &extents)
    });
    let chunks: Vec<Chunk> = Merge::new(sources).map(Result::unwrap).collect();
    let output: Vec<&Chunk> = chunks.iter().filter(|c| c.stream == Stream::Stdout).collect();
    assert_eq!(output.iter().map(|c| c.data.len() as u64).sum::<u64>() + dropped, written);
    let order = |pair: &[&Chunk]| {
        let key = |c: &Chunk| (c.time_us, c.attempt);
        key(pair[0]) <= key(pair[1])
    };
    assert!(output.windows(2).all(order));
}

#[test]
fn an_attempt_whose_clock_was_set_back_stays_in_order() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    for (of, time_us) in [(0, 500_000), (1, 100_000), (0, 200_000), (1, 300_000), (0, 600_000)] {
        bench.words(attempt(of), Stream::Stdout, time_us, 1);
    }
    (0..2).for_each(|of| bench.end(attempt(of)));
    (0..2).for_each(|of| drop(bench.wait_ended(attempt(of))));
    let store = Store::open(dir.path());
    let sources = (0..2).map(|of| {
        let extents = store.ended(bench.ended[&attempt(of)].output.unwrap()).unwrap();
        store.read(attempt(of), &extents)
    });
    let merged: Vec<_> = Merge::new(sources)
        .map(|chunk| chunk.map(|chunk| (chunk.attempt.element.index, chunk.time_us)).unwrap())
        .collect();
    let wanted = [(1, 100_000), (1, 300_000), (0, 500_000), (0, 200_000), (0, 600_000)];
    assert_eq!(merged, wanted);
}

#[test]
fn a_merge_goes_on_with_what_is_written_later() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    let store = Store::open(dir.path());
    let mut merge = Merge::default();
    let mut shown = Vec::new();
    for round in 0..20u64 {
        for (of, offset_us) in [(0, 100_000), (1, 300_000), (0, 500_000), (round as u32, 700_000)] {
            bench.words(attempt(of), Stream::Stdout, round * 1_000_000 + offset_us, 1);
        }
        bench.end(attempt(100 + round as u32));
        bench.wait_ended(attempt(100 + round as u32));
        for (attempt, extents) in std::mem::take(&mut bench.told) {
            // Twice, as after a new greeting.
            merge.extend(&store, attempt, &extents);
            merge.extend(&store, attempt, &bench.writer.extents(attempt));
        }
        shown.extend(merge.by_ref().map(|chunk| chunk.unwrap().time_us));
    }
    assert_eq!(shown.len(), 80);
    assert!(shown.is_sorted(), "{shown:?}");
}
