//! What the modelled tasks do, told by their commands, and the jobs that clients make of them.

use model::{ArraySpec, JobSpec, OnLost, Resources, TaskSpec};

use super::{MS, SECOND};
use crate::rng::Rng;

/// More processors than any node has.
const TOO_MANY_CPUS: u64 = 64_000;

/// What a process does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behaviour {
    /// Between which times it ends by itself; never where there are none.
    pub(super) runs_us: Option<(u64, u64)>,
    /// What it exits with then.
    pub(super) code: i32,
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
        let code = if rng.chance(800) { 0 } else { rng.within(1, 4) as i32 };
        Behaviour { runs_us, code, term, missing: rng.chance(30) }
    }

    fn command(self) -> Vec<String> {
        let (low, high) = self.runs_us.unwrap_or((0, 0));
        let term = match self.term {
            Term::Dies => -1,
            Term::Ignores => -2,
            Term::Exits(code) => i64::from(code),
        };
        let numbers = [low as i64, high as i64, self.code.into(), term, self.missing.into()];
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
        }
    }
}

/// Whether a task ends only when somebody cancels it, on nodes of these capacities.
pub(super) fn needs_cancel(spec: &TaskSpec, nodes: &[Resources]) -> bool {
    let behaviour = Behaviour::of(spec);
    let endless = behaviour.runs_us.is_none() && spec.timeout_ms == 0 && !behaviour.missing;
    endless || !nodes.iter().any(|node| node.has_room(Resources::default(), spec.resources))
}

/// Draws a job of one to three tasks.
pub(super) fn draw_job(rng: &mut Rng) -> JobSpec {
    let count = if rng.chance(700) { 1 } else { rng.within(2, 3) };
    let tasks = (0..count).map(|at| draw_task(rng, at)).collect();
    let owner = "ann".to_owned();
    JobSpec { namespace: "default".to_owned(), owner, tasks, ..JobSpec::default() }
}

fn draw_task(rng: &mut Rng, at: u64) -> TaskSpec {
    let mut task = TaskSpec::new(Behaviour::draw(rng).command());
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
    task.priority = *rng.pick(&[50, 50, 50, 10, 90]).expect("there are choices");
    task.timeout_ms = if rng.chance(250) { rng.within(10, 5000) } else { 0 };
    task.grace_ms = rng.within(1, 3000);
    task.success_codes = if rng.chance(100) { vec![1, 2] } else { vec![] };
    task.on_lost = *rng
        .pick(&[OnLost::Requeue, OnLost::Requeue, OnLost::Fail, OnLost::Wait])
        .expect("there are choices");
    task.at_most_once = rng.chance(100);
    task
}
