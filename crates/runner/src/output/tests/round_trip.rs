//! What goes in comes out, on a good disk and on a bad one.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Words {
        of: u32,
        stderr: bool,
        count: u64,
    },
    End {
        of: u32,
    },
    /// Waits until all before is written, so that the next steps are another batch.
    Sync,
    Room(u64),
    Write(i32),
    Open(i32),
    Truncate(i32),
    Piece(usize),
    Lie,
    Heal,
}

fn step(faults: bool) -> BoxedStrategy<Step> {
    let words = (0..5u32, any::<bool>(), prop_oneof![1..20u64, 100..3000u64])
        .prop_map(|(of, stderr, count)| Step::Words { of, stderr, count });
    let end = (0..5u32).prop_map(|of| Step::End { of });
    let good = prop_oneof![8 => words, 1 => end, 2 => Just(Step::Sync)];
    if !faults {
        return good.boxed();
    }
    let errno = prop_oneof![Just(libc::EIO), Just(libc::ENOSPC)];
    let fault = prop_oneof![
        4 => (0..60_000u64).prop_map(Step::Room),
        1 => errno.clone().prop_map(Step::Write),
        1 => errno.clone().prop_map(Step::Open),
        1 => errno.prop_map(Step::Truncate),
        1 => (1..5000usize).prop_map(Step::Piece),
        1 => Just(Step::Lie),
        3 => Just(Step::Heal),
    ];
    prop_oneof![4 => good, 1 => fault].boxed()
}

/// Does the steps; an attempt that has ended gives way to one with an index 10 higher.
fn play(queue_bytes_max: usize, steps: Vec<Step>) {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    let mut bench = Bench::on(Config { queue_bytes_max, ..small(&dir) }, Box::new(disk.clone()));
    let mut lives = [0, 1, 2, 3, 4];
    let mut sync = 1000;
    for (time_us, step) in (1_000_000..).step_by(4000).zip(steps) {
        match step {
            Step::Words { of, stderr, count } => {
                let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
                bench.words(attempt(lives[of as usize]), stream, time_us, count);
            }
            Step::End { of } => {
                bench.end(attempt(lives[of as usize]));
                lives[of as usize] += 10;
            }
            Step::Sync => {
                sync += 1;
                bench.end(attempt(sync));
                bench.wait_ended(attempt(sync));
            }
            Step::Room(bytes) => disk.set(|faults| faults.room = Some(bytes)),
            Step::Write(errno) => disk.set(|faults| faults.write = Some(errno)),
            Step::Open(errno) => disk.set(|faults| faults.open = Some(errno)),
            // A disk that lies and cannot cut either leaves ends that nobody told.
            Step::Truncate(errno) => disk.set(|faults| {
                faults.truncate = Some(errno);
                faults.lie = false;
            }),
            Step::Piece(bytes) => disk.set(|faults| faults.piece = Some(bytes)),
            Step::Lie => disk.set(|faults| *faults = Faults { lie: true, ..Faults::default() }),
            Step::Heal => disk.set(|faults| *faults = Faults::default()),
        }
    }
    lives.iter().for_each(|of| bench.end(attempt(*of)));
    let all: Vec<_> = bench.positions.keys().copied().collect();
    all.iter().for_each(|of| drop(bench.wait_ended(*of)));
    check_ended(&dir, &bench);
}

fn check_ended(dir: &TempDir, bench: &Bench) {
    let store = Store::open(dir.path());
    let ends = store.recover(&bench.ended.keys().copied().collect());
    for (attempt, outcome) in &bench.ended {
        if outcome.output_bytes > 0 && outcome.output.is_some() {
            check_account(&read(&store, *attempt, outcome), outcome);
        }
        if let Some(found) = ends.get(attempt) {
            assert_eq!(found, &Outcome { output: found.output, ..outcome.clone() });
            assert_eq!(found.output, outcome.output);
        }
        // What was told while it lived shows the same, but for what was rotated away since.
        let told = bench.told.get(attempt).map(Vec::as_slice).unwrap_or_default();
        let chunks: Vec<_> = store.read(*attempt, told).map(Result::unwrap).collect();
        if outcome.output.is_some() {
            check_account(&chunks, outcome);
        }
    }
}

/// A queue that often has no room, or always has.
fn queue() -> impl Strategy<Value = usize> {
    prop_oneof![30_000..60_000usize, Just(16 << 20)]
}

/// How many, unless `PROPTEST_CASES` says it.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_time: 30_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_byte_is_read_in_its_place_or_counted(
        queue in queue(),
        steps in prop::collection::vec(step(false), 1..60),
    ) {
        play(queue, steps);
    }

    #[test]
    fn a_bad_disk_loses_bytes_but_never_the_account(
        queue in queue(),
        steps in prop::collection::vec(step(true), 1..120),
    ) {
        play(queue, steps);
    }
}

#[test]
fn streams_times_and_bytes_that_are_no_text_survive() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    let written: [(Stream, u64, &[u8]); 4] = [
        (Stream::Stdout, 1_000_000, b"one\n"),
        (Stream::Stderr, 1_000_001, &[0xff, 0x00, 0xc3, 0x28]),
        (Stream::Stdout, 1_000_002, b"two"),
        (Stream::Mark, 1_000_003, b"[windlass: a word]"),
    ];
    for (stream, time_us, bytes) in written {
        bench.writer.append(attempt(0), stream, time_us, bytes);
    }
    bench.positions.insert(attempt(0), 11);
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    let chunks = read(&Store::open(dir.path()), attempt(0), &outcome);
    let chunks: Vec<_> = chunks.iter().map(|c| (c.stream, c.time_us, c.data.as_slice())).collect();
    assert_eq!(chunks, written);
}

#[test]
fn a_silent_attempt_leaves_an_end_and_no_reference() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    assert_eq!(outcome, done());
    let found = Store::open(dir.path()).recover(&[attempt(0), attempt(1)].into());
    assert_eq!(found, [(attempt(0), done())].into());
}

#[test]
fn a_new_writer_begins_a_new_segment_and_recent_ends_are_found() {
    let dir = TempDir::new().unwrap();
    for index in 0..6 {
        let mut bench = Bench::new(small(&dir));
        bench.words(attempt(index), Stream::Stdout, 1, 10);
        bench.end(attempt(index));
        assert_eq!(bench.wait_ended(attempt(index)).output.unwrap().segment, index + 1);
    }
    let found = Store::open(dir.path()).recover(&(0..9).map(attempt).collect());
    let last_four: Vec<_> = (2..6).map(attempt).collect();
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), last_four);
}

#[test]
fn a_dropped_writer_has_written_everything() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(small(&dir));
    for of in 0..1000 {
        bench.words(attempt(of), Stream::Stdout, 1, 1);
        bench.end(attempt(of));
    }
    drop(bench);
    let last = attempt(999);
    let found = Store::open(dir.path()).recover(&[last].into());
    check_account(&read(&Store::open(dir.path()), last, &found[&last]), &found[&last]);
}

#[test]
fn two_writers_share_a_directory() {
    let dir = TempDir::new().unwrap();
    let mut benches = [Bench::new(small(&dir)), Bench::new(small(&dir))];
    for of in 0..100 {
        let bench = &mut benches[of as usize % 2];
        bench.words(attempt(of), Stream::Stdout, 1, 200);
        bench.end(attempt(of));
        bench.wait_ended(attempt(of));
    }
    let store = Store::open(dir.path());
    for (attempt, outcome) in benches.iter().flat_map(|bench| &bench.ended) {
        check_account(&read(&store, *attempt, outcome), outcome);
        assert_eq!(outcome.output_dropped_bytes, 0);
    }
}

#[test]
fn a_follower_sees_everything_once_while_it_is_written() {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench::new(Config { own_files: 1000, ..small(&dir) });
    let store = Store::open(dir.path());
    let mut frames = store.read(attempt(0), &[]);
    let mut chunks = Vec::new();
    for round in 0..200 {
        bench.words(attempt(0), Stream::Stdout, round * 20_000, 1 + round % 50 * 10);
        bench.words(attempt(1), Stream::Stdout, round * 20_000, 10);
        bench.poll();
        frames.extend(&bench.told.remove(&attempt(0)).unwrap_or_default());
        if round == 100 {
            // A new daemon hears all again.
            frames.extend(&bench.writer.extents(attempt(0)));
        }
        chunks.extend(frames.by_ref().map(Result::unwrap));
    }
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    frames.extend(&bench.told.remove(&attempt(0)).unwrap_or_default());
    chunks.extend(frames.map(Result::unwrap));
    assert_eq!(outcome.output_dropped_bytes, 0);
    check_account(&chunks, &outcome);
    assert!(bench.writer.extents(attempt(0)).is_empty());
}
