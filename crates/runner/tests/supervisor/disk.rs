//! Disks that are full or stall: tasks start, run and are killed as on any other.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use model::{Ending, Outcome, StopCause};
use runner::output::{Chunk, Store, Stream};

use super::support::*;

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    rss.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_disk_that_stalls_keeps_nobody_from_starting_ending_or_dying() {
    let mut node = Node::new();
    // The first attempt's own file, which is opened once it has written its share, stalls.
    let own = node.path("output/own/7-0-1-1");
    fs::create_dir_all(&own).unwrap();
    let Some(lease) = Lease::new(File::create(own.join("001.out")).unwrap()) else { return };
    let through = node.path("through");
    let script = format!("head -c 300000000 /dev/zero; : > {}; exec sleep 1000", through.display());
    let talkative = node.started(&shell(&script), 1);
    until("the disk stalls", || lease.is_asked_for());

    // Its 300 MB find no disk, and it goes on.
    until("it has written all", || through.exists());
    let pid = node.started(&task(&["sleep", "1000"]), 2);
    node.stop(2, StopCause::Cancel);
    until("it is killed", || !lives(pid));
    // More than there are seats, so each is free again though no end can be written.
    for index in 10..20 {
        let done = node.path(&format!("done{index}"));
        node.start(&shell(&format!("echo {index}; : > {}", done.display())), &[index]);
    }
    until("all have run", || (10..20).all(|index| node.path(&format!("done{index}")).exists()));
    node.stop(1, StopCause::Cancel);
    until("it is killed", || !lives(talkative));
    let kib = resident_kib(node.supervisor.id());
    assert!(kib < 120 << 10, "{kib} KiB resident");
    assert!(lease.is_asked_for(), "the disk stalls still");
    assert!(node.ended.is_empty(), "no end is told before it is written");

    drop(lease);
    assert!(node.end(1).output_dropped_bytes > 200_000_000);
    assert_eq!(node.end(2).stopped, Some(StopCause::Cancel));
    (10..20).for_each(|index| assert_eq!(node.end(index).ending, Ending::Exited { code: 0 }));
}

/// A small file system over a directory, unmounted when this is dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// `None` where mounting is not allowed.
    fn over(dir: &Path, size: &str) -> Option<Tmpfs> {
        let tmpfs = Tmpfs(dir.to_owned());
        tmpfs.mount(&format!("size={size}")).then_some(tmpfs)
    }

    fn mount(&self, options: &str) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&self.0);
        mount.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn read(node: &Node, index: u32, outcome: &Outcome) -> Vec<Chunk> {
    let store = Store::open(node.path("output"));
    let extents = store.ended(outcome.output.unwrap()).unwrap();
    store.read(attempt(index), &extents).map(Result::unwrap).collect()
}

#[test]
fn a_full_disk_stops_no_task_and_what_comes_after_it_was_emptied_is_kept() {
    let mut node = Node::with(None, 8000);
    let Some(tmpfs) = Tmpfs::over(&node.path("output"), "4m") else {
        eprintln!("mounting is refused here; the same is tested with a disk made up");
        return;
    };
    let gate = node.path("gate").display().to_string();
    let flood = "head -c 3000000 /dev/zero";
    let patient = shell(&format!(
        "{flood}; : > {gate}.full; while [ ! -e {gate} ]; do sleep 0.01; done; echo hello"
    ));
    node.start(&patient, &[1]);
    let all: Vec<u32> = (10..18).collect();
    node.start(&shell(flood), &all);
    let mut dropped = 0;
    for index in all {
        let outcome = node.end(index);
        assert_eq!(outcome.ending, Ending::Exited { code: 0 });
        assert_eq!(outcome.output_bytes, 3_000_000);
        dropped += outcome.output_dropped_bytes;
    }
    assert!(dropped > 8 * 3_000_000 - (4 << 20), "{dropped}");
    until("the patient one has written", || Path::new(&format!("{gate}.full")).exists());
    // It and its likes have filled the disk, or one that follows now does.
    assert!(node.run(&shell(flood), 20).output_dropped_bytes > 0);

    assert!(tmpfs.mount("remount,size=64m"), "it was mounted before");
    fs::write(&gate, "").unwrap();
    let outcome = node.end(1);
    let chunks = read(&node, 1, &outcome);
    assert_eq!(chunks.last().unwrap().data, b"hello\n");
    let marks = chunks.iter().filter(|chunk| chunk.stream == Stream::Mark);
    let shown: u64 = (chunks.iter().filter(|chunk| chunk.stream != Stream::Mark))
        .map(|chunk| chunk.data.len() as u64)
        .sum();
    assert_eq!(shown + outcome.output_dropped_bytes, 3_000_006);
    assert_eq!(marks.count() > 0, outcome.output_dropped_bytes > 0);
    let outcome = node.run(&shell(flood), 30);
    assert_eq!(outcome.output_dropped_bytes, 0);
    assert_eq!(
        read(&node, 30, &outcome).iter().map(|chunk| chunk.data.len()).sum::<usize>(),
        3_000_000
    );
}
