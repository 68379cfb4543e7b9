//! A record of the journal, as it may come from a damaged disk or another version: whatever it says,
//! it is refused, or applied to a state that is sound before and after.

use super::prepared;

/// Decodes the bytes and, when they are a batch, applies it twice to a state with something in it.
pub(crate) fn check(bytes: &[u8]) {
    let (mut state, mut index) = prepared::state();
    let Ok(mut batch) = machine::decode(index + 1, bytes) else { return };
    let again = machine::decode(index + 1, &machine::encode(&batch));
    assert_eq!(again.as_ref(), Ok(&batch), "a batch is the same once it is written and read");
    // Refused whole it would prove nothing.
    let header = batch.header.get_or_insert_default();
    header.incarnation = 1;
    let leader = (header.leader_term, header.leader_node);
    for _ in 0..2 {
        index += 1;
        state.apply(index, leader, &batch);
        assert_eq!(state.check_invariants(), Vec::<String>::new());
    }
}
