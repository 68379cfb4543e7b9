//! How fast history takes facts, what they take of disk and memory, and how fast it is read.
//!
//! `cargo run --release -p history --example facts`
//!
//! A million elements of one array, a million runs of one job each, and facts that trickle in.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made has nothing to tell")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use history::{AttemptFact, Fact, History, Profile, RunFact, RunFilter, RunHead, Settings, States};
use model::{Ending, Fence, NodeId, Outcome, OutputRef, RangeSet, RunId, TaskState};

const COUNT: u32 = 1_000_000;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    array(&dir.path().join("array"), 1_000_000);
    runs(&dir.path().join("runs"));
    trickle(&dir.path().join("trickle"));
}

/// Facts as they come of 16 workers with 64 slots each, each element a little different.
fn attempt(run: u64, ordinal: u32, seed: &mut u64) -> AttemptFact {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    let noise = *seed >> 33;
    let placed_ms = 1_790_000_000_000 + u64::from(ordinal) / 100;
    let started_us = placed_ms * 1000 + 3_000 + noise % 20_000;
    let failed = noise.is_multiple_of(1000);
    AttemptFact {
        run: RunId(run),
        task: 0,
        ordinal,
        number: 1,
        fence: Fence::new(1, 1000 + u64::from(ordinal) / 500),
        node: NodeId(uuid::Uuid::from_u128(u128::from(noise % 16) << 64 | 0x1234_5678_9abc)),
        placed_ms,
        outcome: Outcome {
            started_us,
            ended_us: started_us + 900 + noise % 4_000,
            cpu_us: 700 + noise % 900,
            memory_peak_bytes: 4096 * (300 + noise % 50),
            output: Some(OutputRef {
                segment: ordinal / 50_000,
                offset: u64::from(ordinal % 50_000) * 130 + noise % 64,
            }),
            output_bytes: noise % 40,
            ..Outcome::bare(Ending::Exited { code: i32::from(failed) })
        },
        because: None,
        state: Some(if failed { TaskState::Failed } else { TaskState::Succeeded }),
    }
}

fn head(run: u64, elements: u64) -> Fact {
    let submitted_ms = 1_790_000_000_000 + run * 3;
    let profile = Profile {
        namespace: "default".into(),
        owner: "ann".into(),
        name: String::new(),
        labels: vec![],
        command: "/bin/true".into(),
        state: TaskState::Succeeded,
        exit_code: 0,
        summary: "succeeded".into(),
        canceled: None,
        elements,
        counts: vec![vec![(TaskState::Succeeded, elements)]],
        rerun_of: 0,
        retention: None,
    };
    let head = RunHead {
        run: RunId(run),
        submitted_ms,
        started_us: submitted_ms * 1000 + 4_321 + run * 17 % 1000,
        ended_ms: submitted_ms + 7 + run % 5,
        profile: Arc::new(profile),
    };
    Fact::Run(Box::new(RunFact { head, job: vec![b'j'; 120] }))
}

/// Writes entries of so many facts each, flushed as a node does; returns the history.
fn write(dir: &Path, mut facts: impl Iterator<Item = Fact>, entry: usize) -> History {
    let history = History::open(dir, Settings::default()).unwrap();
    let (mut index, mut count) = (0, 0);
    let (mut adding, mut flushing) = (Duration::ZERO, Duration::ZERO);
    loop {
        let some: Vec<Fact> = facts.by_ref().take(entry).collect();
        if some.is_empty() {
            break;
        }
        index += 1;
        count += some.len();
        let begun = Instant::now();
        history.add([(index, some)]);
        adding += begun.elapsed();
        if history.pending().facts >= 32_768 {
            let begun = Instant::now();
            history.flush().unwrap();
            flushing += begun.elapsed();
        }
    }
    let begun = Instant::now();
    history.flush().unwrap();
    flushing += begun.elapsed();
    let ns = |time: Duration| time.as_nanos() as f64 / count as f64;
    println!("  {count} facts: {:.0} ns to add, {:.0} ns to flush each", ns(adding), ns(flushing));
    history
}

fn tended(history: &History, dir: &Path, elements: u64) {
    let bytes = |what: &str| {
        let all = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap());
        let sizes: Vec<u64> =
            all.map(|f| f.metadata().unwrap().len().next_multiple_of(4096)).collect();
        let (sum, count) = (sizes.iter().sum::<u64>(), sizes.len());
        println!("  {what}: {:.1} bytes an element in {count} files", sum as f64 / elements as f64);
    };
    bytes("on disk");
    let (begun, mut longest) = (Instant::now(), Duration::ZERO);
    loop {
        let step = Instant::now();
        if !history.tend(1_790_000_000_000).unwrap() {
            break;
        }
        longest = longest.max(step.elapsed());
    }
    let took = begun.elapsed();
    bytes("merged");
    println!("  tending took {took:.1?}, its longest step {longest:.1?}");
}

fn array(dir: &Path, count: u32) {
    println!("one array of {count} elements");
    let idle = resident();
    let mut seed = 7;
    let facts = (0..count).map(|ordinal| Fact::Attempt(attempt(1, ordinal, &mut seed)));
    let history = write(dir, facts.chain([head(1, u64::from(count))]), 500);
    tended(&history, dir, u64::from(count));
    println!("  resident over idle: {} KiB", resident().saturating_sub(idle));
    drop(history);
    let begun = Instant::now();
    let history = History::open(dir, Settings::default()).unwrap();
    println!("  opened in {:.1?}", begun.elapsed());
    println!("  resident over idle, opened: {} KiB", resident().saturating_sub(idle));
    let read = |what: &str, ordinals: RangeSet, states, most| {
        let begun = Instant::now();
        let found = history.elements(RunId(1), 0, &ordinals, states).take(most).count();
        println!("  {what}: {found} in {:.1?}", begun.elapsed());
    };
    read("status RUN[5,7-9]", RangeSet::from_iter([5..=5, 7..=9]), States::ANY, 1000);
    read("the first 50 failed", RangeSet::from_iter([0..=count]), States::UNSUCCESSFUL, 50);
    read("all", RangeSet::from_iter([0..=count]), States::ANY, usize::MAX);
}

fn runs(dir: &Path) {
    println!("{COUNT} runs of one element");
    let mut seed = 7;
    let facts = (1..=u64::from(COUNT)).flat_map(|run| {
        let attempt = AttemptFact { ordinal: 0, ..attempt(run, run as u32, &mut seed) };
        [Fact::Attempt(attempt), head(run, 1)]
    });
    let history = write(dir, facts, 100);
    tended(&history, dir, u64::from(COUNT));
    drop(history);
    let begun = Instant::now();
    let history = History::open(dir, Settings::default()).unwrap();
    println!("  opened in {:.1?}", begun.elapsed());
    let begun = Instant::now();
    let page = history.list(&RunFilter::default(), RunId(u64::MAX), 50);
    println!("  ps --all: {} in {:.1?}", page.heads.len(), begun.elapsed());
    let begun = Instant::now();
    let other = RunFilter { owner: Some("bob".into()), ..RunFilter::default() };
    let page = history.list(&other, RunId(u64::MAX), 50);
    println!(
        "  nobody's runs: {} in {:.1?}, next {:?}",
        page.heads.len(),
        begun.elapsed(),
        page.next
    );
    let begun = Instant::now();
    history.job(RunId(500_000));
    println!("  a job: {:.1?}", begun.elapsed());
}

fn trickle(dir: &Path) {
    println!("100000 facts of one array, 30 a flush");
    let history = History::open(dir, Settings::default()).unwrap();
    let mut seed = 7;
    let begun = Instant::now();
    for flush in 0..3334u32 {
        let facts = (0..30).map(|n| Fact::Attempt(attempt(1, flush * 30 + n, &mut seed)));
        history.add([(u64::from(flush) + 1, facts.collect())]);
        history.flush().unwrap();
        while history.tend(1_790_000_000_000).unwrap() {}
    }
    println!("  {:.1?} a flush, merges and all", begun.elapsed() / 3334);
    tended(&history, dir, 100_000);
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
