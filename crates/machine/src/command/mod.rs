//! The commands, one file each. Each checks everything before it changes anything.

pub(crate) mod cancel;
pub(crate) mod drain_node;
pub(crate) mod found;
pub(crate) mod lose_node;
pub(crate) mod member;
pub(crate) mod note;
pub(crate) mod place;
pub(crate) mod recover;
pub(crate) mod register_node;
pub(crate) mod remove_node;
pub(crate) mod report;
pub(crate) mod submit_job;
pub(crate) mod token;
pub(crate) mod turn_away;

use model::NodeId;

use crate::event::Refusal;
use crate::state::State;

/// The node a command names, in the epoch it was made for.
fn node_in_epoch(state: &State, node_id: &[u8], epoch: u64) -> Result<NodeId, Refusal> {
    let node = NodeId::from_bytes(node_id).ok_or(proto::Invalid("node_id"))?;
    let current = state.node(node).ok_or(Refusal::UnknownNode { node })?.epoch;
    if current != epoch {
        return Err(Refusal::StaleEpoch { node, current, given: epoch });
    }
    Ok(node)
}
