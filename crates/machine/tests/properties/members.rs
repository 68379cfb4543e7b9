//! Members: let in by a token, known again, and removed so that they are believed no more.

use machine::{Answer, Members, Refusal};
use proto::record::{self, command::Kind};

use crate::steps::{node_id, register, remove};
use crate::world::World;

const TOKEN: [u8; 8] = [5; 8];

fn token(uses_max: u32) -> Kind {
    let token = record::JoinToken {
        id: TOKEN.to_vec(),
        secret_hash: vec![6; 32],
        control: true,
        worker: true,
        expires_ms: 1_000_000,
        uses_max,
        used_by: Vec::new(),
    };
    Kind::CreateJoinToken(record::CreateJoinToken { token: Some(token), ..Default::default() })
}

fn member(node: u8) -> record::Member {
    let (node_id, name) = (node_id(node).to_bytes(), format!("n{node}"));
    record::Member { node_id, name, control: true, worker: true, ..Default::default() }
}

fn admit(node: u8) -> Kind {
    let (token_id, key_hash) = (TOKEN.to_vec(), vec![node; 32]);
    Kind::AdmitNode(record::AdmitNode { token_id, key_hash, member: Some(member(node)) })
}

fn set(node: u8) -> Kind {
    Kind::SetMember(record::SetMember { member: Some(member(node)) })
}

/// The founder is a member, and another one has come with a token.
fn two() -> World {
    let mut world = crate::founded();
    world.apply(set(0), (1, 1));
    world.apply(token(2), (1, 1));
    assert_eq!(world.apply(admit(1), (1, 1)), [Answer::Admitted]);
    world
}

#[test]
fn a_token_lets_in_as_many_as_it_says_and_the_same_one_again() {
    let mut world = two();
    assert_eq!(world.apply(admit(1), (1, 1)), [Answer::Admitted], "its answer was lost");
    assert_eq!(world.apply(admit(2), (1, 1)), [Answer::Admitted]);
    let full = world.apply(admit(3), (1, 1));
    assert!(matches!(full[..], [Answer::Refused(Refusal::JoinTokenUsedUp { uses_max: 2 })]));
    assert_eq!(world.state.members().len(), 3);
}

#[test]
fn a_removed_member_is_believed_no_more_whatever_it_has_sent() {
    let mut world = two();
    world.apply(register(1, 0, 3), (1, 1));
    let live = remove(&world.state, 1, false, false);
    assert!(matches!(world.apply(live, (1, 1))[..], [Answer::Refused(_)]), "its lease goes on");
    let vouched = remove(&world.state, 1, true, false);
    assert_eq!(world.apply(vouched, (1, 1)), [Answer::NodeRemoved { returned: 0 }]);
    let revoked: Vec<_> = world.state.members().revoked().collect();
    let [(node, until_ms)] = revoked[..] else { panic!("{revoked:?}") };
    assert_eq!(node, node_id(1));
    assert!(until_ms > Members::REVOKED_MS, "no certificate of it lives longer");
    for late in [register(1, 0, 3), admit(1), set(1)] {
        let answers = world.apply(late.clone(), (1, 1));
        assert!(matches!(answers[..], [Answer::Refused(_)]), "{late:?}: {answers:?}");
    }
    assert_eq!(world.state.node(node_id(1)).map(|node| node.epoch), None);
}

#[test]
fn a_member_that_never_worked_is_removed_as_well() {
    let mut world = two();
    let gone = remove(&world.state, 1, false, false);
    assert_eq!(world.apply(gone.clone(), (1, 1)), [Answer::NodeRemoved { returned: 0 }]);
    assert!(world.state.members().get(node_id(1)).is_none());
    let again = world.apply(gone, (1, 1));
    assert!(matches!(again[..], [Answer::Refused(Refusal::UnknownNode { .. })]), "{again:?}");
}
