//! A state to plan on: nodes, tasks, and what a plan makes of them.

use std::collections::BTreeMap;

use machine::{Event, State};
use model::{ArraySpec, JobSpec, NodeId, Placement, Resources, RunId, TaskSpec};
use proto::record::{self, Batch, Command, Header, command::Kind};
use reactor::placement::{Plan, Room};

pub(crate) const NOW_MS: u64 = 1_000;

#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) elements: u32,
    pub(crate) cpu: u64,
    pub(crate) memory: u64,
    pub(crate) priority: u32,
    pub(crate) parallel_max: u32,
    pub(crate) placement: Placement,
}

impl Task {
    /// Some elements that want so many processors, placed as the text says.
    pub(crate) fn of(elements: u32, cpu: u64, placement: &str) -> Task {
        let placement = Placement::parse(placement).expect("it is a policy");
        Task { elements, cpu, memory: 0, priority: 50, parallel_max: 0, placement }
    }

    pub(crate) fn wants(&self) -> Resources {
        Resources { cpu_milli: self.cpu, memory_bytes: self.memory }
    }
}

pub(crate) fn node_id(node: usize) -> NodeId {
    NodeId::from_bytes(&[node as u8 + 1; 16]).expect("16 bytes are an id")
}

pub(crate) fn apply(state: &mut State, time_ms: u64, kind: Kind) -> Vec<Event> {
    let incarnation = state.cluster().map_or(0, |cluster| cluster.incarnation.into());
    let header = Some(Header { incarnation, time_ms, ..Default::default() });
    let batch = Batch { header, commands: vec![Command { kind: Some(kind) }] };
    state.apply(state.applied() + 1, (0, 0), &batch).events
}

/// A cluster of these nodes, each with its processors and memory.
pub(crate) fn cluster(nodes: &[(u64, u64)]) -> State {
    let mut state = State::new();
    let found = record::Found { cluster_id: vec![1; 16], incarnation: 1 };
    apply(&mut state, NOW_MS, Kind::Found(found));
    for (at, (cpu_milli, memory_bytes)) in nodes.iter().enumerate() {
        let register = record::RegisterNode {
            node_id: node_id(at).to_bytes(),
            capacity: Some(Resources { cpu_milli: *cpu_milli, memory_bytes: *memory_bytes }.into()),
            supervisor_id: vec![9; 16],
            ..Default::default()
        };
        apply(&mut state, NOW_MS, Kind::RegisterNode(register));
    }
    state
}

/// All of so many nodes, each with how many it may be given ahead.
pub(crate) fn room(nodes: usize, ahead: u64) -> Room {
    Room::of((0..nodes).map(|at| (node_id(at), ahead)))
}

pub(crate) fn submit(state: &mut State, time_ms: u64, of: &Task) -> RunId {
    let mut task = TaskSpec::new(vec!["true".into()]);
    let (last, parallel_max) = (of.elements - 1, of.parallel_max);
    task.array = Some(ArraySpec { first: 0, last, step: 1, parallel_max });
    task.resources = of.wants();
    task.priority = of.priority;
    task.placement = of.placement;
    let job = Some((&JobSpec { tasks: vec![task], ..JobSpec::default() }).into());
    apply(state, time_ms, Kind::SubmitJob(record::SubmitJob { job, ..Default::default() }));
    state.last_run()
}

/// Commits a plan. Every pick of it must hold.
pub(crate) fn commit(state: &mut State, time_ms: u64, plan: Plan) {
    let places = plan.places.into_iter().map(Kind::Place);
    for command in places.chain(plan.turned_away.into_iter().map(Kind::TurnAway)) {
        let refused = |event: &Event| matches!(event, Event::PickRefused { .. });
        let events = apply(state, time_ms, command);
        assert!(!events.iter().any(refused), "a plan for this very state holds: {events:?}");
    }
}

/// How many elements of each run go to which node.
pub(crate) type Seats = BTreeMap<(RunId, NodeId), u64>;

/// Those that get a seat, or those that are placed ahead.
pub(crate) fn placed(plan: &Plan, ahead: bool) -> Seats {
    let mut seats = Seats::new();
    for place in &plan.places {
        let node = NodeId::from_bytes(&place.node_id).expect("a plan names nodes");
        for pick in place.picks.iter().filter(|pick| pick.ahead == ahead) {
            let count: u64 = pick.ordinals.iter().map(|r| u64::from(r.last - r.first) + 1).sum();
            *seats.entry((RunId(pick.run), node)).or_default() += count;
        }
    }
    seats
}

/// How many elements in all go to each of so many nodes.
pub(crate) fn by_node(plan: &Plan, nodes: usize, ahead: bool) -> Vec<u64> {
    let mut counts = vec![0; nodes];
    for ((_, node), count) in placed(plan, ahead) {
        let at = (0..nodes).find(|at| node_id(*at) == node).expect("it is one of them");
        counts[at] += count;
    }
    counts
}
