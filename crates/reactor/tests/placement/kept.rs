//! A planner that has made plans before, beside one that begins: whatever happens to nodes, room, tasks
//! and time between two plans, both make the same.

use machine::State;
use model::{Ending, NodeId, Outcome, Policy, Resources};
use proptest::prelude::*;
use proto::record::{self, command::Kind};
use reactor::placement::{Planner, Room, Spare, plan};

use crate::naive::task;
use crate::support::{NOW_MS, Task, apply, cluster, node_id, submit};

/// Nodes there may be; at the beginning there is a half of them.
const NODES: usize = 8;

#[derive(Clone, Debug)]
enum Step {
    Submit(Task),
    /// It is registered, perhaps anew and with something else.
    Register(usize, u64, u64),
    Drain(usize),
    Resume(usize),
    Lose(usize),
    /// What it can be given.
    Spare(usize, Option<(u64, bool)>),
    /// So many of what it has end.
    End(usize, usize),
    Passes(u64),
    /// A plan is made and committed; or only made.
    Plan(bool),
    /// Everything is as it was at the beginning, as after a snapshot.
    Return,
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    prop_oneof![
        3 => task(&Policy::ALL).prop_map(Step::Submit),
        1 => (node.clone(), 0..12u64, 0..12u64).prop_map(|(node, cpu, memory)| Step::Register(node, cpu, memory)),
        1 => node.clone().prop_map(Step::Drain),
        1 => node.clone().prop_map(Step::Resume),
        1 => node.clone().prop_map(Step::Lose),
        3 => (node.clone(), prop::option::weighted(0.8, (0..6u64, any::<bool>()))).prop_map(|(node, spare)| Step::Spare(node, spare)),
        3 => (node, 1..9usize).prop_map(|(node, count)| Step::End(node, count)),
        1 => prop::sample::select(vec![100, 11_000, 61_000]).prop_map(Step::Passes),
        6 => any::<bool>().prop_map(Step::Plan),
        1 => Just(Step::Return),
    ]
}

struct World {
    state: State,
    room: Room,
    now_ms: u64,
    planner: Planner,
}

impl World {
    fn new() -> World {
        World {
            state: cluster(&[(6, 6); NODES / 2]),
            room: Room::of((0..NODES / 2).map(|at| (node_id(at), 1))),
            now_ms: NOW_MS,
            planner: Planner::default(),
        }
    }

    fn apply(&mut self, kind: Kind) {
        apply(&mut self.state, self.now_ms, kind);
        assert_eq!(self.state.check_invariants(), Vec::<String>::new());
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Submit(task) => _ = submit(&mut self.state, self.now_ms, &task),
            Step::Register(node, cpu_milli, memory_bytes) => {
                let capacity = Some(Resources { cpu_milli, memory_bytes }.into());
                let (node_id, lease_ms) = (node_id(node).to_bytes(), 1_000);
                let supervisor_id = vec![(cpu_milli + 1) as u8; 16];
                self.apply(Kind::RegisterNode(record::RegisterNode {
                    node_id,
                    capacity,
                    supervisor_id,
                    lease_ms,
                    ..Default::default()
                }));
            }
            Step::Drain(node) => {
                let node_id = node_id(node).to_bytes();
                self.apply(Kind::DrainNode(record::DrainNode { node_id, ..Default::default() }));
            }
            Step::Resume(node) => {
                let node_id = node_id(node).to_bytes();
                self.apply(Kind::ResumeNode(record::ResumeNode { node_id, ..Default::default() }));
            }
            Step::Lose(node) => {
                let (id, epoch) = (node_id(node), self.epoch(node_id(node)));
                self.apply(Kind::LoseNode(record::LoseNode { node_id: id.to_bytes(), epoch }));
            }
            Step::Spare(node, None) => _ = self.room.nodes.remove(&node_id(node)),
            Step::Spare(node, Some((ahead, asks))) => {
                self.room.nodes.insert(node_id(node), Spare { ahead, asks });
            }
            Step::End(node, count) => self.end(node_id(node), count),
            Step::Passes(ms) => self.now_ms += ms,
            Step::Plan(is_committed) => return self.plan(is_committed),
            Step::Return => self.state = World::new().state,
        }
        Ok(())
    }

    fn plan(&mut self, is_committed: bool) -> Result<(), TestCaseError> {
        let made = self.planner.plan(&self.state, &self.room);
        prop_assert_eq!(&made, &plan(&self.state, &self.room));
        if is_committed {
            self.room.turn = made.turn;
            crate::support::commit(&mut self.state, self.now_ms, made);
        }
        Ok(())
    }

    fn epoch(&self, node: NodeId) -> u64 {
        self.state.node(node).map_or(0, |node| node.epoch)
    }

    fn end(&mut self, id: NodeId, count: usize) {
        let Some(node) = self.state.node(id) else { return };
        let attempts = node.assigned.values().take(count).filter_map(|at| {
            let run = self.state.run(at.run)?;
            let live = run.tasks[at.task as usize].live.get(&at.ordinal)?;
            Some(run.attempt(at.run, at.task, at.ordinal, live.number))
        });
        let outcome = Outcome::bare(Ending::Exited { code: 0 });
        let end = |attempt: model::Attempt| record::End {
            attempt: Some(attempt.into()),
            outcome: Some(outcome.clone().into()),
        };
        let (ends, epoch) = (attempts.map(end).collect(), node.epoch);
        let report = record::Report { node_id: id.to_bytes(), epoch, starts: vec![], ends };
        self.apply(Kind::Report(report));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_a_planner_keeps_changes_no_plan(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.step(step)?;
        }
    }
}
