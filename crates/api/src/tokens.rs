//! The calls about tokens, for whoever has the role admin.

use model::{Because, Role};
use node::{NewToken, Refused, TokenStatus};
use proto::api::*;

use crate::caller::Caller;
use crate::calls::Service;
use crate::refusal::invalid;

impl Service {
    pub(crate) async fn create_token(
        &self,
        caller: &Caller,
        request: CreateTokenRequest,
    ) -> Result<CreateTokenResponse, Refused> {
        caller.need(Role::Admin, "make a token")?;
        let CreateTokenRequest { name, role, owner, run_as, lasts_ms, reason, actor } = request;
        let nobody = || invalid(format!("role: `{role}` is none of {}", roles()));
        let role = role.parse().map_err(|()| nobody())?;
        let because = Because { actor: caller.actor(&actor)?, reason };
        // Nobody gives away what they do not have.
        if caller.token.is_some() && (run_as.iter().any(|user| !caller.run_as.contains(user))) {
            let may = "the users that your own token lists";
            return Err(Refused::Forbidden(format!("run_as: a token may list no more than {may}")));
        }
        let new = NewToken { name, role, owner, run_as, lasts_ms };
        let (text, token) = self.handle(caller).create_token(new, because).await?;
        Ok(CreateTokenResponse { text, token: Some(shown(token)) })
    }

    pub(crate) async fn list_tokens(&self, caller: &Caller) -> Result<ListTokensResponse, Refused> {
        caller.need(Role::Admin, "list tokens")?;
        let tokens = self.handle.tokens().await?;
        Ok(ListTokensResponse { tokens: tokens.into_iter().map(shown).collect() })
    }

    pub(crate) async fn revoke_token(
        &self,
        caller: &Caller,
        request: RevokeTokenRequest,
    ) -> Result<RevokeTokenResponse, Refused> {
        caller.need(Role::Admin, "revoke a token")?;
        let RevokeTokenRequest { token, reason, actor } = request;
        let because = Because { actor: caller.actor(&actor)?, reason };
        let token = self.handle(caller).revoke_token(&token, because).await?;
        Ok(RevokeTokenResponse { token: Some(shown(token)) })
    }
}

fn roles() -> String {
    Role::ALL.map(Role::name).join(", ")
}

fn shown(token: TokenStatus) -> Token {
    Token {
        id: token.id,
        name: token.name,
        role: token.role.to_string(),
        owner: token.owner,
        run_as: token.run_as,
        created_ms: token.created_ms,
        expires_ms: token.expires_ms,
        creator: token.creator,
        used_ms: token.used_ms,
    }
}
