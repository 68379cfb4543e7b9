//! Random work against a plain model: what is found is what was added and not deleted.

use std::collections::{BTreeMap, BTreeSet};

use history::{Fact, Found, Purge, RunFilter, States, Told};
use model::{RangeSet, RunId, TaskState};

use crate::support::*;

struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % most
    }
}

#[test]
fn whatever_is_done_the_same_is_found() {
    for seed in 0..4 {
        work(seed);
    }
}

fn work(seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(seed);
    let mut history = open(dir.path());
    let mut journal: Vec<Vec<Fact>> = Vec::new();
    let mut elements: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
    let mut runs_there: BTreeSet<u64> = BTreeSet::new();
    for _ in 0..80 {
        match random.below(12) {
            0..=6 => {
                let mut facts = Vec::new();
                for _ in 0..random.below(200) {
                    let run = 1 + random.below(12);
                    let ordinal = random.below(5_000) as u32;
                    let is_open = !runs_there.contains(&run);
                    if is_open && elements.entry(run).or_default().insert(ordinal) {
                        facts.push(ended(run, ordinal));
                    }
                }
                if random.below(8) == 0 {
                    let next = runs_there.last().map_or(1, |last| last + 1);
                    runs_there.insert(next);
                    facts.push(run(next));
                }
                journal.push(facts.clone());
                history.add([(journal.len() as u64, facts)]);
            }
            7 | 8 => history.flush().unwrap(),
            9 => _ = history.tend(NOW_MS).unwrap(),
            10 => {
                // A crash: the journal brings again what was not on disk.
                history = open(dir.path());
                let again = journal.iter().enumerate().map(|(n, f)| (n as u64 + 1, f.clone()));
                history.add(again);
            }
            _ => {
                history.flush().unwrap();
                let before = NOW_MS + 11 + random.below(20);
                let filter = RunFilter { ended_before_ms: Some(before), ..RunFilter::default() };
                let mut purge = Purge::new(filter, false);
                while history.purge_step(&mut purge).unwrap() {}
                let gone: Vec<u64> =
                    runs_there.iter().copied().filter(|n| NOW_MS + n + 10 < before).collect();
                // They stay gone when the journal brings them again.
                gone.into_iter().for_each(|run| _ = elements.insert(run, BTreeSet::new()));
            }
        }
        let run = 1 + random.below(12);
        let expected: Vec<u32> = elements.get(&run).into_iter().flatten().copied().collect();
        assert_eq!(ordinals(&history, run), expected, "seed {seed}, run {run}");
        let first = random.below(5_000) as u32;
        let range = first..=first + random.below(50) as u32;
        let some = told(&history, run, RangeSet::from_iter([range.clone()]), States::UNSUCCESSFUL);
        let failed: Vec<u32> = some.iter().map(Told::first).collect();
        let wanted = |n: &u32| range.contains(n) && n % 10 == 3;
        assert_eq!(failed, expected.into_iter().filter(wanted).collect::<Vec<_>>(), "seed {seed}");
        if let Found::Known(head) = history.head(RunId(run)) {
            assert_eq!((head.run.0, head.profile.state), (run, TaskState::Succeeded));
            assert!(runs_there.contains(&run));
        }
    }
}
