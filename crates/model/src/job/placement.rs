//! Which of the nodes that could take an element gets it, and what becomes of one that none can
//! take.
//!
//! How a policy chooses is the leader's business and may change; here is only what a job asks for.

use crate::resources::Resources;
use crate::text::NotAnAmount;

/// How the nodes of a task's elements are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placement {
    /// Which node of those with room.
    pub policy: Policy,
    /// The share of each resource that a node must keep free, in percent; for `spread` alone.
    pub headroom_percent: u32,
    /// What becomes of an element that no node has room for.
    pub when_full: WhenFull,
}

/// Which of the nodes with room gets an element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// One that has asked for work, the emptiest first.
    #[default]
    Pull,
    /// The one with most free.
    Spread,
    /// The one with least free that has room.
    Pack,
    /// One after the other.
    RoundRobin,
    /// Any, by a hash.
    Random,
}

/// What becomes of an element that no node has room for when it is first looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhenFull {
    /// It waits.
    #[default]
    Wait,
    /// It ends as `dead`.
    Fail,
}

impl Policy {
    /// All of them.
    pub const ALL: [Policy; 5] =
        [Policy::Pull, Policy::Spread, Policy::Pack, Policy::RoundRobin, Policy::Random];

    /// Its one name, as everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Pull => "pull",
            Policy::Spread => "spread",
            Policy::Pack => "pack",
            Policy::RoundRobin => "round_robin",
            Policy::Random => "random",
        }
    }
}

impl WhenFull {
    /// Its one name, as everywhere.
    pub fn name(self) -> &'static str {
        match self {
            WhenFull::Wait => "wait",
            WhenFull::Fail => "fail",
        }
    }
}

impl Placement {
    /// The largest share that may be kept free, in percent: of nothing at all nobody could run.
    pub const HEADROOM_PERCENT_MAX: u32 = 99;

    /// How much of a node's `capacity` may be reserved once an element is placed there.
    pub fn limit(&self, capacity: Resources) -> Resources {
        let used_percent = 100 - self.headroom_percent.min(100);
        let part = |amount: u64| (u128::from(amount) * u128::from(used_percent) / 100) as u64;
        match self.headroom_percent {
            0 => capacity,
            _ => Resources {
                cpu_milli: part(capacity.cpu_milli),
                memory_bytes: part(capacity.memory_bytes),
            },
        }
    }

    /// Whether an element may be placed on a node ahead of room: it then waits there, and gets
    /// whatever seat becomes free.
    pub fn may_go_ahead(&self) -> bool {
        self.headroom_percent == 0 && self.when_full == WhenFull::Wait
    }

    /// Reads `pack` or `spread,headroom=25%`.
    pub fn parse(text: &str) -> Result<Placement, NotAnAmount> {
        let fault = || NotAnAmount {
            text: text.to_owned(),
            expected: "a policy: `pull`, `spread`, `spread,headroom=25%`, `pack`, `round_robin` or `random`",
        };
        let mut words = text.split(',').map(str::trim);
        let name = words.next().unwrap_or_default();
        let policy = Policy::ALL.into_iter().find(|policy| policy.name() == name);
        let mut placement = Placement { policy: policy.ok_or_else(fault)?, ..Placement::default() };
        if let Some(word) = words.next() {
            let percent = word.strip_prefix("headroom=").and_then(|rest| rest.strip_suffix('%'));
            placement.headroom_percent =
                percent.and_then(|percent| percent.parse().ok()).ok_or_else(fault)?;
        }
        if words.next().is_some() { Err(fault()) } else { Ok(placement) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_may_have_headroom() {
        let spread = Placement { policy: Policy::Spread, ..Placement::default() };
        let roomy = Placement { headroom_percent: 25, ..spread };
        for policy in Policy::ALL {
            assert_eq!(Placement::parse(policy.name()).map(|p| p.policy), Ok(policy));
        }
        assert_eq!(Placement::parse("spread"), Ok(spread));
        assert_eq!(Placement::parse("spread, headroom=25%"), Ok(roomy));
        for bad in ["", "best", "spread,", "spread,25%", "spread,headroom=25", "pack,headroom=1%,x"]
        {
            assert!(Placement::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn headroom_is_a_share_of_each_resource() {
        let capacity = Resources { cpu_milli: 3_000, memory_bytes: u64::MAX };
        let keeps = |headroom_percent| Placement { headroom_percent, ..Placement::default() };
        assert_eq!(keeps(0).limit(capacity), capacity);
        let limit = keeps(25).limit(capacity);
        assert_eq!((limit.cpu_milli, limit.memory_bytes), (2_250, u64::MAX / 4 * 3 + 2));
        assert_eq!(keeps(100).limit(capacity), Resources::default());
    }
}
