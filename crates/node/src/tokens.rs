//! What a [`Handle`] does with tokens: makes, lists and revokes them, and says whose a text is.
//!
//! A token's text is `wl_ID_SECRET`: by the id it is found, and the secret has 256 bits of chance.
//! The text is handed out once and kept nowhere; the cluster agrees on its hash.

use std::hint::black_box;
use std::time::{SystemTime, UNIX_EPOCH};

use machine::{Answer, Token};
use model::job::limits::{NAME_BYTES_MAX, REASON_BYTES_MAX};
use model::{Because, Role};
use proto::record::{self, command::Kind};
use sha2::{Digest, Sha256};

use crate::blobs::hex;
use crate::chance::random;
use crate::error::Refused;
use crate::handle::{Handle, unexpected};

/// What every token's text begins with.
const PREFIX: &str = "wl_";
/// Bytes of an id and of a secret.
const ID_BYTES: usize = 5;
const SECRET_BYTES: usize = 32;
/// Bytes of a token's text at most: what is longer is none.
const TEXT_BYTES_MAX: usize = 256;
/// Users a token may list.
const RUN_AS_MAX: usize = 100;

/// What a token is to be.
#[derive(Clone, Debug, Default)]
pub struct NewToken {
    /// Its name, for people; no other token may have the same.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// Whose the runs are that are submitted with it; empty: its name's.
    pub owner: String,
    /// The users a job may run as; none: the node's own alone.
    pub run_as: Vec<String>,
    /// How long it is taken, in milliseconds; 0: for ever.
    pub lasts_ms: u64,
}

/// A token as it is shown: never its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStatus {
    /// Names it.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// Whose the runs are that are submitted with it.
    pub owner: String,
    /// The users a job may run as; none: the node's own alone.
    pub run_as: Vec<String>,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// When it is taken no more, Unix milliseconds; 0: never.
    pub expires_ms: u64,
    /// Who made it.
    pub creator: String,
    /// When this node last took it, Unix milliseconds; 0: not since it started.
    pub used_ms: u64,
}

impl Handle {
    /// Makes a token; answers with its text, which nobody can have again.
    pub async fn create_token(
        &self,
        new: NewToken,
        because: Because,
    ) -> Result<(String, TokenStatus), Refused> {
        check(&new, &because)?;
        let NewToken { name, role, owner, run_as, lasts_ms } = new;
        let owner = if owner.is_empty() { name.clone() } else { owner };
        let id = hex(&random::<ID_BYTES>()?);
        let text = format!("{PREFIX}{id}_{}", hex(&random::<SECRET_BYTES>()?));
        let token = record::Token {
            id: id.clone(),
            name,
            role: role.to_string(),
            owner,
            run_as,
            hash: Sha256::digest(&text).to_vec(),
            ..record::Token::default()
        };
        let create = record::CreateToken {
            token: Some(token),
            lasts_ms,
            because: Some(because.into()),
            from: self.from.clone(),
        };
        match self.commit(Kind::CreateToken(create)).await? {
            Answer::TokenCreated { .. } => {}
            other => return Err(unexpected(other)),
        }
        let view = self.view().await?;
        let gone = || Refused::NotFound(format!("token `{id}` was revoked at once"));
        let token = view.state.tokens().get(&id).ok_or_else(gone)?;
        Ok((text, self.shown(token)))
    }

    /// The tokens there are, by name.
    pub async fn tokens(&self) -> Result<Vec<TokenStatus>, Refused> {
        let view = self.view().await?;
        let mut tokens: Vec<_> = view.state.tokens().iter().map(|one| self.shown(one)).collect();
        tokens.sort_by(|a, b| a.name.cmp(&b.name));
        self.shared.token_uses.keep(|id| view.state.tokens().get(id).is_some());
        Ok(tokens)
    }

    /// Revokes the token with this id, or this name. When it answers, the token is taken no more.
    pub async fn revoke_token(
        &self,
        token: &str,
        because: Because,
    ) -> Result<TokenStatus, Refused> {
        check_texts(&because)?;
        let view = self.view().await?;
        let tokens = view.state.tokens();
        let named = || tokens.iter().find(|one| one.name == token);
        let found = tokens.get(token).or_else(named).cloned();
        let found =
            found.ok_or_else(|| Refused::NotFound(format!("there is no token `{token}`")))?;
        let (id, because) = (found.id.to_string(), Some(because.into()));
        let revoke = record::RevokeToken { id, because, from: self.from.clone() };
        match self.commit(Kind::RevokeToken(revoke)).await? {
            Answer::TokenRevoked => {}
            other => return Err(unexpected(other)),
        }
        // What calls are checked against is the view, so it has to have come that far.
        self.view().await?;
        Ok(self.shown(&found))
    }

    /// The token with this text, if it is one that is taken.
    pub fn token(&self, text: &[u8]) -> Option<TokenStatus> {
        let id = id_of(text)?;
        let view = self.shared.views.borrow().clone();
        let token = view.state.tokens().get(id)?;
        if !equal(&Sha256::digest(text), &token.hash) {
            return None;
        }
        self.shared.token_uses.note(&token.id, now_ms());
        Some(self.shown(token))
    }

    /// Whether the token with this id is still taken.
    pub fn has_token(&self, id: &str) -> bool {
        self.shared.views.borrow().state.tokens().get(id).is_some()
    }

    fn shown(&self, token: &Token) -> TokenStatus {
        TokenStatus {
            id: token.id.to_string(),
            name: token.name.clone(),
            role: token.role,
            owner: token.owner.clone(),
            run_as: token.run_as.clone(),
            created_ms: token.created_ms,
            expires_ms: token.expires_ms,
            creator: token.creator.clone(),
            used_ms: self.shared.token_uses.of(&token.id),
        }
    }
}

fn check(new: &NewToken, because: &Because) -> Result<(), Refused> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    let fits = |text: &str| text.len() <= NAME_BYTES_MAX && text.chars().all(plain);
    let letters = "letters, digits, `-`, `_`, `.` and `@`";
    let fault = |what: String| Err(Refused::Unfit(what));
    if new.name.is_empty() || !fits(&new.name) {
        return fault(format!("name: takes 1 to {NAME_BYTES_MAX} {letters}"));
    }
    if !fits(&new.owner) {
        return fault(format!("owner: takes at most {NAME_BYTES_MAX} {letters}"));
    }
    if new.run_as.len() > RUN_AS_MAX || new.run_as.iter().any(|user| user.is_empty() || !fits(user))
    {
        return fault(format!("run_as: takes at most {RUN_AS_MAX} names of users"));
    }
    check_texts(because)
}

pub(crate) fn check_texts(because: &Because) -> Result<(), Refused> {
    if because.reason.len() > REASON_BYTES_MAX || because.actor.len() > NAME_BYTES_MAX {
        return Err(Refused::Unfit(format!("reason: must be at most {REASON_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn id_of(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= TEXT_BYTES_MAX)?;
    let (id, _) = text.strip_prefix(PREFIX)?.split_once('_')?;
    Some(id)
}

/// Compares every byte whatever the ones before.
fn equal(a: &[u8], b: &[u8]) -> bool {
    let different = a.iter().zip(b).fold(0, |different, (a, b)| black_box(different | (a ^ b)));
    a.len() == b.len() && different == 0
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_its_id() {
        assert_eq!(id_of(b"wl_12ab_secret"), Some("12ab"));
        for none in [&b"wl_12ab"[..], b"12ab_secret", b"", b"wl_\xff_x", &[b'a'; 300]] {
            assert_eq!(id_of(none), None);
        }
    }

    #[test]
    fn only_the_same_is_equal() {
        assert!(equal(b"abc", b"abc"));
        assert!(!equal(b"abc", b"abd") && !equal(b"ab", b"abc") && !equal(b"abc", b""));
    }

    #[test]
    fn what_cannot_be_a_token_is_refused() {
        let because = Because::new("user:ann", "");
        let new = |name: &str| NewToken { name: name.to_owned(), ..NewToken::default() };
        assert!(check(&new("ci@host-1.x_y"), &because).is_ok());
        for bad in ["", "a b", "a\nb", &"a".repeat(1000)] {
            assert!(check(&new(bad), &because).is_err(), "{bad}");
        }
        let many = NewToken { run_as: vec!["bob".into(); RUN_AS_MAX + 1], ..new("ci") };
        assert!(check(&many, &because).is_err());
    }
}
