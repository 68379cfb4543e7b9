//! Nodes.

use std::collections::BTreeMap;

use proto::api;
use serde::Serialize;
use utoipa::ToSchema;

use super::element::Element;
use super::shape::Resources;
use super::text;

/// All nodes.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Nodes {
    /// In the order of their ids.
    pub nodes: Vec<Node>,
}

impl From<&[api::NodeStatus]> for Nodes {
    fn from(nodes: &[api::NodeStatus]) -> Nodes {
        Nodes { nodes: nodes.iter().map(Node::from).collect() }
    }
}

/// A machine that runs tasks.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Node {
    /// Its id, which stays when its name changes.
    #[schema(format = "uuid")]
    pub id: String,
    /// Its name.
    #[schema(example = "alpha")]
    pub name: String,
    /// `ready`, `degraded` (with the reason) or `disconnected`.
    #[schema(example = "ready")]
    pub state: String,
    /// Why it is degraded.
    pub reason: Option<String>,
    /// What it has.
    pub capacity: Option<Resources>,
    /// What of that is reserved.
    pub reserved: Option<Resources>,
    /// Attempts with a seat.
    pub running: u64,
    /// Attempts that wait there for one.
    pub waiting: u64,
    /// How often it was registered anew.
    pub epoch: u64,
    /// Its binary's version.
    #[schema(example = "0.1.0")]
    pub version: String,
    /// How a task's tree of processes is known and ended there.
    #[schema(example = "cgroup-v2")]
    pub containment: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A node, and what runs there.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct NodeDetail {
    /// The node.
    pub node: Node,
    /// Elements that run there, of the latest runs; at most 20.
    pub elements: Vec<Element>,
}

impl From<&api::NodeStatus> for Node {
    fn from(node: &api::NodeStatus) -> Node {
        Node {
            id: node.id.clone(),
            name: node.name.clone(),
            state: node.state.clone(),
            reason: text(&node.reason),
            capacity: node.capacity.as_ref().map(Resources::from),
            reserved: node.reserved.as_ref().map(Resources::from),
            running: node.running,
            waiting: node.waiting,
            epoch: node.epoch,
            version: node.version.clone(),
            containment: node.containment.clone(),
            labels: node.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        }
    }
}
