//! What a fuzzer has found interesting, as plain tests: each input of `fuzz/corpus` goes through the
//! function that its target calls.
//!
//! They stand here because the node may use all the crates whose bytes are read back from a disk.

#[path = "../../../fuzz/checks/history_part.rs"]
mod history_part;
#[path = "../../../fuzz/checks/prepared.rs"]
mod prepared;
#[path = "../../../fuzz/checks/record.rs"]
mod record;
#[path = "../../../fuzz/checks/state.rs"]
mod state;

use std::fs;
use std::path::Path;

/// Gives each input of the corpus to `check`; a failure names the input.
fn each(target: &str, check: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(&directory).expect("the target has a corpus") {
        let path = entry.expect("the corpus can be listed").path();
        let bytes = fs::read(&path).expect("an input can be read");
        let done = std::panic::catch_unwind(|| check(&bytes));
        assert!(done.is_ok(), "the input {} fails", path.display());
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", directory.display());
}

#[test]
fn records_of_the_journal() {
    each("record", record::check);
}

#[test]
fn snapshots_of_the_state() {
    each("state", state::check);
}

#[test]
fn snapshots_of_the_cluster() {
    each("cluster_snapshot", node::fuzz::cluster_snapshot);
}

#[test]
fn files_of_the_journal() {
    each("journal_segment", journal::fuzz::segment);
    each("journal_snapshot", journal::fuzz::snapshot);
}

#[test]
fn files_of_output() {
    each("output_segment", runner::fuzz::segment);
    each("output_lists", runner::fuzz::lists);
}

#[test]
fn files_of_history() {
    each("history_block", history::fuzz::block);
    each("history_part", history_part::check);
}
