//! A script of appends and checkpoints is broken off at each operation on the disk in turn.
//! Whatever was acknowledged must be there at the next opening, out of a snapshot and the log behind it;
//! and once more, with the newest snapshot damaged.

use std::sync::atomic::Ordering::SeqCst;

use super::*;
use crate::log::tests::crash::lose_power;
use crate::log::tests::faults::Chance;
use crate::log::tests::{append, copy_dir, entry, purge};

/// One write.
#[derive(Debug, Clone, Copy)]
enum Step {
    Append(Index, Index),
    Checkpoint(Index),
}

const SCRIPT: [Step; 8] = [
    Step::Append(0, 8),
    Step::Checkpoint(5),
    Step::Append(8, 14),
    Step::Checkpoint(11),
    Step::Append(14, 17),
    Step::Checkpoint(15),
    Step::Append(17, 27),
    Step::Checkpoint(25),
];

/// Why a step was not done.
#[derive(Debug, PartialEq, Eq)]
enum Fails {
    /// The journal is dead.
    Log,
    /// The journal goes on.
    Snapshot,
}

/// The same as a checkpoint of the journal does, in the same order.
fn checkpoint(log: &Log, snapshots: &Snapshots, upto: Index) -> Result<(), Fails> {
    let written = snapshots.write(head(id(upto)), writes(state(upto)));
    written.map_err(|_| Fails::Snapshot)?;
    if let Some(trims) = snapshots.trims() {
        purge(log, trims).map_err(|_| Fails::Log)?;
    }
    snapshots.retire();
    log.sweep();
    Ok(())
}

/// Runs the script until the journal is dead. Returns how many entries were acknowledged and how many there may be,
/// and whether nothing failed.
fn run(env: &Env) -> (Index, Index, bool) {
    let Ok(log) = env.open() else { return (0, 0, false) };
    let Ok(snapshots) = open(env, &log, PACE) else { return (0, 0, false) };
    let mut acknowledged = 0;
    let mut whole = true;
    for step in SCRIPT {
        let (to, done) = match step {
            Step::Append(from, to) => {
                let appended = append(&log, (from..to).map(entry));
                (to, appended.map_err(|_| Fails::Log))
            }
            Step::Checkpoint(upto) => (acknowledged, checkpoint(&log, &snapshots, upto)),
        };
        match done {
            Ok(()) => acknowledged = to,
            Err(Fails::Snapshot) => whole = false,
            Err(Fails::Log) => {
                log.close();
                return (acknowledged, to, false);
            }
        }
    }
    log.close();
    (acknowledged, acknowledged, whole)
}

/// Opens what was left, checks that everything is there, and returns the newest snapshot.
fn check(env: &Env, acknowledged: Index, possible: Index, what: &str) -> Option<Index> {
    let log = env.open().unwrap_or_else(|error| panic!("{what}: {error}"));
    let snapshots = open(env, &log, PACE).unwrap_or_else(|error| panic!("{what}: {error}"));
    let begin = log.positions().purged.map_or(0, |purged| purged.index + 1);
    let newest = read_newest(&snapshots);
    if let Some((upto, content)) = &newest {
        assert!(upto + 1 >= begin, "{what}: there is a hole behind {upto}");
        assert_eq!(*content, state(*upto), "{what}");
    } else {
        assert_eq!(begin, 0, "{what}");
    }
    let found = log_tests::all(&log);
    assert!(found.iter().cloned().eq((begin..begin + found.len() as Index).map(entry)), "{what}");
    let end = begin + found.len() as Index;
    assert!((acknowledged..=possible).contains(&end), "{what}: {end} of {acknowledged}");
    let unfinished = std::fs::read_dir(env.path()).unwrap().map(|file| file.unwrap().file_name());
    let mut unfinished = unfinished.map(|name| name.into_string().unwrap());
    assert!(!unfinished.any(|name| format::is_unfinished(&name)), "{what}");
    // It goes on: with more entries and another checkpoint.
    if end > 0 {
        append(&log, (end..end + 3).map(entry)).unwrap();
        checkpoint(&log, &snapshots, end + 1).unwrap();
        assert_eq!(read_newest(&snapshots), Some((end + 1, state(end + 1))), "{what}");
    }
    log.close();
    newest.map(|(upto, _)| upto)
}

/// Breaks the script off at each operation; `leave` makes of that what the next opening finds.
fn interrupt_everywhere(leave: impl Fn(&Env, u64) -> Env) {
    for operations in 0.. {
        let env = Env::without_sync();
        env.disk.faults.operations.store(operations, SeqCst);
        let (acknowledged, possible, whole) = run(&env);
        let what = format!("after {operations}");
        let left = leave(&env, operations as u64);
        let again = Env::without_sync();
        copy_dir(left.path(), again.path());
        if let Some(newest) = check(&left, acknowledged, possible, &what) {
            let path = again.path().join(format::name(newest));
            let mut content = std::fs::read(&path).unwrap();
            let at = operations as usize * 31 % content.len();
            content[at] ^= 1;
            std::fs::write(&path, content).unwrap();
            let what = format!("{what}, with the newest damaged at byte {at}");
            assert!(check(&again, acknowledged, possible, &what) < Some(newest), "{what}");
        }
        if whole {
            assert!(operations > 100, "the script has {operations} operations");
            return;
        }
    }
}

#[test]
fn no_crash_of_the_process_loses_what_was_acknowledged() {
    interrupt_everywhere(|env, _| {
        let left = Env::without_sync();
        copy_dir(env.path(), left.path());
        left
    });
}

#[test]
fn no_loss_of_power_loses_what_was_acknowledged() {
    interrupt_everywhere(|env, _| lose_power(env, || false));
    interrupt_everywhere(|env, operations| {
        let mut chance = Chance(1 << 32 | (operations + 1));
        lose_power(env, || chance.coin())
    });
}

/// Each operation in turn fails, and those behind it do not.
#[test]
fn an_operation_that_fails_once_loses_nothing() {
    let mut failed_snapshots = 0;
    for operation in 0.. {
        let env = Env::without_sync();
        env.disk.faults.once.store(operation, SeqCst);
        let (acknowledged, possible, whole) = run(&env);
        let died = acknowledged < 27;
        failed_snapshots += u64::from(!whole && !died);
        env.disk.faults.once.store(i64::MAX, SeqCst);
        check(&env, acknowledged, possible, &format!("without operation {operation}"));
        if env.disk.faults.once.load(SeqCst) > 0 && whole && operation > 250 {
            break;
        }
    }
    assert!(failed_snapshots > 50, "{failed_snapshots} failed snapshots left the log going on");
}
