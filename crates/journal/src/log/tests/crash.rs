//! Every interruption: a script of writes is broken off at each operation on the disk in turn.
//! Whatever was acknowledged must be there when the log is opened again, and what was not may be there or not.

use super::faults::Chance;
use super::*;

/// One write, and what the log holds once it is acknowledged.
#[derive(Debug, Clone, Copy)]
enum Step {
    Append(Index, Index),
    Truncate(Index),
    Purge(Index),
    Vote(u64),
}

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    entries: Vec<Entry>,
    purged: Option<Index>,
    vote: Option<Vote>,
}

const SCRIPT: [Step; 14] = [
    Step::Append(0, 1),
    Step::Vote(1),
    Step::Append(1, 3),
    Step::Append(3, 8),
    Step::Truncate(7),
    Step::Append(7, 19),
    Step::Truncate(9),
    Step::Truncate(5),
    Step::Append(5, 17),
    Step::Purge(3),
    Step::Purge(11),
    Step::Vote(2),
    Step::Purge(30),
    Step::Append(31, 37),
];

impl Step {
    fn run(self, log: &Log, term: u64) -> Result<(), Arc<str>> {
        match self {
            Step::Append(from, to) => append(log, (from..to).map(|index| in_term(term, index))),
            Step::Truncate(from) => truncate(log, from),
            Step::Purge(upto) => purge(log, upto),
            Step::Vote(term) => vote(log, term),
        }
    }

    fn apply(self, content: &mut Content, term: u64) {
        match self {
            Step::Append(from, to) => {
                content.entries.extend((from..to).map(|index| in_term(term, index)));
            }
            Step::Truncate(from) => content.entries.retain(|entry| entry.id.index < from),
            Step::Purge(upto) => {
                content.purged = Some(upto);
                content.entries.retain(|entry| entry.id.index > upto);
            }
            Step::Vote(term) => content.vote = Some(ballot(term)),
        }
    }
}

fn content(log: &Log) -> Content {
    let positions = log.positions();
    let purged = positions.purged.map(|purged| purged.index);
    Content { entries: all(log), purged, vote: positions.vote }
}

/// Runs the script until the disk fails. Returns what was acknowledged, and what would have been next.
fn run(env: &Env) -> (Content, Option<Content>) {
    let mut acknowledged = Content { entries: Vec::new(), purged: None, vote: None };
    let Ok(log) = env.open() else { return (acknowledged.clone(), Some(acknowledged)) };
    for (number, step) in SCRIPT.into_iter().enumerate() {
        let mut next = acknowledged.clone();
        let term = number as u64 + 1;
        step.apply(&mut next, term);
        if let Err(reason) = step.run(&log, term) {
            assert!(reason.contains("cannot "), "{reason}");
            assert!(append(&log, [in_term(99, 99)]).is_err(), "the dead stay dead");
            log.close();
            return (acknowledged, Some(next));
        }
        acknowledged = next;
        assert_eq!(content(&log), acknowledged, "after {step:?}");
    }
    log.close();
    (acknowledged, None)
}

/// Whether an append was broken off after some of its entries.
fn is_between(found: &Content, acknowledged: &Content, next: &Content) -> bool {
    let within = found.entries.len() <= next.entries.len();
    let rest = Content { entries: Vec::new(), ..found.clone() };
    found.entries.starts_with(&acknowledged.entries)
        && next.entries.starts_with(&found.entries)
        && within
        && rest == Content { entries: Vec::new(), ..acknowledged.clone() }
}

/// Runs the script up to each operation in turn; `leave` makes of that what the next opening finds.
fn interrupt_everywhere(leave: impl Fn(&Env, u64) -> Env) {
    for operations in 0.. {
        let env = Env::without_sync();
        env.disk.faults.operations.store(operations, SeqCst);
        let (acknowledged, next) = run(&env);
        check(&leave(&env, operations as u64 + 1), &acknowledged, next.as_ref(), operations);
        if next.is_none() {
            assert!(operations > 100, "the script has {operations} operations");
            return;
        }
    }
}

fn check(env: &Env, acknowledged: &Content, next: Option<&Content>, operations: i64) {
    let log = env.open().unwrap_or_else(|error| panic!("after {operations}: {error}"));
    let found = content(&log);
    let is_next = |next: &Content| found == *next || is_between(&found, acknowledged, next);
    let fits = found == *acknowledged || next.is_some_and(is_next);
    assert!(fits, "after {operations}:\nfound {found:?}\nnot {acknowledged:?}\nnor {next:?}");
    let last = log.positions().last.map_or(0, |last| last.index + 1);
    append(&log, (last..last + 6).map(|index| in_term(77, index))).unwrap();
    let expected = content(&log);
    log.close();
    assert_eq!(content(&env.open().unwrap()), expected, "after {operations}");
}

#[test]
fn no_crash_of_the_process_loses_what_was_acknowledged() {
    interrupt_everywhere(|env, _| {
        let left = Env::without_sync();
        copy_dir(env.path(), left.path());
        left
    });
}

pub(crate) fn lose_power(env: &Env, keeps: impl FnMut() -> bool) -> Env {
    let left = Env::without_sync();
    env.disk.faults.durable.lock().unwrap().lose_power(env.path(), left.path(), keeps).unwrap();
    left
}

#[test]
fn no_loss_of_power_loses_what_was_acknowledged() {
    interrupt_everywhere(|env, _| lose_power(env, || false));
    for seed in 1..4 {
        interrupt_everywhere(|env, operations| {
            let mut chance = Chance(seed << 32 | operations);
            lose_power(env, || chance.coin())
        });
    }
}

/// First the process dies, then the machine while the log is opened again.
#[test]
fn no_second_crash_loses_what_was_acknowledged() {
    for again in 0..12 {
        for operations in (again..150).step_by(9) {
            let env = Env::without_sync();
            env.disk.faults.operations.store(operations, SeqCst);
            let (acknowledged, next) = run(&env);
            env.disk.faults.operations.store(again, SeqCst);
            if let Ok(log) = env.open() {
                log.close();
            }
            let mut chance = Chance((again as u64 + 1) << 32 | operations as u64);
            let left = lose_power(&env, || chance.coin());
            check(&left, &acknowledged, next.as_ref(), operations);
        }
    }
}

/// The seal of a full segment is what tells that there must be another one.
#[test]
fn a_missing_last_segment_is_noticed_after_a_loss_of_power_too() {
    let env = Env::without_sync();
    let log = env.open().unwrap();
    append(&log, (0..6).map(entry)).unwrap();
    let left = lose_power(&env, || false);
    std::fs::remove_file(left.path().join(segment::name(5))).unwrap();
    assert!(matches!(left.open(), Err(OpenError::Damaged { .. })));
}

/// The same while the log is opened: an opening that is broken off harms nothing either.
#[test]
fn no_interrupted_opening_loses_anything() {
    for operations in 0.. {
        let env = Env::crashed(12);
        env.disk.faults.operations.store(operations, SeqCst);
        let refused = env.open().map(|log| log.close()).is_err();
        env.disk.faults.operations.store(i64::MAX, SeqCst);
        assert_eq!(indices(&env.open().unwrap()), Vec::from_iter(0..12), "after {operations}");
        if !refused {
            return;
        }
    }
}

#[test]
fn a_full_disk_says_so_at_opening() {
    let env = Env::new();
    env.open().unwrap().close();
    env.disk.faults.allocate.store(true, SeqCst);
    let error = env.open().map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Full { bytes: SEGMENT, .. }), "{error}");
    assert!(error.to_string().contains("free space on the file system of"), "{error}");
}

#[test]
fn a_full_disk_uses_its_spare_and_then_says_so() {
    let env = Env::new();
    let log = env.open().unwrap();
    append(&log, [entry(0)]).unwrap();
    env.disk.faults.allocate.store(true, SeqCst);
    append(&log, (1..10).map(entry)).unwrap();
    let reason = append(&log, [entry(10)]).unwrap_err();
    assert!(reason.contains("the disk is full") && reason.contains("free space on"), "{reason}");
    log.close();
    env.disk.faults.allocate.store(false, SeqCst);
    assert_eq!(indices(&env.open().unwrap()), Vec::from_iter(0..10));
}

#[test]
fn space_that_comes_back_is_used() {
    let env = Env::new();
    let log = env.open().unwrap();
    env.disk.faults.allocate.store(true, SeqCst);
    append(&log, (0..10).map(entry)).unwrap();
    env.disk.faults.allocate.store(false, SeqCst);
    append(&log, (10..30).map(entry)).unwrap();
    assert_eq!(indices(&log), Vec::from_iter(0..30));
}

/// What is trimmed makes room, so the space for the next segment is given for it.
#[test]
fn a_full_disk_is_trimmed_at_the_cost_of_its_spare() {
    let env = Env::new();
    let log = env.open().unwrap();
    append(&log, (0..17).map(entry)).unwrap();
    env.disk.faults.full.store(true, SeqCst);
    purge(&log, 12).unwrap();
    assert_eq!(indices(&log), [13, 14, 15, 16]);
    log.close();
    assert_eq!(indices(&env.open().unwrap()), [13, 14, 15, 16]);
}

#[test]
fn a_disk_too_full_to_be_trimmed_loses_nothing() {
    let env = Env::new();
    let log = env.open().unwrap();
    append(&log, (0..17).map(entry)).unwrap();
    // Once this is done, the spare is there.
    vote(&log, 1).unwrap();
    // There is no spare to give any more, and no room for another.
    env.disk.faults.allocate.store(true, SeqCst);
    append(&log, (17..22).map(entry)).unwrap();
    env.disk.faults.full.store(true, SeqCst);
    purge(&log, 12).unwrap();
    assert_eq!(indices(&log), Vec::from_iter(0..22));
    append(&log, [entry(22)]).unwrap();
    env.disk.faults.full.store(false, SeqCst);
    env.disk.faults.allocate.store(false, SeqCst);
    purge(&log, 12).unwrap();
    assert_eq!(indices(&log), Vec::from_iter(13..23));
}

/// A start on a full disk uses the space that the journal had taken before.
#[test]
fn an_opening_keeps_the_spare_that_is_there() {
    let env = Env::new();
    env.open().unwrap().close();
    let inode = |env: &Env| {
        std::os::unix::fs::MetadataExt::ino(&env.path().join("spare.segment").metadata().unwrap())
    };
    let before = inode(&env);
    let log = env.open().unwrap();
    assert_eq!(inode(&env), before);
    append(&log, (0..12).map(entry)).unwrap();
    log.close();
    // What was written to is no spare.
    std::fs::copy(env.path().join(segment::name(5)), env.path().join("spare.segment")).unwrap();
    let log = env.open().unwrap();
    append(&log, (12..30).map(entry)).unwrap();
    log.close();
    assert_eq!(indices(&env.open().unwrap()), Vec::from_iter(0..30));
}

#[test]
fn a_failed_sync_is_the_end() {
    let env = Env::new();
    let log = env.open().unwrap();
    append(&log, [entry(0)]).unwrap();
    env.disk.faults.sync.store(true, SeqCst);
    let reason = append(&log, [entry(1)]).unwrap_err();
    assert!(reason.contains("cannot sync"), "{reason}");
    env.disk.faults.sync.store(false, SeqCst);
    assert_eq!(append(&log, [entry(2)]).unwrap_err(), reason, "it is not tried again");
    assert_eq!(vote(&log, 1).unwrap_err(), reason);
    assert_eq!(log.failure().borrow().clone(), Some(reason));
}
