//! When something goes wrong, where and for how long: decided by chance, done to the machines.
//!
//! Every fault ends by itself, so whatever is broken heals. Those of one time are each on machines
//! of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::fault::Fault;
use crate::machine::{LEASE, Machine};
use crate::patience::pass;
use crate::truth::{Freeze, boot_s};
use crate::world::{Wire, World};

/// Faults at a time.
const ACTIVE_MAX: usize = 2;

/// A fault that lasts.
struct Active {
    fault: Fault,
    /// The machines, by their place in the list.
    on: Vec<usize>,
    until: Instant,
    wires: BTreeSet<Wire>,
    from_s: f64,
}

/// Carries out faults.
pub(crate) struct Faults<'a> {
    world: &'a World,
    machines: &'a [Machine],
    active: Vec<Active>,
    begun: Instant,
    counts: BTreeMap<Fault, usize>,
    pub(crate) freezes: Vec<Freeze>,
    /// How often a daemon was started again.
    restarts: usize,
}

impl<'a> Faults<'a> {
    pub(crate) fn new(world: &'a World, machines: &'a [Machine]) -> Faults<'a> {
        Faults {
            world,
            machines,
            active: Vec::new(),
            begun: Instant::now(),
            counts: BTreeMap::new(),
            freezes: Vec::new(),
            restarts: 0,
        }
    }

    /// Lets things go wrong for so long; then ends all faults, and waits until every daemon serves.
    pub(crate) fn storm(&mut self, length: Duration, chance: &mut Chance) {
        while self.begun.elapsed() < length {
            pass(chance.ms(300, 3_000));
            self.heal(Instant::now());
            if self.active.len() < ACTIVE_MAX {
                self.strike(chance);
            }
        }
        if let Some(last) = self.active.iter().map(|active| active.until).max() {
            self.heal(last);
        }
        self.machines.iter().for_each(|machine| _ = machine.ready());
    }

    /// How many of each.
    pub(crate) fn told(&self) -> String {
        let counts = self.counts.iter().map(|(fault, count)| format!("{count} {fault:?}"));
        let counts = counts.collect::<Vec<String>>().join(", ");
        let all: usize = self.counts.values().sum();
        format!("{all} faults ({counts}), {} restarts of daemons", self.restarts)
    }

    /// Does something, unless there is no machine for it.
    fn strike(&mut self, chance: &mut Chance) {
        let fault = Fault::any(chance);
        let lease_ms = LEASE.as_millis() as u64;
        // Some are over soon; the others outlive a lease and its margin.
        let is_long = chance.from(0, 5) < 2;
        let lasts = match is_long {
            true => chance.ms(lease_ms + 2_000, lease_ms * 2),
            false => chance.ms(100, 5_000),
        };
        let Some(on) = self.targets(fault, is_long, chance) else { return };
        let names: Vec<&str> = on.iter().map(|place| self.machines[*place].name).collect();
        let at_s = self.begun.elapsed().as_secs_f64();
        println!("{at_s:7.2} {fault:?} {} for {:.1} s", names.join(" "), lasts.as_secs_f64());
        *self.counts.entry(fault).or_default() += 1;
        let from_s = boot_s();
        let first = &self.machines[on[0]];
        let mut until = Instant::now() + lasts;
        match fault {
            Fault::Kill => first.kill(),
            Fault::Restart => {
                // One that does not serve yet is not told how to end.
                if first.is_ready() {
                    first.end()
                } else {
                    first.kill()
                }
                until = Instant::now();
            }
            Fault::Pause => first.pause(),
            Fault::Freeze => first.freeze(),
            Fault::PowerOff => first.power_off(),
            Fault::SupervisorKill => first.kill_supervisor(),
            _ => {}
        }
        let addr = |place: &usize| self.machines[*place].host.addr;
        let all: Vec<Ipv4Addr> = self.machines.iter().map(|machine| machine.host.addr).collect();
        let wires = fault.wires(&on.iter().map(addr).collect::<Vec<_>>(), &all);
        self.active.push(Active { fault, on, until, wires, from_s });
        self.rewire();
    }

    /// Ends what is over by then.
    fn heal(&mut self, by: Instant) {
        let is_over = |active: &mut Active| active.until <= by;
        let over: Vec<Active> = self.active.extract_if(.., is_over).collect();
        for ended in over {
            let first = &self.machines[ended.on[0]];
            match ended.fault {
                Fault::Kill | Fault::Restart | Fault::PowerOff => {
                    first.start();
                    self.restarts += 1;
                }
                Fault::Pause => first.go_on(),
                Fault::Freeze => {
                    first.thaw();
                    let (from_s, to_s) = (ended.from_s, boot_s());
                    self.freezes.push(Freeze { node: first.name, from_s, to_s });
                }
                _ => {}
            }
        }
        self.rewire();
    }

    /// Machines on which nothing else is wrong; `None` where there are none for this.
    fn targets(&self, fault: Fault, is_long: bool, chance: &mut Chance) -> Option<Vec<usize>> {
        let busy = self.busy();
        let is_control = |place: &usize| self.machines[*place].is_control();
        // Without a majority nothing happens, so that is rare and short.
        let control_is_hit = busy.iter().any(is_control);
        let spare_control = control_is_hit && (is_long || chance.from(0, 4) > 0);
        let is_free = |place: &usize| !(busy.contains(place) || spare_control && is_control(place));
        let mut free: Vec<usize> = (0..self.machines.len()).filter(is_free).collect();
        let worker = |place: &usize| self.machines[*place].is_worker();
        let mut workers: Vec<usize> = free.iter().copied().filter(worker).collect();
        Some(match fault {
            Fault::Freeze | Fault::SupervisorKill => vec![take(&mut workers, chance)?],
            Fault::CutTogether => {
                let leader = self.leader(&busy).filter(|leader| free.contains(leader))?;
                vec![leader, take(&mut workers, chance)?]
            }
            Fault::CutPair | Fault::CutOneWay => {
                vec![take(&mut free, chance)?, take(&mut free, chance)?]
            }
            _ => vec![take(&mut free, chance)?],
        })
    }

    fn busy(&self) -> BTreeSet<usize> {
        self.active.iter().flat_map(|active| active.on.iter().copied()).collect()
    }

    /// Who leads, as a machine says on which nothing is wrong.
    fn leader(&self, busy: &BTreeSet<usize>) -> Option<usize> {
        let is_well = |place: &usize| !busy.contains(place) && self.machines[*place].is_control();
        let asked = (0..self.machines.len()).find(is_well)?;
        let leader = self.machines[asked].leader()?;
        self.machines.iter().position(|machine| machine.node() == Some(leader))
    }

    fn rewire(&self) {
        let wires = self.active.iter().flat_map(|active| active.wires.iter().copied());
        self.world.cut(wires.collect());
    }
}

/// Takes one of them out.
fn take(places: &mut Vec<usize>, chance: &mut Chance) -> Option<usize> {
    if places.is_empty() {
        return None;
    }
    Some(places.swap_remove(chance.from(0, places.len() as u64) as usize))
}
