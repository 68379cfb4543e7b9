//! For fuzzing: arbitrary bytes as a snapshot of the cluster must neither panic nor take memory
//! without bound; and sound ones to begin with.

use machine::State;

use crate::blobs::Fault;
use crate::cluster_snapshot::{Head, check, write};

/// Reads the bytes as a snapshot of the cluster.
pub fn cluster_snapshot(bytes: &[u8]) {
    // What is wrong with it is of no interest here.
    let _ = check(bytes);
}

/// A snapshot of this state, without the lists that it names.
pub fn cluster_snapshot_of(state: &State) -> Vec<u8> {
    let Some(cluster) = state.cluster() else { return Vec::new() };
    let head = Head {
        cluster_id: cluster.id.0,
        incarnation: cluster.incarnation,
        index: state.applied(),
        taken_ms: state.time_ms(),
        version: "0.1.0".to_owned(),
        level: machine::LEVEL,
    };
    let mut bytes = Vec::new();
    let written = write(&head, state, &|_| Err(Fault::Missing), &mut |piece| {
        bytes.extend(piece);
        Ok(())
    });
    written.expect("a vector takes everything");
    bytes
}
