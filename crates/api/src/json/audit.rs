//! Who changed what.

use proto::api;
use serde::Serialize;
use utoipa::ToSchema;

use super::{at_ms, text};

/// Changes, the latest first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Audit {
    /// The changes.
    pub changes: Vec<Change>,
    /// What to give for the next page; `null`: there is none.
    pub next_before: Option<String>,
    /// Stretches of the files that are damaged, so that changes may be missing.
    pub damaged: u64,
}

impl Audit {
    /// The form of a page, or of several.
    pub fn new(changes: &[api::Change], next_before: &str, damaged: u64) -> Audit {
        let changes = changes.iter().map(Change::from).collect();
        Audit { changes, next_before: text(next_before), damaged }
    }
}

/// A page of changes, as REST gives it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AuditPage {
    /// The changes, the latest first.
    pub changes: Vec<Change>,
    /// What to give as `cursor` for the next page; `null` where there is none.
    pub next_cursor: Option<String>,
    /// Stretches of the files that are damaged, so that changes may be missing.
    pub damaged: u64,
}

/// A change that somebody made.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Change {
    /// The journal index it was made at.
    pub index: u64,
    /// When.
    pub at: Option<String>,
    /// `submit`, `rerun`, `cancel`, `purge`, `create-token`, `revoke-token`, `expire-token`, `down`,
    /// `register-node`, `lose-node`, `create-join-token`, `admit-node`, `drain-node`, `resume-node`,
    /// `remove-node`, `cut-off-node`, `restore` or `recover`.
    #[schema(example = "cancel")]
    pub action: String,
    /// What it was done to.
    #[schema(example = "812/main[3]")]
    pub on: String,
    /// Who did it.
    #[schema(example = "token:ci")]
    pub actor: String,
    /// Why, as they said.
    pub reason: Option<String>,
    /// The id of the token they brought; `null`: the data directory's own, or none.
    pub token: Option<String>,
    /// The address they called from; `null`: it was the cluster itself.
    pub address: Option<String>,
}

impl From<&api::Change> for Change {
    fn from(change: &api::Change) -> Change {
        Change {
            index: change.index,
            at: at_ms(change.time_ms),
            action: change.action.clone(),
            on: change.on.clone(),
            actor: change.actor.clone(),
            reason: text(&change.reason),
            token: text(&change.token),
            address: text(&change.address),
        }
    }
}
