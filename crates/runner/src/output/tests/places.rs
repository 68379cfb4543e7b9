//! Reading on where another reader stopped, and reading from behind.

use model::{Attempt, OutputRef};
use tempfile::TempDir;

use super::{Bench, attempt, small};
use crate::output::{Chunk, Config, Merge, Place, Store, Stream};

/// Lines, words of Windlass, and rotated files: all that may be cut anywhere.
fn written(dir: &TempDir) -> (Store, OutputRef) {
    let mut bench = Bench::new(small(dir));
    let one = attempt(1);
    for round in 0..60 {
        bench.words(one, Stream::Stdout, round * 100_000, 60);
        bench.words(one, Stream::Stderr, round * 100_000 + 50_000, 3);
        if round % 7 == 0 {
            bench.writer.append(one, Stream::Mark, round * 100_000 + 60_000, b"[windlass: look]");
            bench.writer.append(one, Stream::Mark, round * 100_000 + 70_000, b"[windlass: look]");
        }
        bench.words(attempt(2), Stream::Stdout, round * 100_000, 40);
    }
    bench.end(one);
    let outcome = bench.wait_ended(one);
    (Store::open(dir.path()), outcome.output.unwrap())
}

fn merged(store: &Store, at: OutputRef, from: Place) -> Vec<(Chunk, Place)> {
    let one: Attempt = attempt(1);
    let mut merge = Merge::default();
    merge.begin_at(store, one, from);
    merge.extend(store, one, &store.ended(at).unwrap());
    let mut all = Vec::new();
    while let Some(chunk) = merge.next() {
        all.push((chunk.unwrap(), merge.place(one)));
    }
    all
}

#[test]
fn a_reader_goes_on_after_any_chunk_without_loss_or_double() {
    let dir = TempDir::new().unwrap();
    let (store, at) = written(&dir);
    let all = merged(&store, at, Place::default());
    let marks = all.iter().filter(|(chunk, _)| chunk.stream == Stream::Mark).count();
    assert!(all.len() > 60 && marks > 2, "{} chunks, {marks} marks", all.len());
    for (count, (_, place)) in all.iter().enumerate() {
        assert!(count == 0 || *place > all[count - 1].1, "places grow");
        assert_eq!(merged(&store, at, *place), all[count + 1..], "from chunk {count} on");
    }
}

#[test]
fn a_tail_is_the_end_of_what_is_read_from_the_beginning() {
    let dir = TempDir::new().unwrap();
    let (store, at) = written(&dir);
    let all = merged(&store, at, Place::default());
    let bytes = |chunks: &[(Chunk, Place)]| -> Vec<u8> {
        chunks.iter().flat_map(|(chunk, _)| chunk.data.clone()).collect()
    };
    let end = all.last().unwrap().1;
    for bytes_max in [1, 7, 100, 500, 5_000, 20_000, 1 << 20] {
        let tail = store.tail(attempt(1), at, bytes_max).unwrap();
        let (whole, part) = (bytes(&all), bytes(&tail.chunks));
        assert!(part.len() <= bytes_max && part.len() + 16 >= bytes_max.min(whole.len()));
        assert!(whole.ends_with(&part), "{bytes_max}");
        assert_eq!(tail.chunks.last().unwrap().1.bytes, end.bytes);
        let (first, place) = &tail.chunks[0];
        if first.stream != Stream::Mark {
            assert_eq!(tail.position + first.data.len() as u64, place.bytes);
        }
        if bytes_max > whole.len() {
            assert_eq!((tail.position, tail.chunks.len()), (0, all.len()));
        }
    }
}

#[test]
fn a_tail_of_much_output_is_read_from_behind() {
    let dir = TempDir::new().unwrap();
    let config = Config { dir: dir.path().to_owned(), ..Config::default() };
    let mut bench = Bench::new(config);
    for round in 0..400 {
        bench.words(attempt(1), Stream::Stdout, round * 20_000, 5_000);
    }
    bench.end(attempt(1));
    let outcome = bench.wait_ended(attempt(1));
    let store = Store::open(dir.path());
    let tail = store.tail(attempt(1), outcome.output.unwrap(), 64 << 10).unwrap();
    let size: usize = tail.chunks.iter().map(|(chunk, _)| chunk.data.len()).sum();
    assert_eq!((size as u64, tail.position), (64 << 10, outcome.output_bytes - (64 << 10)));
    let (first, _) = &tail.chunks[0];
    assert_eq!(first.data[..8], (tail.position).to_le_bytes());
}
