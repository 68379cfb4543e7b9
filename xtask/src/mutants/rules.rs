//! The rules, each with how it is broken.

/// One rule and the change that breaks it.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) file: &'static str,
    /// What stands there, once.
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "no epoch check",
        file: "crates/machine/src/command/mod.rs",
        from: "if current != epoch {",
        to: "if current < epoch {",
    },
    Rule {
        name: "any leader's batch",
        file: "crates/machine/src/apply.rs",
        from: "if (header.leader_term, header.leader_node) != leader {",
        to: "if header.leader_term > leader.0 {",
    },
    Rule {
        name: "an end counts again",
        file: "crates/machine/src/command/report.rs",
        from: "(live.node == node && live.number == attempt.number)",
        to: "(live.node == node)",
    },
    Rule {
        name: "no room check",
        file: "crates/machine/src/command/place.rs",
        from: "    if !room {",
        to: "    if !room && node.capacity.cpu_milli == 0 {",
    },
    Rule {
        name: "a loss keeps the epoch",
        file: "crates/machine/src/command/lose_node.rs",
        from: "entry.epoch += 1;",
        to: "entry.epoch += 0;",
    },
    Rule {
        name: "a loss ends all",
        file: "crates/machine/src/command/lose_node.rs",
        from: "|task| task.on_lost != OnLost::Wait",
        to: "|_| true",
    },
    Rule {
        name: "lost before the lease",
        file: "crates/reactor/src/control/leases.rs",
        from: "heard_ms + node.lease_ms + LEASE_MARGIN_MS",
        to: "heard_ms + node.lease_ms / 4",
    },
    Rule {
        name: "lost a fifth too soon",
        file: "crates/reactor/src/control/leases.rs",
        from: "heard_ms + node.lease_ms + LEASE_MARGIN_MS",
        to: "heard_ms + node.lease_ms - node.lease_ms / 5",
    },
    Rule {
        name: "ack without a majority",
        file: "crates/reactor/src/control/leases.rs",
        from: "if is_leader { served } else { Vec::new() }",
        to: "if is_leader || number > 0 { served } else { Vec::new() }",
    },
    Rule {
        name: "new leader waits for nobody",
        file: "crates/reactor/src/control/leases.rs",
        from: "self.heard.get(&id).copied().unwrap_or_default().max(first_ms)",
        to: "self.heard.get(&id).copied().unwrap_or(first_ms.saturating_sub(node.lease_ms))",
    },
    Rule {
        name: "paused leader goes on",
        file: "crates/reactor/src/control/leases.rs",
        from: "const PAUSED_MS: u64 = 3_000;",
        to: "const PAUSED_MS: u64 = u64::MAX;",
    },
    Rule {
        name: "a drained node is given work",
        file: "crates/machine/src/command/place.rs",
        from: "    if node.drain.is_some() {",
        to: "    if node.drain.is_some() && node.is_lost {",
    },
    Rule {
        name: "a drain outlives its time",
        file: "crates/machine/src/fire.rs",
        from: "state.timers.take_drain(context.now_ms)",
        to: "state.timers.take_drain(context.now_ms.saturating_sub(2_000))",
    },
    Rule {
        name: "what is taken back has started",
        file: "crates/reactor/src/worker/mod.rs",
        from: "effects.push(to_supervisor(to_supervisor::Kind::Withdraw(withdraw)));",
        to: "let cause = proto::job::StopCause::Drain as i32;\n                let stop = supervisor::Stop { attempts: withdraw.attempts, cause };\n                effects.push(to_supervisor(to_supervisor::Kind::Stop(stop)));",
    },
    Rule {
        name: "a removed node begins anew",
        file: "crates/machine/src/command/register_node.rs",
        from: "None => 1 + state.epoch_floor.max(state.cluster.map_or(0, Cluster::epochs_from)),",
        to: "None => 1 + state.cluster.map_or(0, Cluster::epochs_from),",
    },
    Rule {
        name: "given up and welcome",
        file: "crates/reactor/src/control/sessions.rs",
        from: "session.hello.number == hello && !session.is_void",
        to: "session.hello.number == hello || session.is_void",
    },
    Rule {
        name: "claims before the echo",
        file: "crates/reactor/src/worker/lease.rs",
        from: "        self.wanted_ms = Some(lease_ms);\n",
        to: "        self.wanted_ms = Some(lease_ms);\n        self.lease_ms = lease_ms;\n",
    },
    Rule {
        name: "counts from the answer",
        file: "crates/reactor/src/worker/lease.rs",
        from: "let deadline_ms = sent_ms + self.lease_ms;",
        to: "let deadline_ms = sent_ms.max(self.heard_ms) + self.lease_ms;",
    },
    Rule {
        name: "starts what was seen",
        file: "crates/reactor/src/worker/mod.rs",
        from: "Some(to_worker::Kind::Assign(assign)) if self.epoch == Some(assign.epoch) => {",
        to: "Some(to_worker::Kind::Assign(assign)) if self.epoch.is_some() => {",
    },
    Rule {
        name: "welcome and never asks",
        file: "crates/reactor/src/worker/mod.rs",
        from: "self.epoch = Some(welcome.epoch);\n                self.offers.wanted(now.steady_ms);",
        to: "self.epoch = Some(welcome.epoch);",
    },
    Rule {
        name: "turned away after a try",
        file: "crates/machine/src/command/turn_away.rs",
        from: "        task.tries.range(range).for_each(|(ordinal, _)| _ = wanted.remove(*ordinal));\n",
        to: "",
    },
    Rule {
        name: "turned away with room",
        file: "crates/reactor/src/placement/mod.rs",
        from: "if !self.homes.nodes.is_whole() || has_seat ||",
        to: "if has_seat && !self.homes.nodes.is_whole() ||",
    },
    Rule {
        name: "forgets at once",
        file: "crates/reactor/src/worker/report.rs",
        from: "self.in_flight.take_if(|(in_flight, _)| *in_flight == number)",
        to: "self.in_flight.take_if(|(in_flight, _)| *in_flight >= number)",
    },
    Rule {
        name: "leads before it caught up",
        file: "crates/reactor/src/control/mod.rs",
        from: "self.leader.is_some() && self.leader == self.written_by && !self.caught_up",
        to: "self.leader.is_some() && !self.caught_up",
    },
    Rule {
        name: "a recovery keeps the epochs",
        file: "crates/machine/src/command/recover.rs",
        from: "node.epoch = cluster.epochs_from().max(node.epoch + 1);",
        to: "node.epoch += 1;",
    },
    Rule {
        name: "a recovery stops no placing",
        file: "crates/machine/src/command/recover.rs",
        from: "state.is_recovering = true;",
        to: "state.is_recovering = false;",
    },
    Rule {
        name: "a recovery is over at once",
        file: "crates/reactor/src/control/leases.rs",
        from: "(first_ms + longest_ms + LEASE_MARGIN_MS).max(self.ended_until_ms)",
        to: "(first_ms + longest_ms / 8).max(self.ended_until_ms)",
    },
    Rule {
        name: "a recovery ends what waits",
        file: "crates/machine/src/command/recover.rs",
        from: "|task| task.on_lost != OnLost::Wait",
        to: "|_| true",
    },
    Rule {
        name: "a recovery returns nothing",
        file: "crates/machine/src/command/recover.rs",
        from: ".filter(|(_, node)| node.is_lost)",
        to: ".filter(|(_, node)| node.is_lost && node.name.is_empty())",
    },
    Rule {
        name: "a recovery numbers runs again",
        file: "crates/machine/src/command/recover.rs",
        from: "state.last_run.max(RunId(recover.last_run))",
        to: "state.last_run.min(RunId(recover.last_run))",
    },
    Rule {
        name: "fences know no incarnation",
        file: "crates/machine/src/command/place.rs",
        from: "state.cluster.map_or(0, |cluster| cluster.incarnation)",
        to: "state.cluster.map_or(0, |_| 1)",
    },
    Rule {
        name: "a new node in an old epoch",
        file: "crates/machine/src/command/register_node.rs",
        from: "state.epoch_floor.max(state.cluster.map_or(0, Cluster::epochs_from))",
        to: "state.epoch_floor.max(state.cluster.map_or(0, |_: Cluster| 0))",
    },
    Rule {
        name: "a snapshot hides a recovery",
        file: "crates/machine/src/snapshot/encode.rs",
        from: "is_recovering: state.is_recovering,",
        to: "is_recovering: false,",
    },
];
