//! Everything that is said is read as it was said, and whatever else comes is refused.

use super::*;
use crate::log::tests::faults::Chance;

fn envelope() -> Envelope {
    let cluster = Cluster { id: u128::MAX - 5, incarnation: 3 };
    Envelope { cluster, from: Member { node: 7, life: 8 }, to: 9 }
}

fn id(term: u64, index: u64) -> LogId<u64> {
    super::super::types::log_id(EntryId { index, leader: LeaderId { term, node: 0 } })
}

fn entry(index: u64, kind: Kind, body: impl Into<Bytes>) -> Entry {
    let id = EntryId { index, leader: LeaderId { term: 2, node: 7 } };
    Entry::from_log(log::Entry { id, kind, body: body.into() }).unwrap()
}

fn append(entries: Vec<Entry>) -> AppendEntriesRequest<Types> {
    AppendEntriesRequest {
        vote: Vote::new_committed(2, 7),
        prev_log_id: Some(id(1, 4)),
        leader_commit: None,
        entries,
    }
}

fn messages() -> Vec<Message> {
    let membership = br#"{"configs":[[1]],"nodes":{"1":{"addr":"1.2"}}}"#;
    let entries = vec![
        entry(5, Kind::Blank, ""),
        entry(6, Kind::Record, "what was proposed"),
        entry(7, Kind::Membership, &membership[..]),
        entry(8, Kind::Record, ""),
    ];
    let voters = serde_json::from_slice(membership).unwrap();
    let meta = Meta {
        last_log_id: Some(id(2, 7)),
        last_membership: openraft::StoredMembership::new(Some(id(2, 6)), voters),
        snapshot_id: "2-7".to_owned(),
    };
    vec![
        Message::Vote(VoteRequest::new(Vote::new(4, 7), Some(id(3, 9)))),
        Message::Append(append(entries)),
        Message::Append(append(Vec::new())),
        Message::Ask(Ask { last: None, membership: Some(id(0, 0)) }),
        Message::Snapshot(Head { vote: Vote::new_committed(2, 7), meta }),
    ]
}

#[test]
fn what_is_said_is_read() {
    for message in messages() {
        let bytes = message.encode(envelope());
        let (found, read) = Message::decode(bytes.clone()).unwrap();
        assert_eq!(found, envelope());
        assert_eq!(read.encode(envelope()), bytes);
        assert_eq!(format!("{read:?}"), format!("{message:?}"));
    }
}

#[test]
fn what_is_answered_is_read() {
    let vote = Vote::new(3, 4);
    let votes = openraft::raft::VoteResponse { vote, vote_granted: true, last_log_id: None };
    let mut replies = vec![
        Reply::Vote(votes),
        Reply::Append(Appended::Success),
        Reply::Append(Appended::Conflict),
        Reply::Append(Appended::Partial(Some(id(1, 2)))),
        Reply::Append(Appended::Higher(Vote::default())),
        Reply::Opinion(Opinion { votes: true, removed: false }),
        Reply::Snapshot(vote),
    ];
    let refusals = [
        Refusal::Malformed,
        Refusal::Version { known: 1 },
        Refusal::Stranger,
        Refusal::Incarnation { known: 4 },
        Refusal::Impostor,
        Refusal::OtherMember { known: u64::MAX },
        Refusal::Dead,
        Refusal::Busy,
        Refusal::Cut,
    ];
    replies.extend(refusals.map(Reply::Refused));
    for reply in replies {
        let bytes = reply.encode();
        assert_eq!(Reply::decode(bytes.clone()), Some(reply));
        for len in 0..bytes.len() {
            assert_eq!(Reply::decode(bytes.slice(..len)), None);
        }
    }
}

/// A gap, an entry of a later term than its leader's, and a count that no message holds: openraft must not see them.
#[test]
fn what_no_leader_says_is_refused() {
    let refused = |request| Message::decode(Message::Append(request).encode(envelope())).err();
    let gap = append(vec![entry(6, Kind::Record, "")]);
    assert_eq!(refused(gap), Some(Refusal::Malformed));
    let later = AppendEntriesRequest {
        vote: Vote::new_committed(1, 7),
        ..append(vec![entry(5, Kind::Record, "")])
    };
    assert_eq!(refused(later), Some(Refusal::Malformed));
    let mut many = Message::Append(append(Vec::new())).encode(envelope()).to_vec();
    let at = many.len() - 4;
    many[at..].copy_from_slice(&[0xff; 4]);
    assert_eq!(Message::decode(many.into()).err(), Some(Refusal::Malformed));
    let other = [9, 2, 0].to_vec();
    assert_eq!(Message::decode(other.into()).err(), Some(Refusal::Version { known: VERSION }));
}

#[test]
fn any_bytes_can_be_read() {
    let mut chance = Chance(1);
    for message in messages() {
        let bytes = message.encode(envelope());
        for _ in 0..3000 {
            let mut bytes = bytes.to_vec();
            for _ in 0..=chance.below(3) {
                let at = chance.below(bytes.len() as u64) as usize;
                bytes[at] = chance.below(256) as u8;
            }
            bytes.truncate(1 + chance.below(bytes.len() as u64 * 2) as usize);
            // What it makes of them is the same if it is said again.
            if let Ok((envelope, read)) = Message::decode(bytes.clone().into()) {
                let again = Message::decode(read.encode(envelope)).unwrap();
                assert_eq!(again.0, envelope);
            }
            let _ = Reply::decode(bytes.into());
        }
    }
}
