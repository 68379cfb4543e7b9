//! A part of history, as it may come from a damaged disk: the history opens all the same, tells what is whole in it,
//! comes to an end, and takes in what comes next.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use history::{Found, History, RunFilter, Settings, States};
use model::{RangeSet, RunId};

/// Later than anything a seed tells of, Unix milliseconds.
const NOW_MS: u64 = 1_800_000_000_000;
/// No page, element or step beyond these is looked at.
const PAGES_MAX: usize = 20;
const TOLD_MAX: usize = 10_000;
const STEPS_MAX: usize = 100;

/// Opens a history that has the bytes as its only part, and looks at all of it.
pub(crate) fn check(bytes: &[u8]) {
    let directory = Directory::new();
    fs::write(directory.0.join("000000000001-000000000001.part"), bytes).expect("a file");
    let Ok(history) = History::open(&directory.0, Settings::default()) else { return };
    let mut before = RunId(u64::MAX);
    for _ in 0..PAGES_MAX {
        let page = history.list(&RunFilter::default(), before, 50);
        for head in &page.heads {
            assert!(head.run < before, "a list goes down");
            look(&history, head.run);
        }
        match page.next {
            Some(next) => {
                assert!(next < before, "a list comes to an end");
                before = next;
            }
            None => break,
        }
    }
    look(&history, RunId(1));
    let steps = (0..STEPS_MAX).take_while(|_| matches!(history.tend(NOW_MS), Ok(true))).count();
    assert!(steps < STEPS_MAX, "tending comes to an end");
    history.flush().expect("a temporary directory can be written to");
}

fn look(history: &History, run: RunId) {
    let all = RangeSet::from_iter([0..=u32::MAX - 1]);
    let told = history.elements(run, 0, &all, States::ANY).take(TOLD_MAX);
    let (mut first, mut count) = (0, 0);
    for one in told {
        assert!(one.first() >= first, "elements are told of in order");
        (first, count) = (one.first(), count + 1);
    }
    assert!(count < TOLD_MAX, "what is told comes to an end");
    if let Found::Known(head) = history.head(run) {
        assert_eq!(head.run, run);
        let _ = history.latest_named(&head.profile.name);
    }
    let _ = history.job(run);
}

/// A directory that is gone when this is.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("windlass-history-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).expect("a temporary directory can be made");
        Directory(directory)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
