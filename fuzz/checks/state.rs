//! A snapshot of the state, as it may come from a damaged disk: it is refused, or it is a sound state that is the same
//! once it is written and read again, and that goes on.

use machine::State;
use machine::snapshot::{Reader, encode};

use super::prepared;

/// Reads the bytes and, when they are a state, lets it live on for a while.
pub(crate) fn check(bytes: &[u8]) {
    let Some(mut state) = read(bytes) else { return };
    assert_eq!(state.check_invariants(), Vec::<String>::new());
    let again: Vec<u8> = encode(&state).flatten().collect();
    let again = read(&again).expect("what is written is read");
    assert_eq!(format!("{again:?}"), format!("{state:?}"));

    for mut batch in prepared::batches() {
        let header = batch.header.get_or_insert_default();
        header.incarnation = state.cluster().map_or(0, |cluster| cluster.incarnation.into());
        state.apply(state.applied().saturating_add(1), prepared::LEADER, &batch);
        assert_eq!(state.check_invariants(), Vec::<String>::new());
    }
}

/// In two pieces, as a file is read.
fn read(bytes: &[u8]) -> Option<State> {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut reader = Reader::new();
    reader.push(first).ok()?;
    reader.push(second).ok()?;
    reader.finish().ok()
}
