//! Conversions of what a job asks of placement.

use model::{Placement, Policy, WhenFull};

use super::Invalid;
use crate::job;

impl From<Placement> for job::Placement {
    fn from(placement: Placement) -> Self {
        let Placement { policy, headroom_percent, when_full } = placement;
        let policy = match policy {
            Policy::Pull => job::placement::Policy::Pull,
            Policy::Spread => job::placement::Policy::Spread,
            Policy::Pack => job::placement::Policy::Pack,
            Policy::RoundRobin => job::placement::Policy::RoundRobin,
            Policy::Random => job::placement::Policy::Random,
        };
        let when_full = match when_full {
            WhenFull::Wait => job::placement::WhenFull::Wait,
            WhenFull::Fail => job::placement::WhenFull::Fail,
        };
        job::Placement { policy: policy as i32, headroom_percent, when_full: when_full as i32 }
    }
}

impl TryFrom<job::Placement> for Placement {
    type Error = Invalid;

    fn try_from(placement: job::Placement) -> Result<Self, Invalid> {
        let policy = match job::placement::Policy::try_from(placement.policy) {
            Ok(job::placement::Policy::Pull) => Policy::Pull,
            Ok(job::placement::Policy::Spread) => Policy::Spread,
            Ok(job::placement::Policy::Pack) => Policy::Pack,
            Ok(job::placement::Policy::RoundRobin) => Policy::RoundRobin,
            Ok(job::placement::Policy::Random) => Policy::Random,
            Err(_) => return Err(Invalid("placement.policy")),
        };
        let when_full = match job::placement::WhenFull::try_from(placement.when_full) {
            Ok(job::placement::WhenFull::Wait) => WhenFull::Wait,
            Ok(job::placement::WhenFull::Fail) => WhenFull::Fail,
            Err(_) => return Err(Invalid("placement.when_full")),
        };
        Ok(Placement { policy, headroom_percent: placement.headroom_percent, when_full })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_survives_the_wire() {
        for policy in Policy::ALL {
            for when_full in [WhenFull::Wait, WhenFull::Fail] {
                let placement = Placement { policy, headroom_percent: 7, when_full };
                assert_eq!(Placement::try_from(job::Placement::from(placement)), Ok(placement));
            }
        }
        let unknown = job::Placement { policy: 9, ..Default::default() };
        assert_eq!(Placement::try_from(unknown), Err(Invalid("placement.policy")));
    }
}
