//! The calls about the cluster itself: who belongs to it, and letting nodes in.

use std::time::Duration;

use model::{Because, Role, Roles};
use node::{AuthorityShown, ClusterStatus, MemberStatus, NewJoinToken, Refused};
use proto::api::*;

use crate::caller::Caller;
use crate::calls::Service;
use crate::refusal::invalid;

/// Who has been silent for so long is shown so, in milliseconds.
const SILENT_MS: u64 = 3_000;

impl Service {
    pub(crate) async fn get_cluster(&self, caller: &Caller) -> Result<GetClusterResponse, Refused> {
        caller.need(Role::Viewer, "look at the cluster")?;
        let status = self.handle.cluster_status().await?;
        let member = |member: &MemberStatus| shown(&status, member);
        Ok(GetClusterResponse {
            cluster: status.cluster.to_string(),
            incarnation: status.incarnation.into(),
            leader: status.leader.map(|leader| leader.to_string()).unwrap_or_default(),
            term: status.term,
            applied: status.applied,
            changing: status.changing,
            survives: status.survives().to_owned(),
            members: status.members.iter().map(member).collect(),
        })
    }

    pub(crate) fn get_authority(&self, caller: &Caller) -> Result<GetAuthorityResponse, Refused> {
        caller.need(Role::Viewer, "see the cluster's authority")?;
        let AuthorityShown { certificate, sha256 } = self.handle.authority_shown();
        Ok(GetAuthorityResponse { certificate, sha256 })
    }

    pub(crate) async fn create_join_token(
        &self,
        caller: &Caller,
        request: CreateJoinTokenRequest,
    ) -> Result<CreateJoinTokenResponse, Refused> {
        caller.need(Role::Admin, "let nodes into the cluster")?;
        let CreateJoinTokenRequest { roles, lasts_ms, uses_max, reason, actor } = request;
        let roles = match roles.as_str() {
            "" => Roles::BOTH,
            text => text.parse().map_err(|()| {
                invalid("roles: it is one of `control,worker`, `control`, `worker`".to_owned())
            })?,
        };
        let life = match lasts_ms {
            0 => node::JOIN_TOKEN_LIFE,
            ms => Duration::from_millis(ms),
        };
        let because = Because { actor: caller.actor(&actor)?, reason };
        let new = NewJoinToken { roles, life, uses_max: uses_max.max(1) };
        let (token, address) = self.handle(caller).create_join_token(new, because).await?;
        Ok(CreateJoinTokenResponse {
            text: token.text(),
            address,
            roles: roles.to_string(),
            uses_max: new.uses_max,
            expires_ms: token.expires_s * 1000,
        })
    }
}

fn shown(status: &ClusterStatus, member: &MemberStatus) -> ClusterMember {
    let state = match member.silent_ms {
        _ if status.leader == Some(member.node) => "leads",
        _ if member.lost => "lost",
        Some(silent_ms) if silent_ms >= SILENT_MS => "silent",
        Some(_) => "follows",
        None => "",
    };
    ClusterMember {
        id: member.node.to_string(),
        name: member.name.clone(),
        roles: member.roles.to_string(),
        vote: member.vote.name().to_owned(),
        state: state.to_owned(),
        behind: member.behind,
        address: member.address.clone(),
        api_address: member.api_address.clone(),
        joined_ms: member.joined_ms,
        clock_ahead_ms: member.clock_ahead_ms,
    }
}
