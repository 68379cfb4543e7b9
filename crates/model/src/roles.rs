//! What a node is there for: holding the state, running tasks, or both.

use std::fmt;
use std::str::FromStr;

/// What a node does for its cluster; at least one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Roles {
    /// It holds the state, and may vote.
    pub control: bool,
    /// It runs tasks.
    pub worker: bool,
}

impl Roles {
    /// Both: what a node has unless told otherwise.
    pub const BOTH: Roles = Roles { control: true, worker: true };
    /// It runs tasks and nothing else.
    pub const WORKER: Roles = Roles { control: false, worker: true };
    /// It holds the state and nothing else.
    pub const CONTROL: Roles = Roles { control: true, worker: false };

    /// Whether all of these are among `allowed`.
    pub fn within(self, allowed: Roles) -> bool {
        (allowed.control || !self.control) && (allowed.worker || !self.worker)
    }

    /// In one byte: bit 0 control, bit 1 worker.
    pub fn to_byte(self) -> u8 {
        u8::from(self.control) | u8::from(self.worker) << 1
    }

    /// Reads a byte; `None` where it names no role, or one that nobody knows.
    pub fn from_byte(byte: u8) -> Option<Roles> {
        let roles = Roles { control: byte & 1 != 0, worker: byte & 2 != 0 };
        (1..=3).contains(&byte).then_some(roles)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match (self.control, self.worker) {
            (true, true) => "control,worker",
            (true, false) => "control",
            (false, true) => "worker",
            (false, false) => "none",
        })
    }
}

impl FromStr for Roles {
    type Err = ();

    fn from_str(text: &str) -> Result<Roles, ()> {
        match text {
            "control,worker" | "worker,control" => Ok(Roles::BOTH),
            "control" => Ok(Roles::CONTROL),
            "worker" => Ok(Roles::WORKER),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_set_holds_what_it_names() {
        assert!(Roles::WORKER.within(Roles::BOTH) && Roles::CONTROL.within(Roles::BOTH));
        assert!(!Roles::BOTH.within(Roles::WORKER) && !Roles::CONTROL.within(Roles::WORKER));
        for roles in [Roles::BOTH, Roles::CONTROL, Roles::WORKER] {
            assert_eq!(roles.to_string().parse(), Ok(roles));
            assert_eq!(Roles::from_byte(roles.to_byte()), Some(roles));
        }
        assert_eq!(Roles::from_byte(0).or(Roles::from_byte(4)), None);
    }
}
