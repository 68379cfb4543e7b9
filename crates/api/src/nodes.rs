//! The calls about nodes: how they stand, and who is taken out of work, back into it, or forgotten.

use model::{Because, Role};
use node::{NodeDetail, Refused};
use proto::api::*;

use crate::caller::Caller;
use crate::calls::Service;
use crate::convert;

/// Elements that one answer has of a node.
const ELEMENTS_MAX: usize = 100;

impl Service {
    pub(crate) async fn list_nodes(&self, caller: &Caller) -> Result<ListNodesResponse, Refused> {
        caller.need(Role::Viewer, "list nodes")?;
        let nodes = self.handle.nodes().await?;
        Ok(ListNodesResponse { nodes: nodes.into_iter().map(convert::node).collect() })
    }

    pub(crate) async fn get_node(
        &self,
        caller: &Caller,
        request: GetNodeRequest,
    ) -> Result<NodeStatus, Refused> {
        caller.need(Role::Viewer, "look at a node")?;
        let NodeDetail { node, elements } = self.handle.node(&request.id, ELEMENTS_MAX).await?;
        let elements = elements.into_iter().map(convert::element).collect();
        Ok(NodeStatus { elements, ..convert::node(node) })
    }

    pub(crate) async fn drain_node(
        &self,
        caller: &Caller,
        request: DrainNodeRequest,
    ) -> Result<NodeStatus, Refused> {
        let DrainNodeRequest { id, wait_ms, reason, actor } = request;
        caller.need(Role::Operator, "drain a node")?;
        let because = Because { actor: caller.actor(&actor)?, reason };
        Ok(convert::node(self.handle(caller).drain_node(&id, wait_ms, because).await?))
    }

    pub(crate) async fn resume_node(
        &self,
        caller: &Caller,
        request: ResumeNodeRequest,
    ) -> Result<ResumeNodeResponse, Refused> {
        let ResumeNodeRequest { id, reason, actor } = request;
        caller.need(Role::Operator, "take a node back into work")?;
        let because = Because { actor: caller.actor(&actor)?, reason };
        let (node, was_drained) = self.handle(caller).resume_node(&id, because).await?;
        Ok(ResumeNodeResponse { node: Some(convert::node(node)), was_drained })
    }

    pub(crate) async fn remove_node(
        &self,
        caller: &Caller,
        request: RemoveNodeRequest,
    ) -> Result<RemoveNodeResponse, Refused> {
        let RemoveNodeRequest { id, force, reason, actor } = request;
        // By force somebody vouches for what the cluster cannot know: wrongly, and a task runs twice.
        match force {
            true => caller.need(Role::Admin, "remove a node by force")?,
            false => caller.need(Role::Operator, "remove a node")?,
        }
        let because = Because { actor: caller.actor(&actor)?, reason };
        let (node, returned) = self.handle(caller).remove_node(&id, force, because).await?;
        Ok(RemoveNodeResponse { node: Some(convert::node(node)), returned })
    }
}
