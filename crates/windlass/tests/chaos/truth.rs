//! What really happened, as the tasks themselves wrote it down outside of the cluster, and which of
//! it must not have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// An element: its run and its index.
pub(crate) type Element = (u64, u32);

/// The directory of the truth.
pub(crate) struct Truth {
    dir: TempDir,
}

/// One line that a task wrote.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) is_start: bool,
    pub(crate) attempt: u64,
    pub(crate) fence: u64,
    pub(crate) node: String,
    /// Seconds since the machine started, to the hundredth.
    pub(crate) boot_s: f64,
    /// No other attempt of the element lived when this one began.
    pub(crate) is_alone: bool,
}

/// A machine was frozen whole, and thawed later.
#[derive(Clone, Debug)]
pub(crate) struct Freeze {
    pub(crate) node: &'static str,
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
}

impl Truth {
    pub(crate) fn new() -> Truth {
        for tool in ["flock", "seq", "sleep"] {
            let there = Command::new(tool).arg("--version").output();
            assert!(there.is_ok(), "`{tool}` is not there: install util-linux and coreutils");
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("locks")).unwrap();
        Truth { dir }
    }

    /// Where tasks write, and machines have their disks.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What the tasks have written, in its order, by element.
    pub(crate) fn read(&self) -> BTreeMap<Element, Vec<Line>> {
        let text = std::fs::read_to_string(self.path().join("truth")).unwrap_or_default();
        let mut all: BTreeMap<Element, Vec<Line>> = BTreeMap::new();
        for text in text.lines() {
            let words: Vec<&str> = text.split(' ').collect();
            let [what, run, index, attempt, fence, node, boot_s, alone] = words[..] else {
                panic!("a damaged line: {text:?}");
            };
            let line = Line {
                is_start: what == "start",
                attempt: attempt.parse().unwrap(),
                fence: fence.parse().unwrap(),
                node: node.to_owned(),
                boot_s: boot_s.parse().unwrap(),
                is_alone: alone == "yes",
            };
            let element = (run.parse().unwrap(), index.parse().unwrap());
            all.entry(element).or_default().push(line);
        }
        all
    }

    /// Makes a file that a task may wait for.
    pub(crate) fn touch(&self, name: &str) {
        std::fs::write(self.path().join(name), "").unwrap();
    }

    /// Keeps the directory for whoever looks for what went wrong.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }
}

/// How often an attempt lived beside an older one that had been frozen whole; an error where one
/// did without such an excuse.
pub(crate) fn overlaps(lines: &[Line], freezes: &[Freeze]) -> Result<usize, String> {
    let mut excused = 0;
    let mut newest = &lines[0];
    for line in &lines[1..] {
        let is_new = line.is_start;
        let excuse = |older: &Line, until_s: f64| {
            let was_frozen = |freeze: &Freeze| {
                freeze.node == older.node && freeze.from_s <= until_s && freeze.to_s >= older.boot_s
            };
            freezes.iter().any(was_frozen)
        };
        if is_new && line.fence <= newest.fence {
            return Err(format!("{line:?} started after {newest:?}"));
        }
        if is_new && !line.is_alone {
            // Whichever it was that still lived: one of those before.
            let mut before = lines.iter().take_while(|other| other.fence < line.fence);
            if !before.any(|older| excuse(older, line.boot_s)) {
                return Err(format!("{line:?} was not alone"));
            }
            excused += 1;
        }
        if !is_new && line.fence < newest.fence {
            let start = lines.iter().find(|other| other.is_start && other.fence == line.fence);
            if !start.is_some_and(|start| excuse(start, newest.boot_s)) {
                return Err(format!("{line:?} went on beside {newest:?}"));
            }
        }
        if is_new {
            newest = line;
        }
    }
    Ok(excused)
}

/// Seconds since the machine started, as tasks see them.
pub(crate) fn boot_s() -> f64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    uptime.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn an_overlap_has_one_excuse() {
    let line = |is_start, fence, node: &str, boot_s, is_alone| {
        let attempt = fence;
        Line { is_start, attempt, fence, node: node.to_owned(), boot_s, is_alone }
    };
    let freeze = [Freeze { node: "a", from_s: 2.0, to_s: 9.0 }];
    let good = [line(true, 1, "a", 1.0, true), line(true, 2, "b", 5.0, true)];
    assert_eq!(overlaps(&good, &[]), Ok(0));
    let beside = [line(true, 1, "a", 1.0, true), line(true, 2, "b", 5.0, false)];
    assert!(overlaps(&beside, &[]).is_err());
    assert_eq!(overlaps(&beside, &freeze), Ok(1));
    let went_on = [&good[..], &[line(false, 1, "a", 9.5, true)]].concat();
    assert!(overlaps(&went_on, &[]).is_err());
    assert_eq!(overlaps(&went_on, &freeze), Ok(0));
    let elsewhere = [Freeze { node: "b", ..freeze[0].clone() }];
    assert!(overlaps(&beside, &elsewhere).is_err() && overlaps(&went_on, &elsewhere).is_err());
    let stale = [line(true, 2, "a", 1.0, true), line(true, 1, "b", 5.0, true)];
    assert!(overlaps(&stale, &freeze).is_err());
}
