//! What goes wrong: one strike after the other, drawn from the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use turmoil::Sim;

use crate::chance::Chance;
use crate::client::client_machine;
use crate::host::{self, Home, name};
use crate::order::Order;

/// The usual latency of a message, at most.
const CALM_MS: u64 = 10;

/// How a host ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    /// Its machine does, and what was not synced is gone.
    Power,
    /// Its process does: its files are as they are, and its connections end.
    Process,
}

/// In which direction nothing gets through.
#[derive(Debug, Clone, Copy)]
enum Way {
    Both,
    From,
    To,
}

/// The weather over one world.
pub(crate) struct Weather {
    chance: Chance,
    homes: Vec<Home>,
    /// Of clients.
    machines: u64,
    /// Hosts that are down, and when they come up again.
    down: BTreeMap<u64, Duration>,
    next: Duration,
    /// When all that is cut is whole again, if it does not wait for another strike.
    clears: Option<Duration>,
    /// Hosts between which something was lost: what is left of their connections breaks when all is whole again.
    torn: BTreeSet<(u64, u64)>,
}

impl Weather {
    pub(crate) fn new(seed: u64, homes: Vec<Home>, machines: u64) -> Self {
        let chance = Chance::new(seed, 0xf0f0);
        let (down, next) = (BTreeMap::new(), Duration::ZERO);
        Self { chance, homes, machines, down, next, clears: None, torn: BTreeSet::new() }
    }

    /// A moment of the hostile phase.
    pub(crate) fn pass(&mut self, sim: &mut Sim<'_>) -> Result<()> {
        self.pass_calmly(sim)?;
        let now = sim.elapsed();
        if now >= self.next {
            self.strike(sim)?;
            self.next = now + self.millis(100, 3000);
        }
        Ok(())
    }

    /// A moment without a strike: what was struck comes back in its time. That goes on behind the last one, for a disk
    /// may lose its power only then.
    pub(crate) fn pass_calmly(&mut self, sim: &mut Sim<'_>) -> Result<()> {
        self.bring_up(sim);
        self.take_down_what_lost_its_power(sim)?;
        if self.clears.is_some_and(|at| at <= sim.elapsed()) {
            self.clear(sim);
        }
        Ok(())
    }

    /// Everything is whole again, and whoever is down comes up.
    pub(crate) fn heal(&mut self, sim: &mut Sim<'_>) {
        self.clear(sim);
        sim.set_max_message_latency(Duration::from_millis(CALM_MS));
        self.down.values_mut().for_each(|at| *at = Duration::ZERO);
    }

    fn strike(&mut self, sim: &mut Sim<'_>) -> Result<()> {
        let shared = self.homes[0].shared.clone();
        shared.count(|counts| counts.strikes += 1);
        let host = self.victim();
        let kind = self.chance.below(100);
        shared.note("world", format_args!("strike {kind} at {}", name(host)));
        match kind {
            0..10 => self.crash(sim, host, Crash::Power)?,
            10..17 => self.crash(sim, host, Crash::Process)?,
            17..29 => {
                // In the middle of a write, or between a write and its sync.
                let disk = self.home(host).storage.borrow().disk().clone();
                disk.cut_after(self.chance.below(12));
            }
            29..36 => {
                let up: Vec<u64> = self.up().collect();
                for host in up {
                    self.crash(sim, host, Crash::Power)?;
                }
            }
            36..46 => self.cut_off(sim, host, Way::Both),
            46..52 => self.cut_off(sim, host, Way::From),
            52..58 => self.cut_off(sim, host, Way::To),
            58..64 => {
                let other = self.other(host);
                self.cut(sim, host, other, Way::From);
                self.clears_later(sim);
            }
            64..76 => self.hold(sim, host, true),
            76..82 => self.hold(sim, host, false),
            82..86 => (1..=self.count()).for_each(|other| shared.reset(host, other)),
            86..92 => {
                let ms = self.chance.pick(&[CALM_MS, CALM_MS, 50, 150, 400]).unwrap_or(CALM_MS);
                sim.set_max_message_latency(Duration::from_millis(ms));
            }
            92..95 => shared.order(host, Order::Resign),
            95..98 => shared.order(host, Order::Vote(self.voters())),
            _ => self.clear(sim),
        }
        Ok(())
    }

    /// Who is to vote: everybody, or three.
    fn voters(&mut self) -> BTreeSet<u64> {
        let mut voters: BTreeSet<u64> = (1..=self.count()).collect();
        let all = self.chance.percent(40);
        while voters.len() > 3 && !all {
            let one = self.chance.within(1, self.count());
            voters.remove(&one);
        }
        voters
    }

    /// Mostly the leader: that is where it hurts.
    fn victim(&mut self) -> u64 {
        let shared = self.homes[0].shared.clone();
        let leads = |host: &u64| host::leads(&shared, *host);
        let leader = (1..=self.count()).filter(|host| leads(host).is_some()).max_by_key(leads);
        let any = self.chance.within(1, self.count());
        leader.filter(|_| self.chance.percent(60)).unwrap_or(any)
    }

    fn other(&mut self, host: u64) -> u64 {
        let next = self.chance.within(1, self.count() - 1);
        (host - 1 + next) % self.count() + 1
    }

    fn home(&self, host: u64) -> &Home {
        &self.homes[host as usize - 1]
    }

    fn count(&self) -> u64 {
        self.homes.len() as u64
    }

    fn up(&self) -> impl Iterator<Item = u64> {
        (1..=self.count()).filter(|host| !self.down.contains_key(host))
    }

    /// From all other hosts; clients still reach it.
    fn cut_off(&mut self, sim: &mut Sim<'_>, host: u64, way: Way) {
        for other in (1..=self.count()).filter(|other| *other != host) {
            self.cut(sim, host, other, way);
        }
        self.clears_later(sim);
    }

    /// What is under way is lost, and what comes.
    fn cut(&mut self, sim: &mut Sim<'_>, host: u64, other: u64, way: Way) {
        match way {
            Way::Both => sim.partition(name(host), name(other)),
            Way::From => sim.partition_oneway(name(host), name(other)),
            Way::To => sim.partition_oneway(name(other), name(host)),
        }
        self.torn.insert((host, other));
    }

    /// What comes from it, or goes to it, comes late, and all at once: it is paused. Or only the network stands still.
    fn hold(&mut self, sim: &mut Sim<'_>, host: u64, from_clients: bool) {
        for other in (1..=self.count()).filter(|other| *other != host) {
            sim.hold(name(host), name(other));
        }
        for machine in (0..self.machines).filter(|_| from_clients) {
            sim.hold(name(host), client_machine(machine));
        }
        self.clears_later(sim);
    }

    fn clears_later(&mut self, sim: &Sim<'_>) {
        let at = sim.elapsed() + self.millis(200, 4000);
        self.clears = Some(self.clears.map_or(at, |before| before.min(at)));
    }

    fn clear(&mut self, sim: &mut Sim<'_>) {
        self.clears = None;
        for host in 1..=self.count() {
            for other in host + 1..=self.count() {
                sim.release(name(host), name(other));
            }
            for machine in 0..self.machines {
                sim.release(name(host), client_machine(machine));
            }
        }
        for (host, other) in std::mem::take(&mut self.torn) {
            self.homes[0].shared.reset(host, other);
        }
    }

    fn crash(&mut self, sim: &mut Sim<'_>, host: u64, crash: Crash) -> Result<()> {
        if self.down.contains_key(&host) {
            return Ok(());
        }
        let home = self.home(host).clone();
        home.shared.count(|counts| counts.crashes += 1);
        home.shared.note(&name(host), format_args!("crashes: {crash:?}"));
        let disk = home.storage.borrow().disk().clone();
        if crash == Crash::Power {
            disk.cut();
            // Whoever has no power says no farewell.
            for other in (1..=self.count()).filter(|other| *other != host) {
                self.cut(sim, host, other, Way::Both);
            }
            self.clears_later(sim);
        }
        sim.crash(name(host));
        home.shared.note(&name(host), format_args!("{} operations", disk.operations()));
        if crash == Crash::Power {
            home.storage.borrow_mut().lose_power(&mut self.chance)?;
        }
        let up = sim.elapsed() + self.millis(20, 3000);
        self.down.insert(host, up);
        Ok(())
    }

    fn take_down_what_lost_its_power(&mut self, sim: &mut Sim<'_>) -> Result<()> {
        let powered = |host: u64| self.home(host).storage.borrow().disk().is_powered();
        let lost: Vec<u64> = self.up().filter(|host| !powered(*host)).collect();
        lost.into_iter().try_for_each(|host| self.crash(sim, host, Crash::Power))
    }

    fn bring_up(&mut self, sim: &mut Sim<'_>) {
        let now = sim.elapsed();
        let due: Vec<u64> =
            self.down.iter().filter(|(_, at)| **at <= now).map(|(host, _)| *host).collect();
        for host in due {
            self.down.remove(&host);
            sim.bounce(name(host));
        }
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.chance.within(from, to))
    }
}
