//! `Found`: the first batch of a cluster names it.

use model::ClusterId;
use proto::record::Found;

use crate::event::{Answer, Refusal};
use crate::state::{Cluster, State};

pub(crate) fn apply(state: &mut State, found: &Found) -> Result<Answer, Refusal> {
    if state.cluster.is_some() {
        return Err(Refusal::AlreadyFounded);
    }
    let id = ClusterId::from_bytes(&found.cluster_id).ok_or(proto::Invalid("cluster_id"))?;
    let incarnation =
        u16::try_from(found.incarnation).map_err(|_| proto::Invalid("incarnation"))?;
    state.cluster = Some(Cluster { id, incarnation });
    Ok(Answer::Founded)
}
