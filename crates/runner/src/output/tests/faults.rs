//! Disks that stall, fill up or fail: tasks and ends go on, and what is lost is said.

use std::process::Command;
use std::sync::mpsc;

use super::*;

#[test]
fn a_stalled_disk_blocks_nobody_and_the_gap_is_marked() {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    disk.set(|faults| faults.stalled = true);
    let config = Config { queue_bytes_max: 64 << 10, own_files: 1000, ..small(&dir) };
    let mut bench = Bench::on(config, Box::new(disk.clone()));
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        for round in 0..2000 {
            bench.words(attempt(0), Stream::Stdout, round, 1000);
            bench.words(attempt(1), Stream::Stderr, round, 10);
        }
        bench.end(attempt(0));
        bench.end(attempt(2));
        tell.send(()).unwrap();
        bench
    });
    told.recv_timeout(PATIENCE).expect("append waited for the disk");
    let mut bench = thread.join().unwrap();
    bench.poll();
    assert!(bench.ended.is_empty());
    disk.set(|faults| faults.stalled = false);
    let outcome = bench.wait_ended(attempt(0));
    bench.wait_ended(attempt(2));
    assert!(outcome.output_dropped_bytes > 15_000_000);
    let chunks = read(&Store::open(dir.path()), attempt(0), &outcome);
    check_account(&chunks, &outcome);
    let mark = String::from_utf8(chunks.last().unwrap().data.clone()).unwrap();
    assert!(mark.ends_with("MiB of output dropped here: the disk is too slow]"), "{mark}");
    // The disk is well again, so what follows is kept.
    bench.words(attempt(1), Stream::Stdout, 3000, 10);
    bench.end(attempt(1));
    let outcome = bench.wait_ended(attempt(1));
    let chunks = read(&Store::open(dir.path()), attempt(1), &outcome);
    check_account(&chunks, &outcome);
    assert_eq!(chunks.last().unwrap().stream, Stream::Stdout);
}

#[test]
fn bytes_between_dropped_ones_stand_between_them() {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    let config = Config { queue_bytes_max: 10_000, ..small(&dir) };
    let mut bench = Bench::on(config, Box::new(disk.clone()));
    disk.stall(&mut bench);
    // The large ones find no room, the small ones do.
    for _ in 0..5 {
        bench.words(attempt(0), Stream::Stdout, 1, 2000);
        bench.words(attempt(0), Stream::Stdout, 1, 5);
        bench.words(attempt(1), Stream::Stdout, 1, 2000);
    }
    disk.set(|faults| faults.stalled = false);
    bench.end(attempt(0));
    bench.end(attempt(1));
    let store = Store::open(dir.path());
    for (of, kept, pieces) in [(attempt(0), 200, 10), (attempt(1), 0, 1)] {
        let outcome = bench.wait_ended(of);
        assert_eq!(outcome.output_bytes - outcome.output_dropped_bytes, kept);
        let chunks = read(&store, of, &outcome);
        check_account(&chunks, &outcome);
        assert_eq!(chunks.len(), pieces);
    }
}

#[test]
fn a_drop_is_counted_for_the_attempt_it_happened_to() {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    let config = Config { queue_bytes_max: 1000, ..small(&dir) };
    let mut bench = Bench::on(config, Box::new(disk.clone()));
    for order in [[0, 1], [1, 0]] {
        disk.stall(&mut bench);
        order.iter().for_each(|of| bench.words(attempt(*of), Stream::Stdout, 1, 200 + *of as u64));
        disk.set(|faults| faults.stalled = false);
        bench.end(attempt(100 + order[0]));
        bench.wait_ended(attempt(100 + order[0]));
    }
    bench.end(attempt(0));
    bench.end(attempt(1));
    for of in [attempt(0), attempt(1)] {
        let outcome = bench.wait_ended(of);
        check_account(&read(&Store::open(dir.path()), of, &outcome), &outcome);
    }
}

#[test]
fn bytes_refused_before_dropped_ones_are_one_loss_with_them() {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    let config = Config { queue_bytes_max: 2000, ..small(&dir) };
    let mut bench = Bench::on(config, Box::new(disk.clone()));
    disk.stall(&mut bench);
    bench.words(attempt(0), Stream::Stdout, 1, 50);
    bench.words(attempt(0), Stream::Stdout, 1, 1000);
    disk.set(|faults| (faults.stalled, faults.write) = (false, Some(libc::ENOSPC)));
    words_through(&mut bench, 1, 1);
    disk.set(|faults| faults.write = None);
    words_through(&mut bench, 50_000, 2);
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    let chunks = read(&Store::open(dir.path()), attempt(0), &outcome);
    check_account(&chunks, &outcome);
    assert_eq!(chunks.len(), 2);
    assert_eq!(outcome.output_bytes - outcome.output_dropped_bytes, 16);
}

#[test]
fn a_stalled_disk_does_not_keep_the_process() {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    disk.set(|faults| faults.stalled = true);
    let mut bench = Bench::on(small(&dir), Box::new(disk.clone()));
    bench.end(attempt(0));
    let begin = Instant::now();
    drop(bench);
    assert!(begin.elapsed() < PATIENCE);
    disk.set(|faults| faults.stalled = false);
}

#[test]
fn a_full_disk_drops_output_and_takes_it_again_when_there_is_room() {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    let mut bench = Bench::on(small(&dir), Box::new(disk.clone()));
    bench.words(attempt(0), Stream::Stdout, 1, 10);
    bench.wait("the first words", |bench| bench.told.contains_key(&attempt(0)));
    disk.set(|faults| faults.room = Some(100));
    bench.words(attempt(0), Stream::Stdout, 50_000, 50);
    bench.end(attempt(1));
    let silent = bench.wait_ended(attempt(1));
    assert_eq!(silent, done(), "an end is told though the disk has no room for it");
    disk.set(|faults| faults.room = None);
    bench.words(attempt(0), Stream::Stdout, 90_000, 10);
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    assert_eq!((outcome.output_bytes, outcome.output_dropped_bytes), (560, 400));
    let chunks = read(&Store::open(dir.path()), attempt(0), &outcome);
    check_account(&chunks, &outcome);
    let mark = String::from_utf8(chunks[1].data.clone()).unwrap();
    assert_eq!(mark, "[windlass: 400 bytes of output dropped here: the disk is full]");
}

#[test]
fn an_end_that_cannot_be_written_is_told_with_its_account() {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    disk.set(|faults| faults.write = Some(libc::EIO));
    let mut bench = Bench::on(small(&dir), Box::new(disk.clone()));
    bench.words(attempt(0), Stream::Stdout, 1, 10);
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    assert_eq!((outcome.output_bytes, outcome.output_dropped_bytes), (80, 80));
    assert_eq!(outcome.output, None);
    disk.set(|faults| faults.write = None);
    bench.words(attempt(1), Stream::Stdout, 1, 10);
    bench.end(attempt(1));
    let outcome = bench.wait_ended(attempt(1));
    check_account(&read(&Store::open(dir.path()), attempt(1), &outcome), &outcome);
    assert_eq!(outcome.output_dropped_bytes, 0);
}

/// The marks among the chunks.
fn marks(chunks: &[Chunk]) -> Vec<&str> {
    let marks = chunks.iter().filter(|chunk| chunk.stream == Stream::Mark);
    marks.map(|chunk| std::str::from_utf8(&chunk.data).unwrap()).collect()
}

#[test]
fn a_loss_behind_a_loss_has_a_mark_of_its_own() {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    let mut bench = Bench::on(small(&dir), Box::new(disk.clone()));
    disk.set(|faults| faults.write = Some(libc::EIO));
    words_through(&mut bench, 0, 35);
    // Room for the mark of that and not for the words behind it.
    disk.set(|faults| (faults.write, faults.room) = (None, Some(200)));
    words_through(&mut bench, 50_000, 40);
    disk.set(|faults| faults.room = None);
    words_through(&mut bench, 100_000, 1);
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    let chunks = read(&Store::open(dir.path()), attempt(0), &outcome);
    check_account(&chunks, &outcome);
    let refused = "[windlass: 280 bytes of output dropped here: the disk failed: \
                   Input/output error (os error 5)]";
    let full = "[windlass: 320 bytes of output dropped here: the disk is full]";
    assert_eq!(marks(&chunks), [refused, full]);
}

#[test]
fn a_loss_behind_what_was_rotated_away_has_a_mark_of_its_own() {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    let mut bench = Bench::on(Config { own_files: 1, ..small(&dir) }, Box::new(disk.clone()));
    // The share of 4096 bytes, and one word in the first own file.
    words_through(&mut bench, 0, 513);
    disk.set(|faults| faults.write = Some(libc::EIO));
    words_through(&mut bench, 50_000, 3);
    disk.set(|faults| faults.write = None);
    // The mark of that begins the second file, for which the first one goes.
    words_through(&mut bench, 100_000, 1);
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    let chunks = read(&Store::open(dir.path()), attempt(0), &outcome);
    check_account(&chunks, &outcome);
    let rotated = "[windlass: 8 bytes of output dropped here: \
                   the oldest goes beyond the limit of one attempt]";
    let refused = "[windlass: 24 bytes of output dropped here: the disk failed: \
                   Input/output error (os error 5)]";
    assert_eq!(marks(&chunks), [rotated, refused]);
}

/// Appends words and waits until the writer is through with them.
fn words_through(bench: &mut Bench, time_us: u64, count: u64) {
    bench.words(attempt(0), Stream::Stdout, time_us, count);
    let sync = attempt(1_000 + time_us as u32);
    bench.end(sync);
    bench.wait_ended(sync);
}

#[test]
fn what_the_disk_refused_does_not_count_against_the_share() {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    let mut bench = Bench::on(small(&dir), Box::new(disk.clone()));
    disk.set(|faults| faults.write = Some(libc::EIO));
    (0..10).for_each(|round| words_through(&mut bench, round, 500));
    disk.set(|faults| faults.write = None);
    words_through(&mut bench, 10, 512);
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    let store = Store::open(dir.path());
    let extents = store.ended(outcome.output.unwrap()).unwrap();
    assert!(extents.iter().all(|extent| extent.own_file == 0), "{extents:?}");
    check_account(&read(&store, attempt(0), &outcome), &outcome);
    assert_eq!(outcome.output_dropped_bytes, 40_000);
}

#[test]
fn own_files_that_the_disk_refused_push_none_out() {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    let mut bench = Bench::on(small(&dir), Box::new(disk.clone()));
    // The share of 4096 bytes, and one own file.
    words_through(&mut bench, 0, 512);
    words_through(&mut bench, 1, 500);
    for round in 2..10 {
        disk.set(|faults| faults.write = Some(libc::EIO));
        words_through(&mut bench, round, 900);
    }
    disk.set(|faults| faults.write = None);
    words_through(&mut bench, 10, 900);
    let extents = bench.writer.extents(attempt(0));
    assert!(extents.iter().any(|extent| extent.own_file == 1), "{extents:?}");
    // Two more and the first is pushed out; what it lost before is not counted again.
    (11..15).for_each(|round| words_through(&mut bench, round, 900));
    bench.end(attempt(0));
    let outcome = bench.wait_ended(attempt(0));
    let store = Store::open(dir.path());
    check_account(&read(&store, attempt(0), &outcome), &outcome);
    // Of five files, three are left.
    assert_eq!(outcome.output_bytes - outcome.output_dropped_bytes, 4096 + 3 * 7200);
}

#[test]
fn many_ends_on_a_failing_disk_ask_it_only_a_few_times() {
    let dir = TempDir::new().unwrap();
    let disk = BadDisk::default();
    disk.set(|faults| (faults.stalled, faults.write) = (true, Some(libc::EIO)));
    let mut bench = Bench::on(small(&dir), Box::new(disk.clone()));
    for of in 0..2000 {
        bench.words(attempt(of), Stream::Stdout, 1, 1);
        bench.end(attempt(of));
    }
    disk.set(|faults| faults.stalled = false);
    bench.wait("all ends", |bench| bench.ended.len() == 2000);
    // Two batches: what was there when the thread woke, and the rest.
    assert!(disk.writes() <= 8, "{} writes", disk.writes());
}

/// A mounted file system that is unmounted again.
struct Tmpfs(TempDir);

impl Tmpfs {
    /// None where mounting is not allowed.
    fn new(size: &str) -> Option<Tmpfs> {
        let dir = TempDir::new().unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path());
        let mounted = mount.status().is_ok_and(|status| status.success());
        mounted.then_some(Tmpfs(dir))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_really_full_file_system_loses_no_account() {
    let Some(tmpfs) = Tmpfs::new("128k") else {
        eprintln!("mounting is refused here; the same is tested with a disk made up");
        return;
    };
    let config = Config { own_file_bytes: 64 << 10, ..small(&tmpfs.0) };
    let mut bench = Bench::new(config);
    for round in 0..200 {
        bench.words(attempt(0), Stream::Stdout, round * 20_000, 500);
        bench.words(attempt(1), Stream::Stderr, round * 20_000, 100);
        bench.end(attempt(100 + round as u32));
        bench.wait_ended(attempt(100 + round as u32));
    }
    bench.end(attempt(0));
    bench.end(attempt(1));
    let store = Store::open(tmpfs.0.path());
    for of in [attempt(0), attempt(1)] {
        let outcome = bench.wait_ended(of);
        assert!(outcome.output_dropped_bytes > 0);
        if outcome.output.is_some() {
            check_account(&read(&store, of, &outcome), &outcome);
        }
    }
}
