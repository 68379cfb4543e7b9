//! The ids of traces and spans, computed from what the journal has.
//!
//! A trace is a run of one incarnation of one cluster, so every node and every life of one names it
//! alike. The number in front of each hash is part of the form: it never changes its meaning.

use model::{Attempt, ClusterId, RunId};
use sha2::{Digest, Sha256};

/// What a span stands for. A number once given keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Run = 1,
    Submit = 2,
    Commit = 3,
    Place = 4,
    Assign = 5,
    Attempt = 6,
    Start = 7,
    Process = 8,
    Report = 9,
}

/// Gives ids to the traces of a cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    pub(super) cluster: ClusterId,
    pub(super) incarnation: u16,
}

impl Ids {
    /// The trace of a run.
    pub(super) fn trace(&self, run: RunId) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(self.cluster.0.as_bytes());
        hash.update(self.incarnation.to_be_bytes());
        hash.update(run.0.to_be_bytes());
        first(&hash)
    }
}

/// A span of a run as a whole; `at` tells those of one stage apart, as the index in the journal.
pub(super) fn of_run(trace: [u8; 16], stage: Stage, at: u64) -> [u8; 8] {
    span(trace, stage, [0, 0, 0], at)
}

/// A span of a task's elements that got their node at one index in the journal.
pub(super) fn of_task(trace: [u8; 16], stage: Stage, task: u32, first: u32, at: u64) -> [u8; 8] {
    span(trace, stage, [task, first, 0], at)
}

/// A span of an attempt.
pub(super) fn of_attempt(trace: [u8; 16], stage: Stage, attempt: Attempt) -> [u8; 8] {
    let Attempt { element, number } = attempt;
    span(trace, stage, [element.task, element.index, number], 0)
}

/// What a span does beneath another: its commit.
pub(super) fn below(trace: [u8; 16], parent: [u8; 8], stage: Stage) -> [u8; 8] {
    span(trace, stage, [0, 0, 0], u64::from_be_bytes(parent))
}

fn span(trace: [u8; 16], stage: Stage, of: [u32; 3], at: u64) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(trace);
    hash.update([stage as u8]);
    of.iter().for_each(|number| hash.update(number.to_be_bytes()));
    hash.update(at.to_be_bytes());
    first(&hash)
}

fn first<const N: usize>(hash: &Sha256) -> [u8; N] {
    let whole = hash.clone().finalize();
    let mut id = [0; N];
    id.copy_from_slice(&whole[..N]);
    // All zeros would be no id.
    id[N - 1] |= u8::from(id == [0; N]);
    id
}

#[cfg(test)]
mod tests {
    use model::Element;

    use super::*;

    #[test]
    fn ids_follow_from_numbers_and_differ_with_each() {
        let cluster = ClusterId("67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap());
        let ids = Ids { cluster, incarnation: 1 };
        let trace = ids.trace(RunId(7));
        // A collector has them: a new build must make the same.
        assert_eq!(hex(&trace), "2e81f22f154a95165868c9216598ff71");
        assert_eq!(hex(&of_run(trace, Stage::Run, 0)), "e204ac7e36359caf");
        assert_ne!(trace, ids.trace(RunId(8)));
        assert_ne!(trace, Ids { incarnation: 2, ..ids }.trace(RunId(7)));
        let attempt = |index, number| {
            let element = Element { run: RunId(7), task: 0, index };
            of_attempt(trace, Stage::Attempt, Attempt { element, number })
        };
        assert_ne!(attempt(1, 2), attempt(2, 1));
        assert_ne!(of_run(trace, Stage::Place, 4), of_run(trace, Stage::Place, 5));
        assert_ne!(of_run(trace, Stage::Run, 0), of_run(trace, Stage::Submit, 0));
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
