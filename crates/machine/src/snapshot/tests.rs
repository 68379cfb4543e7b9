//! Damage: whatever is cut or flipped in a snapshot is an error or another state, never a panic.

use model::{JobSpec, TaskSpec};
use proto::record::{self, Batch, Command, Header, command::Kind};

use super::{Reader, SnapshotError, encode};
use crate::State;

fn state() -> State {
    let mut state = State::new();
    let mut apply = |kind| {
        let incarnation = state.cluster().map_or(0, |cluster| cluster.incarnation.into());
        let header = Some(Header { incarnation, time_ms: 5, ..Default::default() });
        let batch = Batch { header, commands: vec![Command { kind: Some(kind) }] };
        state.apply(state.applied() + 1, (0, 0), &batch);
    };
    apply(Kind::Found(record::Found { cluster_id: vec![1; 16], incarnation: 1 }));
    apply(Kind::RegisterNode(record::RegisterNode {
        node_id: vec![2; 16],
        capacity: Some(proto::job::Resources { cpu_milli: 4_000, memory_bytes: 0 }),
        supervisor_id: vec![3; 16],
        ..Default::default()
    }));
    for last in [1, 9] {
        let mut task = TaskSpec::new(vec!["true".into()]);
        task.array = Some(model::ArraySpec { first: 1, last, step: 1, parallel_max: 0 });
        task.total_timeout_ms = 60_000;
        let job = Some((&JobSpec { tasks: vec![task], ..JobSpec::default() }).into());
        let idempotency_key = format!("key {last}");
        let submit = record::SubmitJob { job, idempotency_key, ..Default::default() };
        apply(Kind::SubmitJob(submit));
    }
    let token = record::Token {
        id: "a".into(),
        name: "ci".into(),
        role: "viewer".into(),
        run_as: vec!["bob".into()],
        hash: vec![7; 32],
        ..Default::default()
    };
    let token = Some(token);
    apply(Kind::CreateToken(record::CreateToken { token, lasts_ms: 9, ..Default::default() }));
    let ordinals = vec![record::Range { first: 2, last: 4 }];
    let picks = vec![record::Pick { run: 2, task: 0, ordinals, ahead: false }];
    apply(Kind::Place(record::Place { node_id: vec![2; 16], epoch: 1, picks }));
    apply(Kind::DrainNode(record::DrainNode {
        node_id: vec![2; 16],
        wait_ms: Some(60_000),
        because: Some(proto::job::Because { actor: "user:ann".into(), reason: "disk".into() }),
        ..Default::default()
    }));
    state
}

fn read(bytes: &[u8]) -> Result<State, SnapshotError> {
    let mut reader = Reader::new();
    reader.push(bytes)?;
    reader.finish()
}

#[test]
fn a_cut_is_told_at_every_byte() {
    let bytes: Vec<u8> = encode(&state()).flatten().collect();
    let read_whole = read(&bytes).unwrap();
    assert_eq!(format!("{read_whole:?}"), format!("{:?}", state()));
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "cut at {length}");
    }
    let twice: Vec<u8> = bytes.iter().chain(&bytes).copied().collect();
    assert!(read(&twice).is_err());
}

#[test]
fn a_flip_is_an_error_or_a_sound_state() {
    let bytes: Vec<u8> = encode(&state()).flatten().collect();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            if let Ok(state) = read(&flipped) {
                assert_eq!(state.check_invariants(), Vec::<String>::new(), "{at} bit {bit}");
            }
        }
    }
}

#[test]
fn a_newer_level_says_so() {
    let header = record::SnapshotHeader { level: crate::LEVEL + 1, ..Default::default() };
    let kind = Some(record::snapshot_item::Kind::Header(header));
    let bytes = prost::Message::encode_length_delimited_to_vec(&record::SnapshotItem { kind });
    assert_eq!(read(&bytes).unwrap_err(), SnapshotError::TooNew { level: crate::LEVEL + 1 });
}
