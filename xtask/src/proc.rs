//! What the kernel says of a process, and what lies in a directory.
//!
//! Everything is read from `/proc` as text, so that nothing of the house is linked in and no `unsafe` is needed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The kernel shows processor time in this unit on every architecture, whatever it counts in.
const TICKS_PER_SECOND: f64 = 100.0;
/// A directory deeper than this is none of ours.
const DEPTH_MAX: u32 = 8;

/// Memory of the processes that is in use, in MiB. What they share, such as the program's code, counts for each.
pub(crate) fn resident_mib(pids: &[u32]) -> Result<f64> {
    sum(pids, "status", |status| kib(status, "VmRSS:")).map(|kib| kib / 1024.0)
}

/// The most memory the process has had in use, in MiB.
pub(crate) fn peak_mib(pid: u32) -> Result<f64> {
    sum(&[pid], "status", |status| kib(status, "VmHWM:")).map(|kib| kib / 1024.0)
}

/// Processor time of the processes so far.
pub(crate) fn cpu_seconds(pids: &[u32]) -> Result<f64> {
    sum(pids, "stat", ticks).map(|ticks| ticks / TICKS_PER_SECOND)
}

/// Bytes that the process has had written to a disk.
pub(crate) fn written_bytes(pid: u32) -> Result<f64> {
    sum(&[pid], "io", |io| field(io, "write_bytes:")?.parse().ok())
}

/// The threads of the process.
pub(crate) fn threads(pid: u32) -> Result<f64> {
    sum(&[pid], "status", |status| field(status, "Threads:")?.parse().ok())
}

/// The open files of the process.
pub(crate) fn open_files(pid: u32) -> Result<usize> {
    let path = format!("/proc/{pid}/fd");
    Ok(fs::read_dir(&path).with_context(|| format!("listing {path}"))?.count())
}

/// The process whose command line has all of the words.
pub(crate) fn find(words: &[&str]) -> Option<u32> {
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        words.iter().all(|word| line.split('\0').any(|part| part == *word))
    })
}

/// Bytes of all files below the directory: as long as they are, and as much as they take of the disk.
///
/// What goes away while it is looked at counts as gone.
pub(crate) fn file_bytes(directory: &Path) -> (u64, u64) {
    let mut bytes = (0, 0);
    each_file(directory, DEPTH_MAX, &mut |_, file| {
        use std::os::unix::fs::MetadataExt as _;
        bytes.0 += file.len();
        bytes.1 += file.blocks() * 512;
    });
    bytes
}

/// Calls `take` with each file below the directory.
pub(crate) fn each_file(directory: &Path, depth: u32, take: &mut impl FnMut(&Path, &fs::Metadata)) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let Ok(found) = entry.metadata() else { continue };
        if found.is_dir() && depth > 0 {
            each_file(&entry.path(), depth - 1, take);
        } else if found.is_file() {
            take(&entry.path(), &found);
        }
    }
}

/// The sum over processes of a figure in one of their files in `/proc`.
fn sum(pids: &[u32], file: &str, read: impl Fn(&str) -> Option<f64>) -> Result<f64> {
    let figures = pids.iter().map(|pid| {
        let path = format!("/proc/{pid}/{file}");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("reading {path}: has the process ended?"))?;
        read(&text).with_context(|| format!("understanding {path}"))
    });
    figures.sum()
}

/// User and system time in `/proc/PID/stat`: the 14th and 15th field. The second, a name, may hold blanks.
fn ticks(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(ticks(11)? + ticks(12)?)
}

fn kib(status: &str, name: &str) -> Option<f64> {
    field(status, name)?.strip_suffix(" kB")?.parse().ok()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(ticks(stat), Some(300.0));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn the_own_process_has_figures() {
        let own = std::process::id();
        assert!(resident_mib(&[own]).unwrap() > 0.0);
        assert!(peak_mib(own).unwrap() >= resident_mib(&[own]).unwrap());
        assert!(threads(own).unwrap() >= 1.0 && open_files(own).unwrap() >= 3);
        assert!(cpu_seconds(&[own]).is_ok() && written_bytes(own).is_ok());
    }

    #[test]
    fn a_process_is_found_by_its_words() {
        let own = std::env::args().next().unwrap();
        assert!(find(&[&own]).is_some());
        assert_eq!(find(&["no process has such a word"]), None);
    }

    #[test]
    fn files_are_counted_with_those_below() {
        let package = crate::workspace::root().join("xtask");
        let (long, _) = file_bytes(&package.join("src"));
        assert!(long > fs::metadata(package.join("src/proc.rs")).unwrap().len());
        assert_eq!(file_bytes(&package.join("nowhere")), (0, 0));
    }
}
