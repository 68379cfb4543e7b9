//! One attempt has limits: its beginning and its end stay, the middle goes with a mark.

use std::fs;

use super::*;
use crate::output::frame::own_dir;

#[test]
fn a_talkative_attempt_keeps_its_head_and_its_tail() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    for round in 0..500 {
        bench.words(attempt(0), Stream::Stdout, round * 20_000, 50);
        bench.words(attempt(1), Stream::Stdout, round * 20_000, 1);
        if round % 10 == 0 {
            bench.end(attempt(1000 + round as u32));
            bench.wait_ended(attempt(1000 + round as u32));
        }
    }
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    assert_eq!(outcome.output_bytes, 200_000);
    let chunks = read(&Store::open(dir.path()), attempt(0), &outcome);
    check_account(&chunks, &outcome);

    let mark = chunks.iter().position(|chunk| chunk.stream == Stream::Mark).unwrap();
    let sizes: Vec<u64> = chunks.iter().map(|chunk| chunk.data.len() as u64).collect();
    assert_eq!(sizes[..mark].iter().sum::<u64>(), 4096, "the head is the whole share");
    let tail: u64 = sizes[mark + 1..].iter().sum();
    assert!((2 * 7000..=3 * 8192).contains(&tail), "the tail is two to three files: {tail}");
    let dropped = 200_000 - 4096 - tail;
    let text = String::from_utf8(chunks[mark].data.clone()).unwrap();
    let size = format!("{:.1} KiB", dropped as f64 / 1024.0);
    assert!(text.starts_with(&format!("[windlass: {size} of output dropped here: the oldest")));
    assert_eq!(outcome.output_dropped_bytes, dropped);

    let extents = Store::open(dir.path()).ended(outcome.output.unwrap()).unwrap();
    assert_eq!(extents.iter().filter(|extent| extent.own_file > 0).count(), 3);
    let files = fs::read_dir(own_dir(dir.path(), attempt(0))).unwrap();
    let lengths: Vec<u64> = files.map(|file| file.unwrap().metadata().unwrap().len()).collect();
    assert_eq!(lengths.len(), 3);
    assert!(lengths.iter().all(|length| *length <= 8192), "{lengths:?}");
}

#[test]
fn segments_are_not_written_beyond_their_length() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    for of in 0..200 {
        bench.words(attempt(of), Stream::Stdout, 1, 100);
        bench.end(attempt(of));
    }
    bench.wait("all ends", |bench| bench.ended.len() == 200);
    let files = fs::read_dir(dir.path()).unwrap();
    let lengths: Vec<u64> = files.map(|file| file.unwrap().metadata().unwrap().len()).collect();
    assert!(lengths.len() > 8, "{lengths:?}");
    assert!(lengths.iter().all(|length| *length <= 20_000), "{lengths:?}");
    let store = Store::open(dir.path());
    for (attempt, outcome) in &bench.ended {
        check_account(&read(&store, *attempt, outcome), outcome);
        assert_eq!(outcome.output_dropped_bytes, 0);
    }
}

#[test]
fn an_attempt_that_writes_for_long_has_a_short_list() {
    let dir = TempDir::new().unwrap();
    let config = Config { shared_bytes_max: 1 << 20, own_file_bytes: 1 << 20, ..small(&dir) };
    let mut bench = Bench::new(config);
    for round in 0..600 {
        bench.words(attempt(0), Stream::Stdout, round * 20_000, 1);
        bench.words(attempt(1), Stream::Stdout, round * 20_000, 50);
        bench.words(attempt(1000 + round as u32), Stream::Stdout, round * 20_000, 200);
        bench.end(attempt(1000 + round as u32));
        bench.wait_ended(attempt(1000 + round as u32));
    }
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    let store = Store::open(dir.path());
    let extents = store.ended(outcome.output.unwrap()).unwrap();
    assert!(extents.len() <= 64, "{} extents", extents.len());
    assert!(extents.iter().any(|extent| extent.own_file > 0), "it left for its own files");
    assert_eq!(outcome.output_dropped_bytes, 0);
    check_account(&read(&store, attempt(0), &outcome), &outcome);
}
