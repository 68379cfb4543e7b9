//! What the modelled tasks do, told by their commands, and the jobs that clients make of them.

use model::job::{Conditions, Reason};
use model::{ArraySpec, Ending, JobSpec, MaxFailed, OnLost, Placement, Policy, Resources, Retries};
use model::{TaskSpec, WhenFull};
use proto::record;

use super::profile::Profile;
use super::{MS, SECOND};
use crate::rng::Rng;

/// Added to a signal's number.
const SIGNAL: i32 = 1000;
/// More processors than any node has.
const TOO_MANY_CPUS: u64 = 64_000;

/// What a process does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behaviour {
    /// Between which times it ends by itself; never where there are none.
    pub(super) runs_us: Option<(u64, u64)>,
    /// What it exits with then; from [`SIGNAL`] on the signal it ends of.
    code: i32,
    /// So many first attempts fail, whatever comes then.
    fails_first: u32,
    /// What it does when it is asked to end.
    pub(super) term: Term,
    /// Its program does not exist.
    pub(super) missing: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Term {
    Dies,
    Ignores,
    Exits(i32),
}

impl Behaviour {
    fn draw(rng: &mut Rng) -> Behaviour {
        let runs_us = match rng.below(20) {
            0..7 => Some((0, 50 * MS)),
            7..14 => Some((10 * MS, 2 * SECOND)),
            14..19 => Some((SECOND, 15 * SECOND)),
            _ => None,
        };
        let term = match rng.below(4) {
            0 => Term::Ignores,
            1 => Term::Exits(rng.below(4) as i32),
            _ => Term::Dies,
        };
        let code = match rng.below(20) {
            0..16 => 0,
            16..19 => rng.within(1, 4) as i32,
            _ => SIGNAL + 11,
        };
        let fails_first = if rng.chance(200) { rng.within(1, 3) as u32 } else { 0 };
        Behaviour { runs_us, code, fails_first, term, missing: rng.chance(30) }
    }

    /// It runs for a while and succeeds.
    pub(super) fn plain(runs_us: (u64, u64), term: Term) -> Behaviour {
        Behaviour { runs_us: Some(runs_us), code: 0, fails_first: 0, term, missing: false }
    }

    /// How an attempt ends by itself.
    pub(super) fn ending(self, attempt: u32) -> Ending {
        match self.code {
            _ if attempt <= self.fails_first => Ending::Exited { code: 1 },
            code if code >= SIGNAL => Ending::Signaled { signal: code - SIGNAL },
            code => Ending::Exited { code },
        }
    }

    pub(super) fn command(self) -> Vec<String> {
        let (low, high) = self.runs_us.unwrap_or((0, 0));
        let term = match self.term {
            Term::Dies => -1,
            Term::Ignores => -2,
            Term::Exits(code) => i64::from(code),
        };
        let (code, fails_first) = (self.code.into(), self.fails_first.into());
        let numbers = [low as i64, high as i64, code, term, self.missing.into(), fails_first];
        ["task".to_owned()].into_iter().chain(numbers.map(|number| number.to_string())).collect()
    }

    /// What the command of a task says.
    pub(super) fn of(spec: &TaskSpec) -> Behaviour {
        let number = |at: usize| spec.command.get(at).and_then(|word| word.parse::<i64>().ok());
        let number = |at| number(at).unwrap_or_default();
        Behaviour {
            runs_us: (number(2) > 0).then(|| (number(1) as u64, number(2) as u64)),
            code: number(3) as i32,
            term: match number(4) {
                -1 => Term::Dies,
                -2 => Term::Ignores,
                code => Term::Exits(code as i32),
            },
            missing: number(5) == 1,
            fails_first: number(6) as u32,
        }
    }
}

/// Whether a task ends only when somebody cancels it, on nodes of these capacities.
pub(super) fn needs_cancel(spec: &TaskSpec, nodes: &[Resources]) -> bool {
    let behaviour = Behaviour::of(spec);
    let endless = behaviour.runs_us.is_none() && spec.timeout_ms == 0 && !behaviour.missing;
    let fits = |node: &Resources| {
        spec.placement.limit(*node).has_room(Resources::default(), spec.resources)
    };
    let unfit = !nodes.iter().any(fits);
    match spec.total_timeout_ms {
        0 => endless || (unfit && spec.pending_timeout_ms == 0),
        _ => false,
    }
}

/// Draws a job of one to three tasks.
pub(super) fn draw_job(rng: &mut Rng, profile: &Profile) -> JobSpec {
    let count = if rng.chance(700) { 1 } else { rng.within(2, 3) };
    let tasks = (0..count).map(|at| draw_task(rng, profile, at)).collect();
    let owner = "ann".to_owned();
    JobSpec { namespace: "default".to_owned(), owner, tasks, ..JobSpec::default() }
}

fn draw_task(rng: &mut Rng, profile: &Profile, at: u64) -> TaskSpec {
    let mut behaviour = Behaviour::draw(rng);
    if profile.forgets && rng.chance(200) {
        // Longer than the cluster needs to forget it and to go on.
        behaviour.runs_us = Some((2 * SECOND, 20 * SECOND));
    }
    let mut task = TaskSpec::new(behaviour.command());
    task.name = format!("t{at}");
    if rng.chance(500) {
        let (first, step) = (rng.below(5) as u32, rng.within(1, 3) as u32);
        let count = rng.skewed(1, 30) as u32;
        let parallel_max = if rng.chance(300) { rng.within(1, 3) as u32 } else { 0 };
        task.array =
            Some(ArraySpec { first, last: first + step * (count - 1), step, parallel_max });
    }
    let cpu_milli = match rng.below(30) {
        0 => TOO_MANY_CPUS,
        1..6 => 0,
        6..20 => 500,
        20..27 => 1000,
        _ => rng.within(1, 4) * 1000,
    };
    let memory_bytes = if rng.chance(200) { 1 << 29 } else { 0 };
    task.resources = Resources { cpu_milli, memory_bytes };
    if profile.shapes && cpu_milli < TOO_MANY_CPUS {
        let (cpus, memory) = (rng.below(41), rng.below(9));
        task.resources = Resources { cpu_milli: cpus * 100, memory_bytes: memory << 27 };
    }
    task.priority = *rng.pick(&[50, 50, 50, 10, 90]).expect("there are choices");
    task.timeout_ms = if rng.chance(250) { rng.within(10, 5000) } else { 0 };
    task.grace_ms = rng.within(1, 3000);
    task.success_codes = if rng.chance(100) { vec![1, 2] } else { vec![] };
    task.on_lost = *rng
        .pick(&[OnLost::Requeue, OnLost::Requeue, OnLost::Fail, OnLost::Wait])
        .expect("there are choices");
    task.at_most_once = rng.chance(100);
    task.placement = draw_placement(rng);
    draw_second_chances(rng, profile, &mut task);
    task
}

/// Any policy, perhaps with headroom, and now and then one that does not wait.
fn draw_placement(rng: &mut Rng) -> Placement {
    let policy = draw_policy(rng);
    let roomy = policy == Policy::Spread && rng.chance(500);
    Placement {
        policy,
        headroom_percent: if roomy { rng.within(1, 60) as u32 } else { 0 },
        when_full: if rng.chance(150) { WhenFull::Fail } else { WhenFull::Wait },
    }
}

pub(super) fn draw_policy(rng: &mut Rng) -> Policy {
    let others = Policy::ALL.iter().filter(|policy| **policy != Policy::Pull);
    let others: Vec<Policy> = others.copied().collect();
    let other = *rng.pick(&others).expect("there are choices");
    if rng.chance(500) { Policy::Pull } else { other }
}

/// Retries, limits of failures and losses, deadlines.
fn draw_second_chances(rng: &mut Rng, profile: &Profile, task: &mut TaskSpec) {
    let choose = |rng: &mut Rng, from: &[u64]| *rng.pick(from).expect("there are choices");
    if rng.chance(500) {
        let bases: &[u64] =
            if profile.slow { &[1_000, 10_000, 60_000] } else { &[0, 5, 100, 1_000] };
        let base_ms = choose(rng, bases);
        task.retries = Retries {
            attempts: rng.within(1, 4) as u32,
            base_ms,
            factor_milli: choose(rng, &[1_000, 2_000, 3_000]) as u32,
            max_ms: choose(rng, &[base_ms, base_ms * 2, 120_000]),
            jitter_percent: choose(rng, &[0, 25, 100]) as u32,
            on: if rng.chance(300) { draw_conditions(rng) } else { Conditions::default() },
            not_on: if rng.chance(200) { draw_conditions(rng) } else { Conditions::default() },
        };
    }
    task.losses_max = choose(rng, &[0, 1, 2, 5, 5, 5]) as u32;
    if rng.chance(250) {
        let most = rng.below(4) as u32;
        task.max_failed = Some(match rng.chance(500) {
            true => MaxFailed::Count(most),
            false => MaxFailed::Percent(most * 20),
        });
    }
    let (pending, total) = match profile.slow {
        true => ((30_000, 300_000), (60_000, 600_000)),
        false => ((50, 3_000), (200, 10_000)),
    };
    if rng.chance(150) {
        task.pending_timeout_ms = rng.within(pending.0, pending.1);
    }
    if rng.chance(200) {
        task.total_timeout_ms = rng.within(total.0, total.1);
    }
    task.start_timeout_ms = if rng.chance(100) { 100 } else { 0 };
}

fn draw_conditions(rng: &mut Rng) -> Conditions {
    let mut drawn = Conditions::default();
    for _ in 0..rng.within(1, 2) {
        match rng.below(3) {
            0 => drawn.codes.push(rng.within(1, 4) as u8),
            1 => drawn.signals.push(*rng.pick(&[9, 11, 15]).expect("there are choices")),
            _ => drawn.reasons.push(*rng.pick(&Reason::ALL).expect("there are choices")),
        }
    }
    drawn
}

/// Draws which part of a job is repeated, at least one element, and what the rest has come to.
pub(super) fn draw_rerun(rng: &mut Rng, of: u64, job: &JobSpec) -> record::Rerun {
    let always = rng.below(job.tasks.len() as u64) as usize;
    let mut task = |(at, task): (usize, &TaskSpec)| {
        let count = task.indices().count();
        let first = rng.below(count.into()) as u32;
        let last = rng.within(first.into(), u64::from(count) - 1) as u32;
        let none = at != always && rng.chance(300);
        let ordinals = if none { vec![] } else { vec![record::Range { first, last }] };
        let repeated = if none { 0 } else { last - first + 1 };
        let left = u64::from(count - repeated);
        let failed = if rng.chance(300) { rng.below(left + 1) } else { 0 };
        let taken = [("succeeded", left - failed), ("failed", failed)];
        let taken = taken.into_iter().filter(|(_, count)| *count > 0);
        let taken =
            taken.map(|(state, count)| record::StateCount { state: state.to_owned(), count });
        record::RerunTask { ordinals, taken: taken.collect(), failure: None }
    };
    record::Rerun { of, tasks: job.tasks.iter().enumerate().map(&mut task).collect() }
}
