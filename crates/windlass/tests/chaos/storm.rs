//! Three control nodes and three workers, one of them behind NAT, while everything goes wrong:
//! nothing that was acknowledged is missing, nothing runs beside itself, and all that is told is
//! true.
//!
//! The seed decides what goes wrong, where, when and for how long. What the processes make of it is
//! theirs, so the same seed is the same storm, but not the same history.

use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::clients::Clients;
use crate::faults::Faults;
use crate::machine::Machine;
use crate::truth::Truth;
use crate::verdict::Verdict;
use crate::world::World;

const CLIENTS: usize = 3;
/// Unless `WINDLASS_CHAOS_MINUTES` says something else.
const MINUTES: f64 = 2.0;
/// Also on a machine that is busy with other things.
const RUNS_A_MINUTE: f64 = 15.0;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_runs_beside_itself() {
    let mut chance = Chance::new();
    let named = std::env::var("WINDLASS_CHAOS_MINUTES").ok();
    let minutes = named.map_or(MINUTES, |minutes| minutes.parse().unwrap());
    let mut truth = Truth::new();
    println!("files in {}", truth.path().display());
    let kept = KeptOnFailure(&mut truth);
    let truth = &*kept.0;
    let world = World::new();
    let machines = cluster(&world, truth);
    let clients = Clients::new(&machines, truth.path());
    let mut faults = Faults::new(&world, &machines);
    let begun = Instant::now();
    clients.during(CLIENTS, &mut chance, |chance| {
        faults.storm(Duration::from_secs_f64(minutes * 60.0), chance);
    });
    let calm = Instant::now();
    println!("{}", faults.told());
    let verdict = Verdict::once_all_ended(&machines, truth, &faults.freezes);
    println!("all has ended {:.1} s after the last fault", calm.elapsed().as_secs_f64());
    verdict.nobody_is_lost();
    let unanswered = clients.unanswered.into_inner();
    let accepted = clients.accepted.into_inner().unwrap();
    println!("{}", verdict.check(&accepted, &mut chance));
    let took_s = begun.elapsed().as_secs();
    println!("{unanswered} requests got no answer at first; {took_s} s in all");
    assert!(accepted.len() as f64 > minutes * RUNS_A_MINUTE, "too little work to prove anything");
}

fn cluster(world: &World, truth: &Truth) -> Vec<Machine> {
    let machine = |name, number, roles| Machine::new(name, world.host(number), roles, truth.path());
    let mut machines = vec![
        machine("c1", 1, "control"),
        machine("c2", 2, "control"),
        machine("c3", 3, "control"),
        machine("w1", 11, "worker"),
        machine("w2", 12, "worker"),
    ];
    let host = world.host_behind_nat(13);
    machines.push(Machine::new("w3", host, "worker", truth.path()));
    let (first, others) = machines.split_first().unwrap();
    first.found();
    others.iter().for_each(|machine| machine.join(first));
    first.until_voters(3);
    machines
}

struct KeptOnFailure<'a>(&'a mut Truth);

impl Drop for KeptOnFailure<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("kept: {}", self.0.keep().display());
        }
    }
}
