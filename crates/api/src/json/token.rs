//! Tokens, never their texts but once.

use proto::api;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{at_ms, text};

/// All tokens.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Tokens {
    /// By name.
    pub tokens: Vec<Token>,
}

impl From<&[api::Token]> for Tokens {
    fn from(tokens: &[api::Token]) -> Tokens {
        Tokens { tokens: tokens.iter().map(Token::from).collect() }
    }
}

/// What lets a person or a program in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Token {
    /// Names it; the beginning of its text.
    pub id: String,
    /// Its name, which no other token has.
    #[schema(example = "ci")]
    pub name: String,
    /// `viewer`, `submitter`, `operator` or `admin`.
    #[schema(example = "submitter")]
    pub role: String,
    /// Whose the runs are that are submitted with it.
    pub owner: String,
    /// The users a job may run as; none: the node's own alone.
    pub run_as: Vec<String>,
    /// When it was made.
    pub created_at: Option<String>,
    /// When it is taken no more; `null`: never.
    pub expires_at: Option<String>,
    /// Who made it.
    pub created_by: Option<String>,
    /// When the node that answers last took it; `null`: not since it started.
    pub used_at: Option<String>,
}

impl From<&api::Token> for Token {
    fn from(token: &api::Token) -> Token {
        Token {
            id: token.id.clone(),
            name: token.name.clone(),
            role: token.role.clone(),
            owner: token.owner.clone(),
            run_as: token.run_as.clone(),
            created_at: at_ms(token.created_ms),
            expires_at: at_ms(token.expires_ms),
            created_by: text(&token.creator),
            used_at: at_ms(token.used_ms),
        }
    }
}

/// A token that was made just now.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct CreatedToken {
    /// What a caller sends as `authorization: Bearer TEXT`; nobody can have it again.
    pub text: String,
    /// All that can be told of it later.
    pub token: Token,
}

impl From<&api::CreateTokenResponse> for CreatedToken {
    fn from(made: &api::CreateTokenResponse) -> CreatedToken {
        let token = made.token.as_ref().map(Token::from).unwrap_or_default();
        CreatedToken { text: made.text.clone(), token }
    }
}

/// A token to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CreateToken {
    /// For people; no other token may have the same.
    #[schema(example = "ci")]
    pub name: String,
    /// `viewer`, `submitter`, `operator` or `admin`.
    #[schema(example = "submitter")]
    pub role: String,
    /// Whose the runs are that are submitted with it; `null`: of the token's name.
    pub owner: Option<String>,
    /// The users a job may run as; none: the node's own alone.
    pub run_as: Vec<String>,
    /// How long it is taken, in milliseconds; `null`: for ever.
    pub lasts_ms: Option<u64>,
    /// Why, for people.
    pub reason: Option<String>,
    /// Who asks, `user:NAME`; counts only with the token of the data directory.
    pub actor: Option<String>,
}

/// Why a token is revoked. All may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Revoke {
    /// Why, for people.
    pub reason: Option<String>,
    /// Who asks, `user:NAME`; counts only with the token of the data directory.
    pub actor: Option<String>,
}
