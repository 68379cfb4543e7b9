//! A drained node, event by event: what is planned, what is asked back, and what its session hears.

use bytes::Bytes;
use machine::{Answer, State};
use model::{Attempt, ClusterId, Element, JobSpec, NodeId, RunId, TaskSpec};
use proto::job::StopCause;
use proto::record::{self, command::Kind};
use proto::session::{Hello, ToControl, to_control, to_worker};
use reactor::control::{Config, Control, Effect, Event, LeaderId, SessionId};
use reactor::{Now, placement};

const LEADER: LeaderId = (1, 1);
const NODE: [u8; 16] = [1; 16];

/// A control part that leads, on a journal that commits at once.
struct World {
    control: Control,
    index: u64,
    now_ms: u64,
    answers: Vec<Answer>,
    sent: Vec<to_worker::Kind>,
    /// How often a plan was asked for.
    plans: usize,
}

impl World {
    /// With a node that has a processor, and a run of two elements.
    fn new() -> World {
        let control = Control::new(Config {
            found: ClusterId::from_bytes(&[7; 16]),
            lease_ms: 10_000,
            alone: NodeId::from_bytes(&NODE),
        });
        let (answers, sent) = (vec![], vec![]);
        let mut world = World { control, index: 0, now_ms: 1_000, answers, sent, plans: 0 };
        world.handle(Event::Leadership(Some(LEADER)));
        world.deliver(Bytes::new());
        world.hello(1, 1, &[], 0);
        world
    }

    fn handle(&mut self, event: Event) {
        let now = Now { unix_ms: 1_700_000_000_000 + self.now_ms, steady_ms: self.now_ms };
        for effect in self.control.handle(now, event) {
            match effect {
                Effect::Propose { record, .. } => self.deliver(record),
                Effect::Answer { answer, .. } => self.answers.extend(answer),
                Effect::Send { message, .. } => self.sent.extend(message.kind),
                Effect::Plan { state, room } => {
                    self.plans += 1;
                    let places = placement::plan(&state, &room);
                    self.handle(Event::Planned(places));
                }
                _ => {}
            }
        }
    }

    fn deliver(&mut self, record: Bytes) {
        self.index += 1;
        self.handle(Event::Delivered { index: self.index, leader: LEADER, record });
    }

    fn ask(&mut self, command: Kind) -> Answer {
        self.handle(Event::Request { id: 1, command });
        self.answers.pop().expect("it is answered")
    }

    fn submit(&mut self, elements: u32) {
        let mut task = TaskSpec::new(vec!["true".into()]);
        task.resources.cpu_milli = 1_000;
        let (first, last) = (0, elements - 1);
        task.array = Some(model::ArraySpec { first, last, step: 1, parallel_max: 0 });
        let spec = JobSpec { tasks: vec![task], ..JobSpec::default() };
        let job = Some((&spec).into());
        self.ask(Kind::SubmitJob(record::SubmitJob { job, ..Default::default() }));
    }

    fn hello(&mut self, session: SessionId, number: u64, held: &[Attempt], seen_seq: u64) {
        let hello = Hello {
            node_id: NODE.to_vec(),
            capacity: Some(proto::job::Resources { cpu_milli: 1_000, memory_bytes: 0 }),
            supervisor_id: vec![5; 16],
            held: held.iter().map(|attempt| (*attempt).into()).collect(),
            seen_epoch: 1,
            seen_seq,
            number,
            ..Hello::default()
        };
        let message = ToControl { kind: Some(to_control::Kind::Hello(hello)) };
        self.handle(Event::Message { session, message });
    }

    fn drain(&mut self, wait_ms: Option<u64>) {
        let node_id = NODE.to_vec();
        let drain = record::DrainNode { node_id, wait_ms, ..Default::default() };
        assert_eq!(self.ask(Kind::DrainNode(drain)), Answer::Draining);
    }

    /// What was said to the node since the last time: assignments, what is asked back, stops.
    fn heard(&mut self) -> Vec<String> {
        let word = |kind: &to_worker::Kind| match kind {
            to_worker::Kind::Assign(_) => Some("assign".to_owned()),
            to_worker::Kind::Withdraw(back) => Some(format!("withdraw {}", back.attempts.len())),
            to_worker::Kind::Stop(stop) => {
                Some(format!("{:?} {}", stop.cause(), stop.attempts.len()))
            }
            _ => None,
        };
        std::mem::take(&mut self.sent).iter().filter_map(word).collect()
    }

    fn state(&self) -> &State {
        self.control.state()
    }

    fn waiting(&self) -> u64 {
        self.state().run(RunId(1)).map_or(0, |run| run.tasks[0].waiting())
    }
}

fn node() -> NodeId {
    NodeId::from_bytes(&NODE).expect("16 bytes")
}

fn attempt(index: u32) -> Attempt {
    Attempt { element: Element { run: RunId(1), task: 0, index }, number: 1 }
}

#[test]
fn nothing_is_planned_for_a_drained_node() {
    let mut world = World::new();
    world.drain(None);
    let before = world.plans;
    world.submit(2);
    assert_eq!((world.waiting(), world.plans), (2, before), "no plan is made for nothing");
    let node_id = NODE.to_vec();
    let resume = record::ResumeNode { node_id, ..Default::default() };
    assert_eq!(world.ask(Kind::ResumeNode(resume)), Answer::Resumed { was_drained: true });
    assert_eq!(world.waiting(), 1, "it takes work again");
}

#[test]
fn a_plan_that_was_made_before_the_drain_places_nothing_after_it() {
    let mut world = World::new();
    world.submit(1);
    world.drain(None);
    world.submit(1);
    let ordinals = vec![record::Range { first: 0, last: 0 }];
    let picks = vec![record::Pick { run: 2, task: 0, ordinals, ahead: false }];
    let place = record::Place { node_id: NODE.to_vec(), epoch: 1, picks };
    assert_eq!(world.ask(Kind::Place(place)), Answer::Placed { count: 0 });
}

#[test]
fn the_leader_brings_the_time_at_which_what_still_runs_is_stopped() {
    let mut world = World::new();
    world.submit(1);
    world.drain(Some(5_000));
    assert_eq!(world.heard(), ["assign", "withdraw 1"]);
    world.now_ms += 4_999;
    world.handle(Event::Timer);
    assert_eq!(world.heard(), Vec::<String>::new());
    world.now_ms += 1;
    world.handle(Event::Timer);
    assert_eq!(world.heard(), [format!("{:?} 1", StopCause::Drain)]);
}

#[test]
fn a_node_that_comes_back_hears_again_what_it_is_to_take_back_and_to_stop() {
    let mut world = World::new();
    world.submit(1);
    world.drain(Some(5_000));
    world.heard();
    world.hello(2, 2, &[attempt(0)], 1);
    assert_eq!(world.heard(), ["withdraw 1"]);
    world.now_ms += 5_000;
    world.handle(Event::Timer);
    world.heard();
    world.hello(3, 3, &[attempt(0)], 1);
    assert_eq!(world.heard(), [format!("{:?} 1", StopCause::Drain)]);
}

#[test]
fn what_a_removed_node_still_holds_is_stopped_when_it_comes_back() {
    let mut world = World::new();
    world.submit(1);
    let remove =
        record::RemoveNode { node_id: NODE.to_vec(), force: true, hello: 1, ..Default::default() };
    assert_eq!(world.ask(Kind::RemoveNode(remove)), Answer::NodeRemoved { returned: 1 });
    world.heard();
    let drain = record::DrainNode { node_id: NODE.to_vec(), ..Default::default() };
    let unknown = machine::Refusal::UnknownNode { node: node() };
    assert_eq!(world.ask(Kind::DrainNode(drain)), Answer::Refused(unknown));
    // What it says in the session that it had counts for nothing, before it says hello.
    assert_eq!(world.waiting(), 1);
    world.hello(2, 2, &[attempt(0)], 1);
    let heard = world.heard();
    assert_eq!(heard[0], format!("{:?} 1", StopCause::Cancel));
    assert_eq!(world.state().node(node()).map(|node| node.epoch), Some(2));
}
