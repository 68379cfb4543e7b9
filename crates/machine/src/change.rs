//! What the audit tells of: each change that somebody made, with who, what, why and through what.
//!
//! It is made where a command is applied, so every control node tells the same.

use std::fmt;
use std::str::FromStr;

use proto::job::Because;
use proto::record::From;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// A job was submitted.
    Submit,
    /// A part of a run was repeated.
    Rerun,
    /// A run, or a part of one, was cancelled.
    Cancel,
    /// Ended runs were forgotten.
    Purge,
    /// A token was made.
    CreateToken,
    /// A token was revoked.
    RevokeToken,
    /// A token has expired.
    ExpireToken,
    /// A node was taken down.
    Down,
    /// A node, or a new supervisor of one, was registered.
    RegisterNode,
    /// A node was lost.
    LoseNode,
    /// A token that lets nodes in was made.
    CreateJoinToken,
    /// A node was let in.
    AdmitNode,
    /// The cluster goes on from a snapshot.
    Restore,
    /// The cluster goes on without the majority it had.
    Recover,
    /// A node was taken out of work.
    DrainNode,
    /// A node was taken back into work.
    ResumeNode,
    /// A node was forgotten.
    RemoveNode,
    /// A node that lived was cut off, to be forgotten.
    CutOffNode,
}

impl Action {
    const ALL: [Action; 18] = [
        Action::Submit,
        Action::Rerun,
        Action::Cancel,
        Action::Purge,
        Action::CreateToken,
        Action::RevokeToken,
        Action::ExpireToken,
        Action::Down,
        Action::RegisterNode,
        Action::LoseNode,
        Action::CreateJoinToken,
        Action::AdmitNode,
        Action::Restore,
        Action::Recover,
        Action::DrainNode,
        Action::ResumeNode,
        Action::RemoveNode,
        Action::CutOffNode,
    ];

    /// Its word everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Action::Submit => "submit",
            Action::Rerun => "rerun",
            Action::Cancel => "cancel",
            Action::Purge => "purge",
            Action::CreateToken => "create-token",
            Action::RevokeToken => "revoke-token",
            Action::ExpireToken => "expire-token",
            Action::Down => "down",
            Action::RegisterNode => "register-node",
            Action::LoseNode => "lose-node",
            Action::CreateJoinToken => "create-join-token",
            Action::AdmitNode => "admit-node",
            Action::Restore => "restore",
            Action::Recover => "recover",
            Action::DrainNode => "drain-node",
            Action::ResumeNode => "resume-node",
            Action::RemoveNode => "remove-node",
            Action::CutOffNode => "cut-off-node",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Action {
    type Err = ();

    fn from_str(text: &str) -> Result<Action, ()> {
        Action::ALL.into_iter().find(|action| action.name() == text).ok_or(())
    }
}

/// A change that somebody made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What was done.
    pub action: Action,
    /// To what.
    pub on: String,
    /// By whom: `user:NAME`, `token:NAME`, or what of the cluster itself.
    pub actor: String,
    /// Why, as they said.
    pub reason: String,
    /// The id of the token; empty for the data directory's own, or for none.
    pub token: String,
    /// The address it came from; empty for the cluster itself.
    pub address: String,
}

impl Change {
    pub(crate) fn new(
        action: Action,
        on: String,
        because: &Because,
        from: Option<&From>,
    ) -> Change {
        let From { token, address } = from.cloned().unwrap_or_default();
        let Because { actor, reason } = because.clone();
        Change { action, on, actor, reason, token, address }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_name_every_action() {
        for page in [
            include_str!("../../../docs/reference/grpc.md"),
            include_str!("../../../docs/reference/openapi.json"),
        ] {
            let line = page.lines().find(|line| line.contains("`expire-token`"));
            let line = line.expect("the actions stand in one line");
            for action in Action::ALL {
                assert_eq!(action.name().parse(), Ok(action));
                assert!(line.contains(&format!("`{action}`")), "{action} is not in: {line}");
            }
        }
    }
}
