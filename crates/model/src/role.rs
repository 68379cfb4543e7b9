//! What a token lets its holder do.

use std::fmt;
use std::str::FromStr;

/// A role; each may do all that those before it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees everything but tokens and the audit, and changes nothing.
    #[default]
    Viewer,
    /// Submits, uploads, and cancels or repeats runs of its own.
    Submitter,
    /// Changes everybody's runs, and takes nodes down.
    Operator,
    /// Makes and revokes tokens, and reads the audit.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Submitter, Role::Operator, Role::Admin];

    /// Its word in API, CLI and documentation.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Submitter => "submitter",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Role, ()> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_found_by_its_word_and_the_words_are_in_order() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert!(Role::ALL.is_sorted());
        assert_eq!("root".parse::<Role>(), Err(()));
    }
}
