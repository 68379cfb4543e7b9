//! Messages that are not for this member, or not from whom they say, are refused, and the answer says why.

use super::*;
use crate::raft::wire::{Ask, Envelope, Message, Refusal, Reply};

const ASK: Message = Message::Ask(Ask { last: None, membership: None });

fn envelope(group: &Group) -> Envelope {
    let cluster = Cluster { id: 77, incarnation: 3 };
    let from = group.journal(2).member();
    Envelope { cluster, from, to: group.journal(1).member().number() }
}

async fn refusal(group: &Group, from: u64, message: &Message, envelope: Envelope) -> Refusal {
    let answer = group.journal(1).receive(from, message.encode(envelope)).await;
    match Reply::decode(answer) {
        Some(Reply::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_refused() {
    let group = Group::of(3).await;
    let good = envelope(&group);
    let answer = group.journal(1).receive(2, ASK.encode(good)).await;
    assert!(matches!(Reply::decode(answer), Some(Reply::Opinion(_))));

    let cluster = Cluster { id: 78, ..good.cluster };
    let refused = refusal(&group, 2, &ASK, Envelope { cluster, ..good }).await;
    assert_eq!(refused, Refusal::Stranger);
    for incarnation in [2, 4] {
        let cluster = Cluster { incarnation, ..good.cluster };
        let refused = refusal(&group, 2, &ASK, Envelope { cluster, ..good }).await;
        assert_eq!(refused, Refusal::Incarnation { known: 3 });
    }
    let known = group.journal(1).member().number();
    let refused = refusal(&group, 2, &ASK, Envelope { to: known + 1, ..good }).await;
    assert_eq!(refused, Refusal::OtherMember { known });
    assert_eq!(refusal(&group, 3, &ASK, good).await, Refusal::Impostor, "its certificate is 3's");
}

/// The certificate of one node does not let it speak as another one's leader or candidate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_speaks_for_another_one() {
    let group = Group::of(3).await;
    let (_, leader) = group.leader().await;
    let third = group.journal(3).member().number();
    let vote = openraft::Vote::new(leader.term + 5, third);
    let request = openraft::raft::VoteRequest::new(vote, None);
    let refused = refusal(&group, 2, &Message::Vote(request), envelope(&group)).await;
    assert_eq!(refused, Refusal::Impostor);
    let append = openraft::raft::AppendEntriesRequest {
        vote: openraft::Vote::new_committed(leader.term + 5, third),
        prev_log_id: None,
        entries: Vec::new(),
        leader_commit: None,
    };
    let refused = refusal(&group, 2, &Message::Append(append), envelope(&group)).await;
    assert_eq!(refused, Refusal::Impostor);
    assert_eq!(group.leader().await.1, leader);
}

/// Whatever is cut off or added, nothing is taken for a message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_refused() {
    let group = Group::of(1).await;
    let journal = group.journal(1);
    let message = ASK.encode(Envelope {
        cluster: Cluster { id: 77, incarnation: 3 },
        from: Member { node: 2, life: 0 },
        to: 1,
    });
    let refused = |answer| matches!(Reply::decode(answer), Some(Reply::Refused(_)));
    for len in 0..message.len() {
        assert!(refused(journal.receive(2, message.slice(..len)).await), "{len} bytes");
    }
    let longer: Bytes = message.iter().copied().chain([0]).collect();
    assert!(refused(journal.receive(2, longer).await));
    assert!(!refused(journal.receive(2, message).await));
    assert!(matches!(*journal.leadership().borrow(), Leadership::Leader(_)));
}
