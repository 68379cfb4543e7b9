//! `CreateToken` and `RevokeToken`: who is let in from now on, and who no more.

use model::Role;
use proto::record::{self, CreateToken, RevokeToken};

use crate::change::{Action, Change};
use crate::context::Context;
use crate::event::{Answer, Refusal};
use crate::state::State;
use crate::token::{Token, Tokens};

pub(crate) fn create(
    state: &mut State,
    context: &mut Context,
    create: &CreateToken,
) -> Result<Answer, Refusal> {
    let wanted = proto::required(create.token.as_ref(), "token")?;
    let expires_ms = match create.lasts_ms {
        0 => 0,
        lasts_ms => context.now_ms.saturating_add(lasts_ms),
    };
    let because = create.because.clone().unwrap_or_default();
    let creator = because.actor.clone();
    let token = Token { created_ms: context.now_ms, expires_ms, creator, ..read(wanted)? };
    if state.tokens.is_named(&token.name) || state.tokens.get(&token.id).is_some() {
        return Err(Refusal::TokenThere { name: token.name });
    }
    if state.tokens.len() >= Tokens::MAX {
        return Err(Refusal::TokensFull);
    }
    let on = format!("{} ({}, {})", token.name, token.id, token.role);
    state.tokens.insert(token);
    let from = create.from.as_ref();
    context.changed(Change::new(Action::CreateToken, on, &because, from));
    Ok(Answer::TokenCreated { expires_ms })
}

pub(crate) fn revoke(
    state: &mut State,
    context: &mut Context,
    revoke: &RevokeToken,
) -> Result<Answer, Refusal> {
    let unknown = || Refusal::UnknownToken { id: revoke.id.clone() };
    let token = state.tokens.remove(&revoke.id).ok_or_else(unknown)?;
    let on = format!("{} ({}, {})", token.name, token.id, token.role);
    let because = revoke.because.clone().unwrap_or_default();
    context.changed(Change::new(Action::RevokeToken, on, &because, revoke.from.as_ref()));
    Ok(Answer::TokenRevoked)
}

/// Takes away what has expired.
pub(crate) fn expire(state: &mut State, context: &mut Context) -> bool {
    let Some(token) = state.tokens.take_expired(context.now_ms) else { return false };
    let on = format!("{} ({}, {})", token.name, token.id, token.role);
    let because = model::Because::new("timeout", "its time was over").into();
    context.changed(Change::new(Action::ExpireToken, on, &because, None));
    true
}

/// A token as it is written, with the times that are written.
pub(crate) fn read(token: &record::Token) -> Result<Token, Refusal> {
    let role: Role = token.role.parse().map_err(|()| proto::Invalid("token.role"))?;
    if token.id.is_empty() || token.name.is_empty() {
        return Err(proto::Invalid("token.id").into());
    }
    Ok(Token {
        id: token.id.as_str().into(),
        name: token.name.clone(),
        role,
        owner: token.owner.clone(),
        run_as: token.run_as.clone(),
        hash: token.hash[..].try_into().map_err(|_| proto::Invalid("token.hash"))?,
        created_ms: token.created_ms,
        expires_ms: token.expires_ms,
        creator: token.creator.clone(),
    })
}
