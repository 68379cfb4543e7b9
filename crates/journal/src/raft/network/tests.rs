//! What openraft is told of answers that are late, partial, or wrong.

use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::LeaderId;
use crate::blocking::Blocking;
use crate::conformance::soon;
use crate::log::{self, EntryId, Kind};
use crate::raft::config::{Cluster, Timing};
use crate::raft::peers::{Answer, Peers};
use crate::raft::types::log_id;

/// Answers one message for each permit, with what is next.
struct Script {
    permits: Semaphore,
    answers: Mutex<Vec<Appended>>,
    /// How many messages came, and how many entries each had.
    came: Mutex<Vec<usize>>,
}

impl Peers for Script {
    fn call(&self, _node: u64, message: Bytes, _deadline: Duration) -> Answer<'_> {
        Box::pin(async move {
            let Ok((_, Message::Append(request))) = Message::decode(message) else { panic!() };
            self.came.lock().unwrap().push(request.entries.len());
            self.permits.acquire().await.unwrap().forget();
            Ok(Reply::Append(self.answers.lock().unwrap().remove(0)).encode())
        })
    }

    fn send_snapshot(
        &self,
        _node: u64,
        _head: Bytes,
        _chunks: mpsc::Receiver<Bytes>,
    ) -> Answer<'_> {
        unreachable!("no snapshot is sent here")
    }
}

fn connection(answers: &[Appended]) -> (Connection, Arc<Script>) {
    let answers = Mutex::new(answers.to_vec());
    let script = Script { permits: Semaphore::new(0), answers, came: Mutex::default() };
    let script = Arc::new(script);
    let me = Member { node: 1, life: 0 };
    let timing = Timing { append: Duration::from_secs(60), ..Timing::default() };
    let timing = Timing { election_min: Duration::from_secs(60), ..timing };
    let link = Link::new(me, Cluster::default(), timing, script.clone(), Blocking::default());
    let target = Member { node: 2, life: 0 };
    (Connection { target, link, under_way: None, late: 0 }, script)
}

fn id(index: u64) -> LogId<u64> {
    log_id(EntryId { index, leader: LeaderId { term: 3, node: 1 } })
}

/// The entries behind `prev`, up to `last`.
fn request(prev: u64, last: u64) -> AppendEntriesRequest<Types> {
    let entry = |index| {
        let id = EntryId { index, leader: LeaderId { term: 3, node: 1 } };
        let entry = log::Entry { id, kind: Kind::Record, body: Bytes::new() };
        Entry::from_log(entry).unwrap()
    };
    AppendEntriesRequest {
        vote: Vote::new_committed(3, 1),
        prev_log_id: Some(id(prev)),
        leader_commit: None,
        entries: (prev + 1..=last).map(entry).collect(),
    }
}

async fn ask(
    connection: &mut Connection,
    prev: u64,
    last: u64,
) -> Result<AppendEntriesResponse<u64>, Refused> {
    let option = RPCOption::new(Duration::from_secs(60));
    soon(connection.append_entries(request(prev, last), option)).await
}

/// Openraft gives up, and asks again for the same and for more, and for less.
#[tokio::test]
async fn what_is_under_way_is_waited_for_and_not_sent_again() {
    for (again, expected) in [
        (6, AppendEntriesResponse::Success),
        (9, AppendEntriesResponse::PartialSuccess(Some(id(6)))),
        (5, AppendEntriesResponse::Success),
    ] {
        let (mut connection, script) = connection(&[Appended::Success]);
        {
            let given_up = ask(&mut connection, 4, 6);
            let short = Duration::from_millis(20);
            assert!(tokio::time::timeout(short, given_up).await.is_err());
        }
        script.permits.add_permits(1);
        assert_eq!(ask(&mut connection, 4, again).await.unwrap(), expected);
        assert_eq!(*script.came.lock().unwrap(), [2], "once, with two entries");
    }
}

#[tokio::test]
async fn other_entries_take_the_place_of_what_is_under_way() {
    let (mut connection, script) = connection(&[Appended::Success]);
    {
        let given_up = ask(&mut connection, 4, 6);
        assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
    }
    let asked = async {
        // The first one has to be given up before the permit is there for it.
        let answered = ask(&mut connection, 2, 3);
        tokio::pin!(answered);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut answered).await.is_err());
        script.permits.add_permits(1);
        answered.await
    };
    assert_eq!(asked.await.unwrap(), AppendEntriesResponse::Success);
    assert_eq!(*script.came.lock().unwrap(), [2, 1]);
}

/// A follower that does not have what it had acknowledged is not asked for less: it is not counted.
#[tokio::test]
async fn a_conflict_with_what_was_acknowledged_is_a_loss() {
    let answers = [Appended::Conflict, Appended::Success, Appended::Conflict, Appended::Conflict];
    let (mut connection, script) = connection(&answers);
    script.permits.add_permits(4);
    let number = connection.target.number();
    let first = ask(&mut connection, 4, 6).await.unwrap();
    assert_eq!(first, AppendEntriesResponse::Conflict, "it never had that");
    assert_eq!(ask(&mut connection, 2, 6).await.unwrap(), AppendEntriesResponse::Success);
    assert!(!connection.link.of(number).lost);
    let lost = ask(&mut connection, 6, 7).await;
    assert!(matches!(lost, Err(RPCError::Unreachable(_))), "{lost:?}");
    assert!(connection.link.of(number).lost);
    let lost = ask(&mut connection, 5, 5).await;
    assert!(matches!(lost, Err(RPCError::Unreachable(_))), "a heartbeat finds it too: {lost:?}");
}

/// Openraft takes them for impossible, and would panic.
#[tokio::test]
async fn answers_that_do_not_fit_are_errors() {
    for wrong in [
        Appended::Higher(Vote::new(2, 9)),
        Appended::Higher(Vote::new_committed(3, 1)),
        Appended::Partial(Some(id(9))),
        Appended::Partial(None),
    ] {
        let (mut connection, script) = connection(&[wrong]);
        script.permits.add_permits(1);
        let refused = ask(&mut connection, 4, 6).await;
        assert!(matches!(refused, Err(RPCError::Network(_))), "{wrong:?}: {refused:?}");
    }
    let higher = Vote::new(4, 9);
    let (mut connection, script) = connection(&[Appended::Higher(higher)]);
    script.permits.add_permits(1);
    let answer = ask(&mut connection, 4, 6).await.unwrap();
    assert_eq!(answer, AppendEntriesResponse::HigherVote(higher));
}
