//! The cluster: its members, and what lets others in.

use proto::api;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{at_ms, text};

/// The cluster, as the answering node knows it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ClusterStatus {
    /// Its id.
    pub cluster: String,
    /// Raised by a restore or a recovery.
    pub incarnation: u32,
    /// The id of the node that leads; `null`: none is known.
    pub leader: Option<String>,
    /// The leader's term.
    pub term: u64,
    /// The last entry of the journal that the answering node has applied.
    pub applied: u64,
    /// Who votes is being changed.
    pub changing: bool,
    /// What an acknowledged submit survives, in words.
    pub survives: String,
    /// By name.
    pub members: Vec<Member>,
}

/// A node that belongs to the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `control,worker`, `control` or `worker`.
    pub roles: String,
    /// `voter`, `learner` or `none`.
    pub vote: String,
    /// `leads`, `follows`, `silent` or `lost` (its disk was emptied or put back); `null` where the answering node does
    /// not know.
    pub state: Option<String>,
    /// How many entries of the journal it is behind; `null` where the leader does not know or answer.
    pub behind: Option<u64>,
    /// Where other nodes reach it; `null`: nowhere.
    pub address: Option<String>,
    /// Where people and programs reach it; `null`: on its own machine alone.
    pub api_address: Option<String>,
    /// When it came in.
    pub joined_at: Option<String>,
    /// How many milliseconds its clock is ahead of the median of the voters'; `null` where that is not known. One that
    /// is more than 5,000 off, either way, does not lead.
    pub clock_ahead_ms: Option<i64>,
}

impl From<&api::GetClusterResponse> for ClusterStatus {
    fn from(cluster: &api::GetClusterResponse) -> ClusterStatus {
        ClusterStatus {
            cluster: cluster.cluster.clone(),
            incarnation: cluster.incarnation,
            leader: text(&cluster.leader),
            term: cluster.term,
            applied: cluster.applied,
            changing: cluster.changing,
            survives: cluster.survives.clone(),
            members: cluster.members.iter().map(Member::from).collect(),
        }
    }
}

impl From<&api::ClusterMember> for Member {
    fn from(member: &api::ClusterMember) -> Member {
        Member {
            id: member.id.clone(),
            name: member.name.clone(),
            roles: member.roles.clone(),
            vote: member.vote.clone(),
            state: text(&member.state),
            behind: member.behind,
            address: text(&member.address),
            api_address: text(&member.api_address),
            joined_at: at_ms(member.joined_ms),
            clock_ahead_ms: member.clock_ahead_ms,
        }
    }
}

/// A join token to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CreateJoinToken {
    /// The roles its nodes may have: `control,worker`, `control` or `worker`. A control node has the cluster's keys.
    #[schema(example = "worker")]
    pub roles: String,
    /// How long it is good for, in milliseconds, 7 days at the most; an hour unless told otherwise.
    #[schema(example = 3_600_000)]
    pub lasts_ms: Option<u64>,
    /// How many nodes it lets in, 1,000 at the most; one unless told otherwise.
    #[schema(example = 2)]
    pub uses_max: Option<u32>,
    /// Why, for the audit.
    pub reason: Option<String>,
    /// Who makes it: `user:NAME`, for the data directory's token alone.
    pub actor: Option<String>,
}

/// What lets machines join; the only answer that has its text.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct JoinToken {
    /// For `windlass join`.
    pub text: String,
    /// Where to join.
    pub address: String,
    /// The roles that its nodes may have.
    pub roles: String,
    /// How many nodes it lets in.
    pub uses_max: u32,
    /// When it lets nobody in any more.
    pub expires_at: Option<String>,
}

impl From<&api::CreateJoinTokenResponse> for JoinToken {
    fn from(made: &api::CreateJoinTokenResponse) -> JoinToken {
        JoinToken {
            text: made.text.clone(),
            address: made.address.clone(),
            roles: made.roles.clone(),
            uses_max: made.uses_max,
            expires_at: at_ms(made.expires_ms),
        }
    }
}
