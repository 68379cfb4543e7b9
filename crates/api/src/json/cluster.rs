//! The cluster as a whole, in a file.

use node::cluster_snapshot::Checked;
use serde::Serialize;
use utoipa::ToSchema;

/// What a snapshot of the cluster was found to hold, all of it proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClusterSnapshot {
    /// The cluster.
    pub cluster_id: String,
    /// Its incarnation; a restore leads to one above it.
    #[schema(example = 1)]
    pub incarnation: u16,
    /// The last entry of the journal whose effect it holds.
    pub index: u64,
    /// When it was taken.
    #[schema(example = "2026-07-05T12:34:56.789Z")]
    pub taken_at: String,
    /// The version of the node that took it.
    #[schema(example = "0.1.0")]
    pub version: String,
    /// The level of records that it takes to read it.
    #[schema(example = 5)]
    pub level: u32,
    /// Runs that had not ended.
    pub runs: u64,
    /// Nodes.
    pub nodes: u64,
    /// Tokens that let people and programs in.
    pub tokens: u64,
    /// Lists of items that its runs are given.
    pub lists: u64,
    /// The hashes of lists that its runs name, and that the node did not have.
    pub lists_missing: Vec<String>,
    /// Its bytes.
    pub bytes: u64,
}

impl From<&Checked> for ClusterSnapshot {
    fn from(checked: &Checked) -> ClusterSnapshot {
        let head = &checked.head;
        ClusterSnapshot {
            cluster_id: head.cluster_id.to_string(),
            incarnation: head.incarnation,
            index: head.index,
            taken_at: model::instant::rfc3339_ms(head.taken_ms),
            version: head.version.clone(),
            level: head.level,
            runs: checked.runs,
            nodes: checked.nodes,
            tokens: checked.tokens,
            lists: checked.lists,
            lists_missing: checked.lists_missing.clone(),
            bytes: checked.bytes,
        }
    }
}
