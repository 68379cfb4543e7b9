//! How a tree is brought to its end, as a pure state machine.
//!
//! ```text
//! Runs ──stop──▶ Freezes ──▶ Grace ──▶ (Freezes to kill) ──▶ Killed ──▶ gone
//!   │               ▲                        ▲                 │ again, where
//!   ├─main ended─▶ Lingers ──empty──▶ gone   └─────────────────┘ one kill may miss
//!   └─warn──▶ Warns ──▶ Runs
//! ```
//!
//! Freezing around the signal keeps a tree that forks from outrunning it. Nothing here is over
//! before the main process has ended *and* the tree is seen empty; no time makes it so.

/// How long a tree may take to be seen empty after its main process ended by itself: the last
/// process is counted until the processor has switched away from it.
const LINGER_US: u64 = 2_000;
/// How long freezing is waited for; a process may be stuck in the kernel.
const FREEZE_US: u64 = 200_000;
/// Grace for what a main process leaves behind when it ends by itself.
pub(super) const LEFTOVER_GRACE_US: u64 = 2_000_000;
/// What survives killing this long makes the node degraded.
pub(super) const OVERDUE_US: u64 = 10_000_000;

/// What is known of the tree now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) main_ended: bool,
    /// No process is left; only looked at once the main process has ended.
    pub(super) empty: bool,
    pub(super) frozen: bool,
    /// One kill gets all.
    pub(super) kills_at_once: bool,
    /// Somebody else says when the tree changes.
    pub(super) notified: bool,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Freeze,
    /// The signal of the warning to all, then let them go on.
    Warn,
    /// SIGTERM to all, then let them go on.
    Terminate,
    /// Kill all, then let them go on.
    Kill,
    Thaw,
    /// Look again at this time, or when something happens.
    Wait(Option<u64>),
    /// The main process has ended and the tree is empty.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Runs,
    Warns { since: u64 },
    Lingers { since: u64 },
    Freezes { to_kill: bool, since: u64 },
    Grace { until: u64 },
    Killed { at: u64 },
}

/// The ending of one tree.
#[derive(Debug)]
pub(super) struct Procedure {
    phase: Phase,
    grace_us: u64,
    frozen: bool,
    killed_since: Option<u64>,
}

impl Procedure {
    pub(super) fn new(grace_us: u64) -> Procedure {
        Procedure { phase: Phase::Runs, grace_us, frozen: false, killed_since: None }
    }

    /// Asks for the end. Asking again changes nothing, whoever asks.
    pub(super) fn stop(&mut self, now: u64) -> bool {
        let first = matches!(self.phase, Phase::Runs | Phase::Warns { .. });
        if first {
            self.phase = Phase::Freezes { to_kill: false, since: now };
        }
        first
    }

    /// Asks for the end at once: what is left of any grace is over.
    pub(super) fn hurry(&mut self, now: u64) {
        if !matches!(self.phase, Phase::Killed { .. } | Phase::Freezes { to_kill: true, .. }) {
            self.phase = Phase::Grace { until: now };
        }
    }

    /// Asks for the warning, which is of no use to a tree that is being ended.
    pub(super) fn warn(&mut self, now: u64) {
        if self.phase == Phase::Runs {
            self.phase = Phase::Warns { since: now };
        }
    }

    /// Whether the tree is being signalled or ended.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.phase, Phase::Runs | Phase::Lingers { .. })
    }

    /// Whether the tree was asked to freeze.
    pub(super) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Whether the tree has survived its killing for too long.
    pub(super) fn overdue(&self, now: u64) -> bool {
        self.killed_since.is_some_and(|since| now >= since + OVERDUE_US)
    }

    /// The next thing to do; to be asked again at once unless it is [`Act::Wait`] or [`Act::Gone`].
    pub(super) fn step(&mut self, now: u64, facts: Facts) -> Act {
        if facts.main_ended && facts.empty {
            return if std::mem::take(&mut self.frozen) { Act::Thaw } else { Act::Gone };
        }
        match self.phase {
            Phase::Runs if !facts.main_ended => Act::Wait(None),
            Phase::Runs => {
                self.phase = Phase::Lingers { since: now };
                self.step(now, facts)
            }
            Phase::Lingers { since } if now < since + LINGER_US => {
                Act::Wait(look_again(since, now, u64::MAX))
            }
            Phase::Lingers { .. } => {
                self.grace_us = self.grace_us.min(LEFTOVER_GRACE_US);
                self.phase = Phase::Freezes { to_kill: false, since: now };
                self.step(now, facts)
            }
            Phase::Freezes { .. } | Phase::Warns { .. } if !self.frozen => {
                self.frozen = true;
                Act::Freeze
            }
            Phase::Freezes { since, .. } | Phase::Warns { since }
                if !facts.frozen && now < since + FREEZE_US =>
            {
                Act::Wait(look_again(since, now, 10_000))
            }
            Phase::Warns { .. } => {
                self.frozen = false;
                self.phase = Phase::Runs;
                Act::Warn
            }
            Phase::Freezes { to_kill: true, .. } => self.kill(now),
            Phase::Freezes { to_kill: false, .. } => {
                self.frozen = false;
                self.phase = Phase::Grace { until: now + self.grace_us };
                Act::Terminate
            }
            Phase::Grace { until } if now < until => {
                let look =
                    facts.main_ended.then(|| look_again_slowly(facts, until - self.grace_us, now));
                Act::Wait(look.flatten().map_or(Some(until), |look| Some(look.min(until))))
            }
            Phase::Grace { .. } if facts.kills_at_once => self.kill(now),
            Phase::Killed { at } if facts.kills_at_once || now < at + 20_000 => {
                let since = self.killed_since.unwrap_or(at);
                let overdue = (!self.overdue(now)).then_some(since + OVERDUE_US);
                let again = (!facts.kills_at_once).then_some(at + 20_000);
                let look = look_again_slowly(facts, since, now);
                Act::Wait([overdue, again, look].into_iter().flatten().min())
            }
            Phase::Grace { .. } | Phase::Killed { .. } => {
                self.phase = Phase::Freezes { to_kill: true, since: now };
                self.step(now, facts)
            }
        }
    }

    fn kill(&mut self, now: u64) -> Act {
        self.frozen = false;
        self.killed_since.get_or_insert(now);
        self.phase = Phase::Killed { at: now };
        Act::Kill
    }
}

/// Looks first after 50 µs, then each time half as much later as has passed: short waits end soon,
/// long ones cost nothing.
fn look_again(since: u64, now: u64, longest: u64) -> Option<u64> {
    Some(now + ((now - since) / 2).clamp(50, longest.max(50)))
}

/// As above, but up to a second where a change is told of, and a twentieth where it is not.
fn look_again_slowly(facts: Facts, since: u64, now: u64) -> Option<u64> {
    look_again(since, now, if facts.notified { 1_000_000 } else { 50_000 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: Facts = Facts {
        main_ended: false,
        empty: false,
        frozen: false,
        kills_at_once: true,
        notified: true,
    };
    const FROZEN: Facts = Facts { frozen: true, ..RUNS };
    const LEFT: Facts = Facts { main_ended: true, ..RUNS };
    const GONE: Facts = Facts { empty: true, ..LEFT };

    /// Steps at each time with each fact and compares what is to be done, but for times of waits.
    fn check(procedure: &mut Procedure, steps: &[(u64, Facts, &str)]) {
        for (now, facts, expected) in steps {
            let act = procedure.step(*now, *facts);
            let name = format!("{act:?}");
            assert!(name.starts_with(expected), "at {now}: {name}, expected {expected}");
            if let Act::Wait(Some(at)) = act {
                assert!(at > *now, "a wait that is over is a busy loop");
            }
        }
    }

    #[test]
    fn a_tree_that_is_gone_with_its_main_process_is_left_alone() {
        let mut p = Procedure::new(30);
        check(&mut p, &[(0, RUNS, "Wait(None"), (5, LEFT, "Wait"), (60, GONE, "Gone")]);
    }

    #[test]
    fn what_is_left_behind_gets_two_seconds() {
        let mut p = Procedure::new(30_000_000);
        check(
            &mut p,
            &[
                (0, LEFT, "Wait"),
                (LINGER_US, LEFT, "Freeze"),
                (LINGER_US, LEFT, "Wait"),
                (3_000, Facts { frozen: true, ..LEFT }, "Terminate"),
                (3_000, LEFT, "Wait"),
                (2_002_999, LEFT, "Wait"),
                (2_003_000, LEFT, "Kill"),
                (2_003_000, LEFT, "Wait"),
                (2_003_001, GONE, "Gone"),
            ],
        );
    }

    #[test]
    fn a_second_stop_does_not_lengthen_the_first() {
        let mut p = Procedure::new(1_000);
        assert!(p.stop(0));
        check(
            &mut p,
            &[(0, RUNS, "Freeze"), (0, FROZEN, "Terminate"), (0, RUNS, "Wait(Some(1000")],
        );
        assert!(!p.stop(900));
        check(&mut p, &[(999, RUNS, "Wait"), (1_000, RUNS, "Kill")]);
        assert!(!p.overdue(OVERDUE_US));
        check(&mut p, &[(1_000, RUNS, "Wait"), (2_000, LEFT, "Wait")]);
        assert!(p.overdue(1_000 + OVERDUE_US));
    }

    #[test]
    fn a_warning_reaches_a_frozen_tree_and_lets_it_go_on() {
        let mut p = Procedure::new(1_000);
        p.warn(0);
        check(
            &mut p,
            &[(0, RUNS, "Freeze"), (1, RUNS, "Wait"), (2, FROZEN, "Warn"), (2, RUNS, "Wait(None")],
        );
        assert!(!p.is_frozen() && !p.is_under_way());
        p.warn(10);
        check(&mut p, &[(10, RUNS, "Freeze")]);
        assert!(p.stop(11), "a stop passes a warning");
        check(&mut p, &[(11, FROZEN, "Terminate"), (11, RUNS, "Wait(Some(1011")]);
        p.warn(12);
        check(&mut p, &[(12, RUNS, "Wait(Some(1011"), (13, GONE, "Gone")]);
    }

    #[test]
    fn who_is_in_a_hurry_waits_for_no_grace() {
        let mut p = Procedure::new(30_000_000);
        p.stop(0);
        check(&mut p, &[(0, RUNS, "Freeze"), (1, RUNS, "Wait")]);
        p.hurry(2);
        check(&mut p, &[(2, RUNS, "Kill"), (2, RUNS, "Wait")]);
        p.hurry(3);
        check(&mut p, &[(3, RUNS, "Wait"), (4, GONE, "Gone")]);
    }

    #[test]
    fn what_cannot_be_frozen_is_signalled_all_the_same() {
        let mut p = Procedure::new(1);
        p.stop(0);
        check(&mut p, &[(0, RUNS, "Freeze"), (1, RUNS, "Wait"), (FREEZE_US, RUNS, "Terminate")]);
    }

    #[test]
    fn without_a_kill_of_all_at_once_it_is_frozen_and_killed_until_it_is_gone() {
        let facts = |facts| Facts { kills_at_once: false, notified: false, ..facts };
        let mut p = Procedure::new(10);
        p.stop(0);
        check(
            &mut p,
            &[
                (0, facts(RUNS), "Freeze"),
                (0, facts(FROZEN), "Terminate"),
                (10, facts(RUNS), "Freeze"),
                (10, facts(FROZEN), "Kill"),
                (11, facts(LEFT), "Wait"),
                (20_010, facts(LEFT), "Freeze"),
                (20_010, facts(FROZEN), "Kill"),
                (20_020, facts(GONE), "Gone"),
            ],
        );
    }

    #[test]
    fn a_tree_that_dies_frozen_is_thawed_for_the_next() {
        let mut p = Procedure::new(10);
        p.stop(0);
        check(&mut p, &[(0, RUNS, "Freeze"), (1, GONE, "Thaw"), (1, GONE, "Gone")]);
    }
}
