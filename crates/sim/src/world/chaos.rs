//! Faults, and their end.

use super::{MS, SECOND, World, client, note};

impl World {
    /// One fault, and when the next one comes.
    pub(super) fn chaos(&mut self) {
        if !self.hostile {
            return;
        }
        let node = self.rng.below(self.nodes.len() as u64) as usize;
        let host = self.rng.below(self.hosts.len() as u64) as usize;
        if self.hosts.len() > 1 && self.rng.chance(250) {
            self.sever();
        }
        let fault = self.rng.below(32);
        let fault = if self.profile.cuts && self.rng.chance(700) { 27 + fault % 5 } else { fault };
        match fault {
            0..3 => self.crash_control(host, 0),
            3..7 => self.crash_daemon(node),
            7..11 => self.crash_supervisor(node),
            11 => self.reboot(node),
            12..16 => {
                let open = self.open_links();
                if let Some(link) = self.rng.pick(&open).copied() {
                    self.break_link(link, 3 * SECOND);
                }
            }
            16 => {
                // The machine that has both: its control part goes with it.
                self.reboot(node);
                self.crash_control(host, SECOND);
            }
            17 => self.jump_clock(),
            18 | 21 => self.change_leader(),
            19 => self.hang_up(node),
            20 => self.go_down(),
            24 => self.jump_clock(),
            25 => self.suspend(),
            26 => self.hold(host),
            27..30 => self.cut_off(node),
            30 => {
                self.reboot(node);
                self.cut_off(node);
            }
            31 => self.swallow(),
            _ => {
                self.crash_supervisor(node);
                self.crash_daemon(node);
            }
        }
        let delay = self.rng.skewed(MS, 4 * self.profile.chaos_every_us);
        self.after(delay, super::Event::Chaos);
    }

    fn crash_supervisor(&mut self, node: usize) {
        self.crashes += u64::from(self.nodes[node].supervisor.is_some());
        self.end_supervisor(node);
    }

    /// The machine loses its power: all that ran and all that was not synced is gone.
    fn reboot(&mut self, node: usize) {
        note!(self, "node {node}: reboots");
        self.crash_daemon(node);
        self.crash_supervisor(node);
        self.nodes[node].disk.retain(|_, frame| frame.synced);
        for pid in self.processes.on_node(node) {
            self.processes.die(pid, None);
        }
        if self.rng.chance(100) {
            let removal = self.removal(node, true);
            self.ask(removal);
        }
    }

    /// A node is cut off, perhaps for longer than its lease.
    fn cut_off(&mut self, node: usize) {
        let lasts_us = self.rng.within(MS, 2 * (self.profile.lease_ms + 2_000) * MS);
        note!(self, "node {node}: is cut off for {} ms", lasts_us / MS);
        self.nodes[node].cut_until_us = self.now_us + lasts_us;
        let session = self.nodes[node].daemon.as_ref().and_then(|daemon| daemon.session);
        if let Some(session) = session {
            let mute = *self.rng.pick(&[[true; 2], [true, false], [false, true]]).expect("three");
            self.mute_link(session, mute, lasts_us);
        }
    }

    /// A session swallows one direction, or both, and nobody is told.
    fn swallow(&mut self) {
        let open = self.open_links();
        let Some(link) = self.rng.pick(&open).copied() else { return };
        let mute = [self.rng.chance(600), self.rng.chance(600)];
        let lasts_us = self.rng.skewed(MS, 3 * self.profile.lease_ms * MS);
        self.mute_link(link, mute, lasts_us);
    }

    /// The only node of a cluster is brought down: nothing more is placed and all is stopped. Its
    /// processes end when the supervisor has left, and begin again.
    fn go_down(&mut self) {
        let ([node], [host]) = (&mut self.nodes[..], &self.hosts[..]) else { return };
        let host_life = host.life;
        let Some(daemon) = node.daemon.as_mut().filter(|_| host.control.is_some()) else { return };
        daemon.down = true;
        let life = daemon.life;
        note!(self, "the node goes down");
        self.control(host_life, reactor::control::Event::Close);
        self.worker(0, life, reactor::worker::Event::Down);
    }

    /// The control part lives, but leads under another term, and may hear that it does not at all.
    fn change_leader(&mut self) {
        let Some(leader) = self.leading() else { return };
        let other = self.rng.below(self.hosts.len() as u64) as usize;
        if other != leader {
            if self.reaches(leader, other) && self.hosts[other].control.is_some() {
                self.elect(other);
            }
            return;
        }
        let life = self.hosts[leader].life;
        if self.rng.chance(500) {
            self.hosts[leader].believes = None;
            self.control(life, reactor::control::Event::Leadership(None));
        }
        if self.host(life).is_none() {
            return;
        }
        let delay = self.elect(leader);
        note!(self, "journal: the leader changes, nothing more for {} ms", delay / MS);
    }

    /// No more faults: sessions are streams again, and what never ends is cancelled.
    pub(super) fn heal(&mut self) {
        self.hostile = false;
        note!(self, "the world heals");
        self.mend();
        self.all_join_again();
        let muted = self.muted_links();
        muted.into_iter().for_each(|link| self.break_link(link, 100 * MS));
        if self.profile.reopen {
            self.open_links().into_iter().for_each(|link| self.break_link(link, 100 * MS));
        }
        self.after(0, super::Event::Client(client::Event::Sweeps));
    }

    /// Whether everything has ended and nobody has anything left to say.
    pub(super) fn is_over(&self) -> bool {
        !self.hostile
            && !self.stream.is_active()
            && self.all_answered()
            && self.truth.state.runs().is_empty()
            && self.processes.live().next().is_none()
            && (0..self.nodes.len()).all(|node| self.is_quiet(node))
            && self.hosts.iter().all(|host| host.delivered == self.journal.len())
    }

    /// What has not ended, for whoever has to find out why.
    pub(super) fn stuck(&self) -> String {
        let mut what = format!("step {}: not everything ended after healing:", self.steps);
        if !self.all_answered() {
            what += " requests are open;";
        }
        for (id, run) in self.truth.state.runs().iter() {
            what += &format!(" run {id} is {:?};", run.counts());
            let live = run.tasks.iter().find_map(|task| task.live.iter().next());
            what += &live.map(|live| format!(" {live:?};")).unwrap_or_default();
        }
        for (at, node) in self.nodes.iter().enumerate() {
            if !self.is_quiet(at) {
                what += &format!(" node {at} has daemon {}", node.daemon.is_some());
                what += &format!(" and supervisor {};", node.supervisor.is_some());
            }
        }
        let open = self.open_links().len();
        let live = self.hosts.iter().filter(|host| host.control.is_some()).count();
        what + &format!(" {open} sessions, {live} control parts, {:?} leads", self.leading())
    }
}
