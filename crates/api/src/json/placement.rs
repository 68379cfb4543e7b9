//! Which node an element gets.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which node an element gets, and what becomes of it where none has room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Placement {
    /// Which of the nodes with room.
    pub policy: Policy,
    /// The share of each resource that a node must keep free, in percent; for `spread` alone.
    #[schema(maximum = 99)]
    pub headroom_percent: u32,
    /// What becomes of an element that no node has room for when it is first looked at.
    pub when_full: WhenFull,
}

/// Which of the nodes with room gets an element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
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
    /// Any.
    Random,
}

/// What becomes of an element that no node has room for when it is first looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// It waits.
    #[default]
    Wait,
    /// It ends as `dead`.
    Fail,
}

impl From<model::Placement> for Placement {
    fn from(placement: model::Placement) -> Placement {
        let model::Placement { policy, headroom_percent, when_full } = placement;
        Placement {
            policy: match policy {
                model::Policy::Pull => Policy::Pull,
                model::Policy::Spread => Policy::Spread,
                model::Policy::Pack => Policy::Pack,
                model::Policy::RoundRobin => Policy::RoundRobin,
                model::Policy::Random => Policy::Random,
            },
            headroom_percent,
            when_full: match when_full {
                model::WhenFull::Wait => WhenFull::Wait,
                model::WhenFull::Fail => WhenFull::Fail,
            },
        }
    }
}

impl From<Placement> for model::Placement {
    fn from(placement: Placement) -> model::Placement {
        let Placement { policy, headroom_percent, when_full } = placement;
        model::Placement {
            policy: match policy {
                Policy::Pull => model::Policy::Pull,
                Policy::Spread => model::Policy::Spread,
                Policy::Pack => model::Policy::Pack,
                Policy::RoundRobin => model::Policy::RoundRobin,
                Policy::Random => model::Policy::Random,
            },
            headroom_percent,
            when_full: match when_full {
                WhenFull::Wait => model::WhenFull::Wait,
                WhenFull::Fail => model::WhenFull::Fail,
            },
        }
    }
}
