//! `CreateJoinToken`, `AdmitNode` and `SetMember`: who belongs to the cluster, and how one comes in.

use model::{NodeId, Roles};
use proto::record::{self, AdmitNode, CreateJoinToken, SetMember};

use crate::change::{Action, Change};
use crate::context::Context;
use crate::event::{Answer, Refusal};
use crate::members::{JoinToken, JoinTokenId, Member, Members};
use crate::state::State;

/// Bytes of a name or an address.
const TEXT_BYTES_MAX: usize = 256;

pub(crate) fn create_token(
    state: &mut State,
    context: &mut Context,
    create: &CreateJoinToken,
) -> Result<Answer, Refusal> {
    let (id, token) = read_token(proto::required(create.token.as_ref(), "token")?)?;
    if state.members.join_token(id).is_some() {
        return Err(proto::Invalid("token.id").into());
    }
    if state.members.join_tokens().count() >= Members::TOKENS_MAX {
        return Err(Refusal::JoinTokensFull);
    }
    let on = format!("a join token for {} node(s) with {}", token.uses_max, token.roles);
    state.members.insert_token(id, token);
    let because = create.because.clone().unwrap_or_default();
    context.changed(Change::new(Action::CreateJoinToken, on, &because, create.from.as_ref()));
    Ok(Answer::JoinTokenCreated)
}

pub(crate) fn admit(
    state: &mut State,
    context: &mut Context,
    admit: &AdmitNode,
) -> Result<Answer, Refusal> {
    let (node, mut member) = read(proto::required(admit.member.as_ref(), "member")?)?;
    let token_id = join_token_id(&admit.token_id)?;
    let key_hash = admit.key_hash[..].try_into().map_err(|_| proto::Invalid("key_hash"))?;
    if state.members.is_revoked(node) {
        return Err(Refusal::NodeRevoked { node });
    }
    let full = state.members.len() >= Members::MAX;
    let known = state.members.get(node).is_some();
    let now_ms = context.now_ms;
    let token = state.members.token_mut(token_id).filter(|token| token.expires_ms > now_ms);
    let token = token.ok_or(Refusal::UnknownJoinToken)?;
    if !member.roles.within(token.roles) {
        return Err(Refusal::JoinTokenRoles { allowed: token.roles });
    }
    if token.used_by.contains(&(node, key_hash)) {
        return Ok(Answer::Admitted);
    }
    if known {
        return Err(Refusal::MemberThere { node });
    }
    if token.used_by.len() >= token.uses_max as usize {
        return Err(Refusal::JoinTokenUsedUp { uses_max: token.uses_max });
    }
    if full {
        return Err(Refusal::MembersFull);
    }
    token.used_by.push((node, key_hash));
    member.joined_ms = now_ms;
    let on = format!("{} ({node}, {})", member.name, member.roles);
    state.members.set(node, member);
    let because = model::Because::new("node", "it has shown a join token").into();
    context.changed(Change::new(Action::AdmitNode, on, &because, None));
    Ok(Answer::Admitted)
}

pub(crate) fn set(
    state: &mut State,
    context: &Context,
    set: &SetMember,
) -> Result<Answer, Refusal> {
    let (node, mut member) = read(proto::required(set.member.as_ref(), "member")?)?;
    member.joined_ms = match state.members.get(node) {
        Some(known) if known.roles == member.roles => known.joined_ms,
        Some(known) => return Err(Refusal::JoinTokenRoles { allowed: known.roles }),
        None if state.members.is_empty() => context.now_ms,
        None => return Err(Refusal::UnknownNode { node }),
    };
    state.members.set(node, member);
    Ok(Answer::MemberSet)
}

pub(crate) fn join_token_id(bytes: &[u8]) -> Result<JoinTokenId, Refusal> {
    Ok(bytes.try_into().map_err(|_| proto::Invalid("token_id"))?)
}

/// A member as it is written.
pub(crate) fn read(member: &record::Member) -> Result<(NodeId, Member), Refusal> {
    let node = NodeId::from_bytes(&member.node_id).ok_or(proto::Invalid("member.node_id"))?;
    let roles = Roles { control: member.control, worker: member.worker };
    if !roles.control && !roles.worker {
        return Err(proto::Invalid("member.roles").into());
    }
    let texts = [&member.name, &member.address, &member.api_address];
    if texts.iter().any(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(proto::Invalid("member.address").into());
    }
    let read = Member {
        name: member.name.clone(),
        roles,
        address: member.address.clone(),
        api_address: member.api_address.clone(),
        journal_life: member.journal_life,
        joined_ms: member.joined_ms,
    };
    Ok((node, read))
}

/// A join token as it is written.
pub(crate) fn read_token(token: &record::JoinToken) -> Result<(JoinTokenId, JoinToken), Refusal> {
    let roles = Roles { control: token.control, worker: token.worker };
    if !(1..=Members::USES_MAX).contains(&token.uses_max) || !(roles.control || roles.worker) {
        return Err(proto::Invalid("token.uses_max").into());
    }
    let hash = |bytes: &[u8]| bytes.try_into().map_err(|_| proto::Invalid("token.hash"));
    let used = |used: &record::JoinTokenUse| {
        let node = NodeId::from_bytes(&used.node_id).ok_or(proto::Invalid("token.used_by"))?;
        Ok((node, hash(&used.key_hash)?))
    };
    let used_by: Result<Vec<_>, proto::Invalid> = token.used_by.iter().map(used).collect();
    let read = JoinToken {
        secret_hash: hash(&token.secret_hash)?,
        roles,
        expires_ms: token.expires_ms,
        uses_max: token.uses_max,
        used_by: used_by?,
    };
    Ok((join_token_id(&token.id)?, read))
}
