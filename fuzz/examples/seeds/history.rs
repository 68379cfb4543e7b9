//! A part of a real history of two runs, and its blocks one by one.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use history::{AttemptFact, ElementsEnd, Fact, History, Profile, RunFact, RunHead, Settings};
use model::{Because, Ending, Fence, NodeId, Outcome, RangeSet, RunId, TaskState};
use uuid::Uuid;

const NOW_MS: u64 = 1_790_000_000_000;
/// A block's header, where its kind is in it, and where its rows.
const HEADER_BYTES: usize = 68;
const ROWS_AT: usize = 8;
/// The kinds of bodies that the target tells apart.
const BODIES: u8 = 6;

/// Target, name and bytes of each seed.
pub(crate) fn all() -> io::Result<Vec<(&'static str, String, Vec<u8>)>> {
    let directory = std::env::temp_dir().join(format!("windlass-seeds-{}", std::process::id()));
    let part = part(&directory)?;
    fs::remove_dir_all(&directory)?;
    let magic = part[..4].to_vec();
    let starts: Vec<usize> =
        (0..part.len().saturating_sub(3)).filter(|at| part[*at..*at + 4] == magic[..]).collect();
    let mut seeds = vec![("history_part", "seed-0".to_owned(), part.clone())];
    for (number, start) in starts.iter().enumerate() {
        let end = starts.get(number + 1).copied().unwrap_or(part.len());
        let block = &part[*start..end];
        seeds.push(("history_block", format!("seed-{number}"), block.to_vec()));
        let Some((header, payload)) = block.split_at_checked(HEADER_BYTES) else { continue };
        // What lies below the checksum, as each of the tables it may be.
        for kind in 0..BODIES {
            let body = [&[kind], &header[ROWS_AT..ROWS_AT + 2], payload].concat();
            seeds.push(("history_block", format!("seed-{number}-{kind}"), body));
        }
    }
    Ok(seeds)
}

fn part(directory: &Path) -> io::Result<Vec<u8>> {
    let history =
        History::open(directory, Settings::default()).expect("an empty directory is a history");
    let because = Arc::new(Because::new("user:ann", "enough"));
    let end = ElementsEnd { state: TaskState::Canceled, because, ended_ms: NOW_MS };
    let rest = Fact::Elements {
        run: RunId(2),
        task: 0,
        ordinals: RangeSet::from_iter([4..=9, 20..=29]),
        end,
    };
    let first = vec![attempt(1, 0), run(1, "one"), attempt(2, 0), attempt(2, 1)];
    history.add([(1, first), (2, vec![attempt(2, 2), attempt(2, 3), rest, run(2, "many")])]);
    history.flush().expect("a temporary directory can be written to");
    let mut parts = fs::read_dir(directory)?.filter_map(|entry| Some(entry.ok()?.path()));
    let part = parts.find(|path| path.extension().is_some_and(|extension| extension == "part"));
    fs::read(part.expect("a flush makes a part"))
}

fn attempt(run: u64, ordinal: u32) -> Fact {
    let failed = ordinal == 3;
    let ending = Ending::Exited { code: i32::from(failed) };
    Fact::Attempt(AttemptFact {
        run: RunId(run),
        task: 0,
        ordinal,
        number: 1,
        fence: Fence(run << 20 | u64::from(ordinal)),
        node: NodeId(Uuid::from_u128(1)),
        placed_ms: NOW_MS,
        outcome: Outcome {
            started_us: NOW_MS * 1_000,
            ended_us: NOW_MS * 1_000 + 7,
            ..Outcome::bare(ending)
        },
        because: None,
        state: Some(if failed { TaskState::Failed } else { TaskState::Succeeded }),
    })
}

fn run(number: u64, name: &str) -> Fact {
    let state = if number == 1 { TaskState::Succeeded } else { TaskState::Failed };
    let profile = Profile {
        namespace: "default".to_owned(),
        owner: "ann".to_owned(),
        name: name.to_owned(),
        labels: vec![("team".to_owned(), "a".to_owned())],
        command: "/bin/true".to_owned(),
        state,
        exit_code: 0,
        summary: "exit code 0".to_owned(),
        canceled: None,
        elements: 1,
        counts: vec![vec![(state, 1)]],
        rerun_of: 0,
        retention: None,
    };
    let head = RunHead {
        run: RunId(number),
        submitted_ms: NOW_MS - 1_000,
        started_us: NOW_MS * 1_000,
        ended_ms: NOW_MS,
        profile: Arc::new(profile),
    };
    Fact::Run(Box::new(RunFact { head, job: vec![7; 20] }))
}
