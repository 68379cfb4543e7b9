//! What every kind of journal must do with checkpoints.

use std::io::{self, Read};
use std::sync::mpsc;

use super::*;
use crate::{Delivered, Snapshot};

/// Checks the promises of [`Journal::checkpoint`] on a journal that had none.
pub(super) async fn check(journal: &impl Journal, leader: LeaderId) {
    let mut slow = journal.follow(0);
    take_to(&mut slow, soon(journal.barrier()).await.unwrap()).await;
    let mut indices = Vec::new();
    for number in 0..40 {
        indices.push(soon(journal.propose(leader, record(number))).await.unwrap());
    }
    let [first, second, third] = [9, 19, 29].map(|at| indices[at]);
    what_is_not_possible_is_refused(journal).await;

    assert_eq!(journal.newest_snapshot(), 0);
    assert_eq!(soon(next(&mut journal.follow_newest())).await.index, 1);
    one_at_a_time(journal, first).await;
    assert_eq!(soon(next(&mut journal.follow(0))).await.index, 1, "the first trims nothing");
    assert_eq!(journal.newest_snapshot(), first);
    let mut shortest = journal.follow_newest();
    let Delivered::Snapshot { index, reader, .. } = soon(shortest.next()).await.unwrap() else {
        panic!("the newest snapshot comes first")
    };
    assert_eq!((index, read(reader).await), (first, bytes(first)));
    assert_eq!(soon(next(&mut shortest)).await.index, first + 1);
    one_that_fails_changes_nothing(journal, second).await;
    let before = journal.log_bytes();
    soon(journal.checkpoint(second, content(second))).await.unwrap();
    assert!(journal.log_bytes() < before && journal.log_bytes() > 0);
    stands_for_what_is_gone(journal, leader, first, second).await;
    let same = soon(journal.checkpoint(second, content(second))).await;
    assert!(matches!(same, Err(JournalError::CheckpointOutside { .. })), "{same:?}");

    soon(journal.checkpoint(third, content(third))).await.unwrap();
    stands_for_what_is_gone(journal, leader, second, third).await;
    let Delivered::Snapshot { index, reader, .. } = soon(slow.next()).await.unwrap() else {
        panic!("this follower was overtaken")
    };
    assert_eq!((index, read(reader).await), (third, bytes(third)));
    assert_eq!(soon(next(&mut slow)).await.index, third + 1);
    assert!(journal.free_bytes() > 0);
    soon(journal.propose(leader, "and on".into())).await.unwrap();
}

async fn what_is_not_possible_is_refused(journal: &impl Journal) {
    let committed = soon(journal.barrier()).await.unwrap();
    for asked in [0, committed + 1, Index::MAX] {
        let refused = soon(journal.checkpoint(asked, content(asked))).await;
        let expected = JournalError::CheckpointOutside { asked, newest: 0, committed };
        assert_eq!(refused, Err(expected));
    }
}

async fn one_at_a_time(journal: &impl Journal, upto: Index) {
    let (go, gone) = mpsc::channel::<()>();
    let (begin, begun) = tokio::sync::oneshot::channel();
    let slow: Snapshot = Box::new(move |out| {
        begin.send(()).unwrap();
        gone.recv().unwrap();
        content(upto)(out)
    });
    let second = async {
        begun.await.unwrap();
        let refused = journal.checkpoint(upto, content(upto)).await;
        go.send(()).unwrap();
        refused
    };
    let (first, second) =
        soon(async { tokio::join!(journal.checkpoint(upto, slow), second) }).await;
    assert_eq!((first, second), (Ok(()), Err(JournalError::CheckpointUnderWay)));
}

async fn one_that_fails_changes_nothing(journal: &impl Journal, upto: Index) {
    let broken: Snapshot = Box::new(move |out| {
        out.write_all(&[1; 3000])?;
        Err(io::Error::other("cannot be encoded"))
    });
    let failed = soon(journal.checkpoint(upto, broken)).await;
    match failed {
        Err(JournalError::Checkpoint { asked, reason }) if asked == upto => {
            assert!(reason.contains("cannot be encoded"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    let failed = soon(journal.checkpoint(upto, Box::new(|_| panic!("a bug")))).await;
    assert!(matches!(failed, Err(JournalError::Checkpoint { .. })), "{failed:?}");
    assert_eq!(soon(next(&mut journal.follow(0))).await.index, 1);
}

/// The log begins behind `trimmed`, and the newest snapshot is of `newest`.
async fn stands_for_what_is_gone(
    journal: &impl Journal,
    leader: LeaderId,
    trimmed: Index,
    newest: Index,
) {
    let mut behind = journal.follow(trimmed);
    assert_eq!(soon(next(&mut behind)).await.index, trimmed + 1, "this is still there");
    for after in [0, trimmed - 1] {
        let mut follow = journal.follow(after);
        assert_eq!(follow.try_next(), None);
        let Delivered::Snapshot { index, leader: wrote, reader } =
            soon(follow.next()).await.unwrap()
        else {
            panic!("entry {} is gone", after + 1)
        };
        assert_eq!((index, wrote), (newest, leader));
        assert_eq!(read(reader).await, bytes(newest));
        assert_eq!(soon(next(&mut follow)).await.index, newest + 1);
    }
}

/// A snapshot of more than one chunk.
pub(crate) fn content(upto: Index) -> Snapshot {
    Box::new(move |out| bytes(upto).chunks(70_000).try_for_each(|part| out.write_all(part)))
}

pub(crate) fn bytes(upto: Index) -> Vec<u8> {
    format!("everything up to {upto}, ").repeat(100_000).into_bytes()
}

pub(crate) async fn read(mut reader: impl Read + Send + 'static) -> Vec<u8> {
    let read = move || {
        let mut found = Vec::new();
        reader.read_to_end(&mut found).unwrap();
        found
    };
    soon(tokio::task::spawn_blocking(read)).await.unwrap()
}
