//! The tokens that let people and programs in.
//!
//! Only hashes are here: a text with 256 bits of chance in it needs no salt and no slow hash, and
//! nobody who reads the journal, a snapshot or the state can make a token of it.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use model::Role;

/// The SHA-256 of a token's text.
pub type TokenHash = [u8; 32];

/// A token, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Names it in lists; part of its text.
    pub id: Arc<str>,
    /// Its name, for people; no other token has the same.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// Whose the runs are that are submitted with it.
    pub owner: String,
    /// The users a job may run as; none: the node's own alone.
    pub run_as: Vec<String>,
    /// What its text is checked against.
    pub hash: TokenHash,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// When it is taken no more, Unix milliseconds; 0: never.
    pub expires_ms: u64,
    /// Who made it.
    pub creator: String,
}

/// The tokens there are: one that was revoked, or has expired, is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    by_id: OrdMap<Arc<str>, Arc<Token>>,
    names: OrdSet<Arc<str>>,
    /// Those that expire, the next first.
    expiries: OrdSet<(u64, Arc<str>)>,
}

impl Tokens {
    /// Tokens at once.
    pub const MAX: usize = 10_000;

    /// A token.
    pub fn get(&self, id: &str) -> Option<&Arc<Token>> {
        self.by_id.get(id)
    }

    /// All of them, by their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.by_id.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// When the next expires, Unix milliseconds.
    pub fn next_ms(&self) -> Option<u64> {
        self.expiries.get_min().map(|(at_ms, _)| *at_ms)
    }

    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Adds a token with an id and a name that no other has.
    pub(crate) fn insert(&mut self, token: Token) {
        self.names.insert(token.name.as_str().into());
        if token.expires_ms > 0 {
            self.expiries.insert((token.expires_ms, token.id.clone()));
        }
        self.by_id.insert(token.id.clone(), Arc::new(token));
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Arc<Token>> {
        let token = self.by_id.remove(id)?;
        self.names.remove(token.name.as_str());
        self.expiries.remove(&(token.expires_ms, token.id.clone()));
        Some(token)
    }

    /// Takes the next that has expired at `now_ms`.
    pub(crate) fn take_expired(&mut self, now_ms: u64) -> Option<Arc<Token>> {
        let (_, id) = self.expiries.get_min().filter(|(at_ms, _)| *at_ms <= now_ms)?.clone();
        self.remove(&id)
    }

    pub(crate) fn agree(&self) -> bool {
        let expiring: OrdSet<_> = (self.iter().filter(|token| token.expires_ms > 0))
            .map(|token| (token.expires_ms, token.id.clone()))
            .collect();
        let all = |token: &Arc<Token>| self.names.contains(token.name.as_str());
        self.by_id.len() == self.names.len() && self.iter().all(all) && expiring == self.expiries
    }
}
