//! How hostile one world is: each seed draws its own, so that some worlds crash all the time and
//! others live long enough for rare orders of events.

use super::{MS, SECOND};
use crate::rng::Rng;

/// What a seed draws before anything happens.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    /// How many control parts there are.
    pub(super) controls: usize,
    /// How many nodes there are.
    pub(super) nodes: usize,
    /// Sessions lose, double and reorder single messages.
    pub(super) harsh: bool,
    /// Sessions that live when the world heals are opened anew; always where it is harsh.
    pub(super) reopen: bool,
    /// The lease of nodes.
    pub(super) lease_ms: u64,
    /// The first node is the only voter's own: it has no lease.
    pub(super) alone: bool,
    /// Most faults cut nodes off, and the control part mostly lives: leases run out.
    pub(super) cuts: bool,
    /// The mean time between two faults.
    pub(super) chaos_every_us: u64,
    /// The mean time between two acts of clients.
    pub(super) act_every_us: u64,
    /// Crashes of the control part at each cut of a write, in a thousand.
    pub(super) cut: u64,
    /// Crashes between two effects of one event, in a thousand.
    pub(super) torn: u64,
    /// Proposals that fail, in a thousand.
    pub(super) fail: u64,
    /// The longest delay of a message of a session.
    pub(super) link_us: u64,
    /// The longest write of the journal.
    pub(super) write_us: u64,
    /// The longest way of an entry from the disk to the control part.
    pub(super) deliver_us: u64,
    /// The longest making of a plan.
    pub(super) plan_us: u64,
    /// Snapshots, in a thousand entries.
    pub(super) snapshot: u64,
    /// Starts that are refused for a passing lack, in a thousand.
    pub(super) lack: u64,
    /// Tasks want many different amounts.
    pub(super) shapes: bool,
    /// Backoffs and deadlines are longer than the hostile phase.
    pub(super) slow: bool,
    /// At the end a steady stream of small tasks comes, and a big one.
    pub(super) stream: bool,
    /// The cluster forgets something and goes on in another incarnation.
    pub(super) forgets: bool,
}

impl Profile {
    pub(super) fn draw(rng: &mut Rng) -> Profile {
        let mut profile = Profile::draw_faults(rng);
        // A look ahead: it came last, and the other draws of each seed stay what they were.
        profile.forgets = rng.clone().chance(200);
        if profile.forgets && !profile.cuts {
            profile.lease_ms /= 5; // So that a recovery ends while the world is still hostile.
        }
        profile
    }

    fn draw_faults(rng: &mut Rng) -> Profile {
        let mut of = |choices: &[u64]| *rng.pick(choices).expect("there are choices");
        let harsh = of(&[0, 0, 1]) == 1;
        let cuts = of(&[0, 0, 1]) == 1;
        let controls = of(&[1, 1, 3, 3, 5]) as usize;
        Profile {
            controls,
            nodes: of(&[1, 1, 2, 2, 3, 4]) as usize,
            harsh,
            reopen: harsh || of(&[0, 1]) == 1,
            lease_ms: if cuts { of(&[1_000, 2_000, 4_000]) } else { of(&[10_000, 30_000]) },
            cuts,
            alone: controls == 1 && of(&[0, 1]) == 1,
            chaos_every_us: of(&[200 * MS, 500 * MS, SECOND, 3 * SECOND, 10 * SECOND]),
            act_every_us: of(&[50 * MS, 200 * MS, 500 * MS]),
            cut: if cuts { of(&[0, 0, 1]) } else { of(&[0, 3, 10, 40]) },
            torn: if cuts { of(&[0, 0, 1]) } else { of(&[0, 1, 3]) },
            fail: of(&[0, 10, 60]),
            link_us: of(&[MS, 20 * MS, 300 * MS]),
            write_us: of(&[MS, 10 * MS, 100 * MS]),
            deliver_us: of(&[MS, 5 * MS, 5 * MS, SECOND]),
            plan_us: of(&[MS, 30 * MS, SECOND]),
            snapshot: of(&[0, 20, 60, 200]),
            lack: of(&[0, 0, 30, 200]),
            shapes: of(&[0, 0, 1]) == 1,
            slow: of(&[0, 1]) == 1,
            stream: of(&[0, 0, 0, 0, 0, 1]) == 1,
            forgets: false,
        }
    }
}
