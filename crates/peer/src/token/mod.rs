//! The text that lets a machine into the cluster.
//!
//! It says which cluster, in which roles, until when; it has the hash of the authority's certificate, so that the
//! machine knows whom it talks to before it says a word; and a secret, of which the cluster keeps the hash alone
//! ([`Kept`]). A checksum tells a text that was cut off or mistyped from one that is refused.
//!
//! The secret must never be printed but by [`JoinToken::text`].

mod kept;

use std::fmt;
use std::hint::black_box;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::ClusterId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use kept::{Admission, Asked, Kept, LIFE, LIFE_MAX, Refused, USES_MAX};

use crate::chance::random;
use crate::hex::hex;
use crate::{Error, Roles};

/// What every join token begins with; tokens of the API begin with `wl_`.
const PREFIX: &str = "wlj_";
const VERSION: u8 = 1;
const SECRET_BYTES: usize = 24;
/// Version, roles, cluster, end, id, secret, fingerprint, checksum.
const BYTES: usize = 1 + 1 + 16 + 8 + 8 + SECRET_BYTES + 32 + 4;

/// By which the cluster finds a token; no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; 8]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex(&self.0))
    }
}

/// 192 bits of chance.
#[derive(Clone)]
pub struct Secret([u8; SECRET_BYTES]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Draws one.
    pub fn draw() -> Result<Secret, Error> {
        Ok(Secret(random()?))
    }

    /// Reads one as it was sent; `None` where it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Secret> {
        Some(Secret(bytes.try_into().ok()?))
    }

    /// For sending it to a server that was verified, and for nothing else.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What the cluster keeps of it. A text of so much chance needs neither salt nor a slow hash.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

/// A join token, as its holder has it.
#[derive(Clone, Debug)]
pub struct JoinToken {
    /// The cluster it lets into.
    pub cluster: ClusterId,
    /// The roles its nodes may have.
    pub roles: Roles,
    /// Until when, in seconds since 1970.
    pub expires_s: u64,
    /// By which the cluster finds it.
    pub id: TokenId,
    /// Its secret.
    pub secret: Secret,
    /// The hash of the authority's certificate.
    pub authority: [u8; 32],
}

/// Why a text is not taken for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It does not begin like one.
    #[error(
        "this is not a join token: those begin with `{PREFIX}`\nhint: `windlass cluster token` prints one"
    )]
    NotAToken,
    /// It begins like one, and is not one.
    #[error("the join token was cut off or mistyped\nhint: copy it again, all of it")]
    Mistyped,
    /// It is of a later form.
    #[error(
        "the join token is of form {version}, which this program does not know\nhint: install the cluster's version of windlass on this machine"
    )]
    Version {
        /// Its form.
        version: u8,
    },
    /// It is of another cluster than the one this node is in.
    #[error(
        "the join token is of cluster {found}, and this node is in {expected}\nhint: another data directory makes another node"
    )]
    Cluster {
        /// Ours.
        expected: ClusterId,
        /// Its.
        found: ClusterId,
    },
    /// Its time is over.
    #[error(
        "the join token expired {ago_s} s ago\nhint: `windlass cluster token` on a node of the cluster prints a new one; if it is new, compare the clocks of the two machines"
    )]
    Expired {
        /// How long ago, in seconds.
        ago_s: u64,
    },
    /// It does not let nodes in for this.
    #[error(
        "the join token is for nodes with {allowed}, and this one is to have {asked}\nhint: ask for `--roles {allowed}`, or for another token"
    )]
    Roles {
        /// What it is for.
        allowed: Roles,
        /// What was asked.
        asked: Roles,
    },
}

impl JoinToken {
    /// The text, with the secret: for whoever asked for it.
    pub fn text(&self) -> String {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend([VERSION, self.roles.to_byte()]);
        bytes.extend(self.cluster.to_bytes());
        bytes.extend(self.expires_s.to_be_bytes());
        bytes.extend(self.id.0);
        bytes.extend(self.secret.0);
        bytes.extend(self.authority);
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a text; what stands around it, blanks and line ends, does not count.
    pub fn parse(text: &str) -> Result<JoinToken, Fault> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(Fault::NotAToken)?;
        if text.len() > BYTES * 4 {
            return Err(Fault::Mistyped);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Fault::Mistyped)?;
        let (body, sum) = bytes.split_last_chunk().ok_or(Fault::Mistyped)?;
        if crc32c::crc32c(body) != u32::from_be_bytes(*sum) {
            return Err(Fault::Mistyped);
        }
        let (&version, body) = body.split_first().ok_or(Fault::Mistyped)?;
        if version != VERSION {
            return Err(Fault::Version { version });
        }
        fields(body).ok_or(Fault::Mistyped)
    }

    /// What can be known before the cluster is asked: whether it may help a node of these roles now.
    ///
    /// `cluster` is the one that the node is in already, if any.
    pub fn check(&self, cluster: Option<ClusterId>, roles: Roles, now_s: u64) -> Result<(), Fault> {
        if let Some(expected) = cluster.filter(|cluster| *cluster != self.cluster) {
            return Err(Fault::Cluster { expected, found: self.cluster });
        }
        if now_s > self.expires_s {
            return Err(Fault::Expired { ago_s: now_s - self.expires_s });
        }
        if !roles.within(self.roles) {
            return Err(Fault::Roles { allowed: self.roles, asked: roles });
        }
        Ok(())
    }

    /// Whether this is the certificate of the authority that the token names.
    pub fn names(&self, authority: &rustls::pki_types::CertificateDer<'_>) -> bool {
        equal(&crate::ca::fingerprint(authority), &self.authority)
    }
}

fn fields(body: &[u8]) -> Option<JoinToken> {
    let (&roles, rest) = body.split_first()?;
    let (cluster, rest) = rest.split_first_chunk()?;
    let (expires, rest) = rest.split_first_chunk()?;
    let (id, rest) = rest.split_first_chunk()?;
    let (secret, rest) = rest.split_first_chunk()?;
    Some(JoinToken {
        cluster: ClusterId(Uuid::from_bytes(*cluster)),
        roles: Roles::from_byte(roles)?,
        expires_s: u64::from_be_bytes(*expires),
        id: TokenId(*id),
        secret: Secret(*secret),
        authority: rest.try_into().ok()?,
    })
}

/// Compares every byte whatever the ones before.
fn equal(a: &[u8], b: &[u8]) -> bool {
    let different = a.iter().zip(b).fold(0, |different, (a, b)| black_box(different | (a ^ b)));
    a.len() == b.len() && different == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            cluster: ClusterId(Uuid::from_u128(1)),
            roles: Roles::WORKER,
            expires_s: 1000,
            id: TokenId([3; 8]),
            secret: Secret::draw().unwrap(),
            authority: [9; 32],
        }
    }

    #[test]
    fn a_text_is_read_as_it_was_printed() {
        let token = token();
        let text = token.text();
        let read = JoinToken::parse(&format!("  {text}\n")).unwrap();
        assert_eq!(read.text(), text);
        assert_eq!((read.cluster, read.roles, read.expires_s), (token.cluster, token.roles, 1000));
        assert_eq!((read.id, read.authority), (token.id, token.authority));
        assert!(!format!("{read:?}").contains(&text[60..80]), "the secret does not show");
    }

    #[test]
    fn each_mistyped_character_is_noticed() {
        let text = token().text();
        for at in PREFIX.len()..text.len() {
            let mut chars: Vec<char> = text.chars().collect();
            chars[at] = if chars[at] == 'A' { 'B' } else { 'A' };
            let wrong: String = chars.into_iter().collect();
            assert_eq!(JoinToken::parse(&wrong).unwrap_err(), Fault::Mistyped, "at {at}");
            let cut = JoinToken::parse(&text[..at]).unwrap_err();
            assert_eq!(cut, Fault::Mistyped, "cut at {at}");
        }
        assert_eq!(JoinToken::parse("wl_12_ab").unwrap_err(), Fault::NotAToken);
        assert_eq!(JoinToken::parse("").unwrap_err(), Fault::NotAToken);
        let long = format!("{PREFIX}{}", "A".repeat(100_000));
        assert_eq!(JoinToken::parse(&long).unwrap_err(), Fault::Mistyped);
    }

    #[test]
    fn a_later_form_is_told_from_a_mistake() {
        let mut body = vec![2, 1, 2, 3];
        body.extend(crc32c::crc32c(&body).to_be_bytes());
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(body));
        assert_eq!(JoinToken::parse(&text).unwrap_err(), Fault::Version { version: 2 });
    }

    #[test]
    fn what_it_is_not_for_is_said_before_anybody_is_asked() {
        let token = token();
        let other = ClusterId(Uuid::from_u128(2));
        assert_eq!(token.check(None, Roles::WORKER, 1000), Ok(()));
        assert_eq!(token.check(Some(token.cluster), Roles::WORKER, 0), Ok(()));
        let cluster = Fault::Cluster { expected: other, found: token.cluster };
        assert_eq!(token.check(Some(other), Roles::WORKER, 0), Err(cluster));
        assert_eq!(token.check(None, Roles::WORKER, 1007), Err(Fault::Expired { ago_s: 7 }));
        let roles = Fault::Roles { allowed: Roles::WORKER, asked: Roles::BOTH };
        assert_eq!(token.check(None, Roles::BOTH, 0), Err(roles));
    }
}
