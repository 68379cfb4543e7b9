//! Nodes.

use std::collections::BTreeMap;

use proto::api;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::element::{Because, Element};
use super::shape::Resources;
use super::{at_ms, text};

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
    /// `ready`, `degraded` or `draining` (with the reason), `drained` or `disconnected`.
    #[schema(example = "ready")]
    pub state: String,
    /// Why it is degraded, or drained.
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
    /// It is drained: nothing is placed there. `null`: it takes work, if it is connected.
    pub drain: Option<Draining>,
}

/// The drain of a node.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Draining {
    /// Who wants it, and why.
    pub because: Option<Because>,
    /// Since when.
    pub since_at: Option<String>,
    /// Until when what runs there may go on; `null`: as long as it takes.
    pub until_at: Option<String>,
    /// That time is over, and what ran is being stopped.
    pub stops: bool,
}

impl From<&api::Drain> for Draining {
    fn from(drain: &api::Drain) -> Draining {
        Draining {
            because: drain.because.as_ref().map(Because::from),
            since_at: at_ms(drain.since_ms),
            until_at: drain.until_ms.and_then(at_ms),
            stops: drain.stops,
        }
    }
}

/// A node, and what is placed there.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct NodeDetail {
    /// The node.
    pub node: Node,
    /// Elements that are placed there, in the order they came there; at most 100.
    pub elements: Vec<Element>,
}

impl From<&api::NodeStatus> for NodeDetail {
    fn from(node: &api::NodeStatus) -> NodeDetail {
        let elements = node.elements.iter().map(Element::from).collect();
        NodeDetail { node: Node::from(node), elements }
    }
}

/// A node that is taken back into work.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Resumed {
    /// The node.
    pub node: Node,
    /// It took no work before.
    pub was_drained: bool,
}

impl From<&api::ResumeNodeResponse> for Resumed {
    fn from(answer: &api::ResumeNodeResponse) -> Resumed {
        let node = Node::from(answer.node.as_ref().unwrap_or(&api::NodeStatus::default()));
        Resumed { node, was_drained: answer.was_drained }
    }
}

/// A node that is forgotten.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Removed {
    /// The node, as it was.
    pub node: Node,
    /// How many attempts that were placed there are given back.
    pub returned: u64,
}

impl From<&api::RemoveNodeResponse> for Removed {
    fn from(answer: &api::RemoveNodeResponse) -> Removed {
        let node = Node::from(answer.node.as_ref().unwrap_or(&api::NodeStatus::default()));
        Removed { node, returned: answer.returned }
    }
}

/// How a node is drained. All may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Drain {
    /// How long what runs there may go on, in milliseconds; `null`: as long as it takes.
    #[schema(example = 3_600_000)]
    pub wait_ms: Option<u64>,
    /// Why, for people.
    pub reason: Option<String>,
    /// Who asks, `user:NAME`; counts only with the token of the data directory.
    pub actor: Option<String>,
}

/// Why a node is taken back. All may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resume {
    /// Why, for people.
    pub reason: Option<String>,
    /// Who asks, `user:NAME`; counts only with the token of the data directory.
    pub actor: Option<String>,
}

/// How a node is removed. All may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Remove {
    /// Whoever asks vouches that its machine is dead: what is placed there is started elsewhere.
    /// Takes the role admin.
    pub force: bool,
    /// Why, for people.
    pub reason: Option<String>,
    /// Who asks, `user:NAME`; counts only with the token of the data directory.
    pub actor: Option<String>,
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
            drain: node.drain.as_ref().map(Draining::from),
        }
    }
}
