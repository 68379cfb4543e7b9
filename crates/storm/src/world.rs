//! One world, from its founding to its verdict.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow, bail, ensure};
use machine::State;
use model::RunId;
use turmoil::{Builder, Sim};

use crate::chance::{Chance, seed_process};
use crate::client::{Client, client_machine, work_all};
use crate::clock::{EPOCH, set_elapsed};
use crate::disk::{Storage, enter_own_directory};
use crate::history::Tally;
use crate::host::{Home, host_of, job_name, name};
use crate::shared::{Counts, Phase, Shared};
use crate::weather::Weather;

/// How long nothing is well.
const HOSTILE: Duration = Duration::from_secs(20);
/// How long the group may take to come together.
const FOUNDED_WITHIN: Duration = Duration::from_secs(30);
/// How long a healed world may take until every client has asked for everything and all hosts have the same.
const HEALED_WITHIN: Duration = Duration::from_secs(120);
/// A step of the world: messages come with its beginning. Most of the work of a run is the steps themselves.
const TICK: Duration = Duration::from_millis(4);
/// Clients, and the machines that they are on.
const CLIENTS: u64 = 6;
const CLIENT_MACHINES: u64 = 2;
/// How far a host's clock may be off, in milliseconds.
const CLOCK_OFF_MS: u64 = 3_000;

/// What a run came to that broke no promise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) hosts: u64,
    pub(crate) counts: Counts,
    pub(crate) tally: Tally,
    /// The hash of all that happened, and of how many lines.
    pub(crate) trace: (u64, u64),
}

/// The first panic of any task: a runtime catches it, and goes on.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Runs the world of this seed. Once in a process.
pub(crate) fn run(seed: u64, prints: bool) -> Result<Summary> {
    // Before there is any chance, so that what else lies there does not change the world.
    let _directory = enter_own_directory()?;
    seed_process(seed);
    std::panic::set_hook(Box::new(|panic| {
        let mut first = PANIC.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        first.get_or_insert(panic.to_string());
    }));
    let shared = Shared::new(prints);
    let homes = homes(seed, &shared)?;
    let hosts = homes.len() as u64;
    let mut sim = build(seed, &homes, &shared);
    let mut weather = Weather::new(seed, homes.clone(), CLIENT_MACHINES);

    let founded = || homes.iter().all(is_founded);
    step_until(&mut sim, &shared, FOUNDED_WITHIN, "come together", |_, _| Ok(founded()))?;
    shared.enter(Phase::Hostile);
    let end = sim.elapsed() + HOSTILE;
    while sim.elapsed() < end {
        step(&mut sim, &shared)?;
        weather.pass(&mut sim)?;
    }
    weather.heal(&mut sim);
    shared.enter(Phase::Healed);
    step_until(&mut sim, &shared, HEALED_WITHIN, "heal", |sim, asked| {
        weather.pass_calmly(sim)?;
        Ok(asked && same_everywhere(&shared, hosts))
    })?;
    check(&shared, hosts)?;
    let tally = shared.with_history(|history| history.tally());
    ensure!(tally.submitted > 0, "no submit was acknowledged, so that nothing was tried: {tally}");
    Ok(Summary { hosts, counts: shared.counts(), tally, trace: shared.trace() })
}

fn homes(seed: u64, shared: &Arc<Shared>) -> Result<Vec<Home>> {
    let mut chance = Chance::new(seed, 0x40e5);
    let count = chance.pick(&[3, 3, 3, 5]).unwrap_or(3);
    let voters: BTreeSet<u64> = (1..=chance.pick(&[3, count]).unwrap_or(3)).collect();
    let checkpoint_bytes = chance.pick(&[2 << 10, 8 << 10, 1 << 30]).unwrap_or(8 << 10);
    let home = |host: u64| {
        let storage = Storage::new(&name(host), seed ^ (host << 32))?;
        Ok(Home {
            host,
            storage: Rc::new(RefCell::new(storage)),
            shared: shared.clone(),
            seed,
            voters: voters.clone(),
            count,
            clock_off_ms: chance.below(2 * CLOCK_OFF_MS) as i64 - CLOCK_OFF_MS as i64,
            checkpoint_bytes,
        })
    };
    (1..=count).map(home).collect()
}

fn build(seed: u64, homes: &[Home], shared: &Arc<Shared>) -> Sim<'static> {
    let mut sim = Builder::new()
        .rng_seed(seed)
        .epoch(SystemTime::UNIX_EPOCH + EPOCH)
        .simulation_duration(Duration::MAX)
        .tick_duration(TICK)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(10))
        .tcp_capacity(1024)
        .enable_random_order()
        .build();
    for home in homes {
        let home = home.clone();
        sim.host(name(home.host), move || home.clone().live());
    }
    let client = |number: u64| Client {
        number,
        of: CLIENTS,
        hosts: homes.len() as u64,
        shared: shared.clone(),
        chance: Chance::new(seed, 0xc11e ^ (number << 32)),
    };
    for machine in 0..CLIENT_MACHINES {
        let here = (1..=CLIENTS).filter(|number| number % CLIENT_MACHINES == machine);
        sim.client(client_machine(machine), work_all(here.map(client).collect()));
    }
    sim
}

/// One step; fails where something is broken. Whether all clients are done.
fn step(sim: &mut Sim<'_>, shared: &Shared) -> Result<bool> {
    let done = sim.step().map_err(|error| anyhow!("a host failed: {error}"))?;
    shared.set_now(sim.elapsed());
    set_elapsed(sim.elapsed());
    let panic = PANIC.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    if let Some(panic) = panic {
        bail!("something panicked: {panic}");
    }
    shared.verdict().map_err(|broken| anyhow!("{broken}"))?;
    Ok(done)
}

fn step_until<'a>(
    sim: &mut Sim<'a>,
    shared: &Shared,
    within: Duration,
    what: &str,
    mut done: impl FnMut(&mut Sim<'a>, bool) -> Result<bool>,
) -> Result<()> {
    let end = sim.elapsed() + within;
    loop {
        let asked = step(sim, shared)?;
        if done(sim, asked)? {
            return Ok(());
        }
        if sim.elapsed() >= end {
            bail!("the world did not {what} within {within:?}");
        }
    }
}

/// Whether the host knows of all voters, and of no others.
fn is_founded(home: &Home) -> bool {
    let Some(journal) = home.shared.journal(home.host) else { return false };
    let membership = journal.membership().borrow().clone();
    let voters = membership.members.iter().filter(|role| role.voter);
    let voters: BTreeSet<u64> = voters.map(|role| host_of(role.member.node)).collect();
    !membership.changing && voters == home.voters
}

fn same_everywhere(shared: &Shared, hosts: u64) -> bool {
    let applied = |node| shared.state(node).map(|state: State| state.applied());
    let first = applied(1);
    first.is_some() && (2..=hosts).all(|node| applied(node) == first)
}

/// What must hold at the end: all have the same, it has all that clients were told of, and they were told no nonsense.
fn check(shared: &Shared, hosts: u64) -> Result<()> {
    let states: Vec<State> = (1..=hosts).filter_map(|node| shared.state(node)).collect();
    for (node, state) in (1..).zip(&states) {
        shared.compare(node, state);
        shared.verdict().map_err(|broken| anyhow!("{broken}"))?;
    }
    let Some(state) = states.first() else { bail!("no host has a state") };
    let faults = shared.with_history(|history| {
        let mut faults = history.faults();
        for (run, of) in history.runs() {
            faults.extend(lost(state, run, of, history.may_be_canceled(of, run)));
        }
        faults.extend(doubles(state));
        faults
    });
    if let Some(first) = faults.first() {
        bail!("{} faults; the first: {first}", faults.len());
    }
    Ok(())
}

/// Jobs that have become two runs.
fn doubles(state: &State) -> Vec<String> {
    let mut runs: BTreeMap<String, RunId> = BTreeMap::new();
    let double = |(run, of): (RunId, Arc<machine::Run>)| {
        let other = runs.insert(of.spec.name.clone(), run)?;
        Some(format!("{} was submitted once and is run {other} and run {run}", of.spec.name))
    };
    state.runs().iter().filter_map(double).collect()
}

/// What of a run that a client was told of is not there.
fn lost(state: &State, run: u64, of: u64, may_be_canceled: bool) -> Option<String> {
    match state.run(RunId(run)) {
        Some(found) if found.spec.name == job_name(of) => None,
        Some(found) => Some(format!("run {run} is one of {}, not of job {of}", found.spec.name)),
        None if run > state.last_run().0 => Some(format!("run {run} of job {of} is lost")),
        None if may_be_canceled => None,
        None => Some(format!("run {run} of job {of} has ended, and nobody has canceled it")),
    }
}
