//! What a node is told, what it tells of itself, and why it stopped.

use std::path::PathBuf;

use model::{ClusterId, NodeId, Resources, Roles};

use crate::cluster::Place;
pub use crate::noop::NoopWorkers;
pub use crate::upkeep::Keeping;

/// What a node is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it keeps everything.
    pub data_dir: PathBuf,
    /// Its name, for people.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// What it has for tasks; 0 of a resource means all that the machine has.
    pub capacity: Resources,
    /// The binary that is started as the supervisor.
    pub exe: PathBuf,
    /// The version of the binary.
    pub version: String,
    /// How it keeps what it has.
    pub keeping: Keeping,
    /// Workers beside its own that run nothing.
    pub noop: NoopWorkers,
    /// Its place among the others.
    pub place: Place,
    /// Where people and programs on other machines reach it, `HOST:PORT`; empty: they do not.
    pub api_address: String,
    /// The part of all runs, from 0 to 1, that is told for traces; `None`: nobody makes any.
    pub traced: Option<f64>,
    /// The lease that nodes are given while this one leads, in milliseconds.
    pub lease_ms: u64,
}

/// What does not change while a node serves.
#[derive(Clone, Debug)]
pub struct Info {
    /// The node's id.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The cluster's incarnation.
    pub incarnation: u16,
    /// The version of its binary.
    pub version: String,
    /// The level of the records it writes.
    pub level: u32,
    /// Where it keeps everything.
    pub data_dir: PathBuf,
    /// What it has for tasks.
    pub capacity: Resources,
    /// What it is there for.
    pub roles: Roles,
}

/// Why a node has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was taken down; its tasks have ended.
    Down,
    /// It could not go on, for this reason.
    Failed(String),
    /// It was closed; its tasks go on.
    Closed,
}
