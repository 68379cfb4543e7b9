//! Leases, event by event: who may be told what, when, and what counts of it.

use bytes::Bytes;
use machine::State;
use model::{ClusterId, LEASE_MARGIN_MS, NodeId};
use proto::record;
use proto::session::{
    Heartbeat, Hello, LeaseAck, SayHello, ToControl, ToWorker, Welcome, to_control, to_worker,
};
use proto::supervisor::{self, FromSupervisor, Lease, from_supervisor, to_supervisor};
use reactor::Now;
use reactor::control::{self, Control};
use reactor::worker::{self, Worker};

const LEASE_MS: u64 = 10_000;
const NODE: [u8; 16] = [1; 16];

/// A control part that leads, at a time that the tests set.
struct Leader {
    control: Control,
    index: u64,
    leader: (u64, u64),
    now_ms: u64,
    sent: Vec<to_worker::Kind>,
    asked: Vec<u64>,
    plans: usize,
    /// So many batches get lost, and which did.
    drops: usize,
    dropped: Vec<u64>,
}

impl Leader {
    fn new(alone: Option<NodeId>) -> Leader {
        let config =
            control::Config { found: ClusterId::from_bytes(&[7; 16]), lease_ms: LEASE_MS, alone };
        let (control, leader) = (Control::new(config), (1, 1));
        let (sent, asked) = (Vec::new(), Vec::new());
        let mut world = Leader {
            control,
            index: 0,
            leader,
            now_ms: 1_000,
            sent,
            asked,
            plans: 0,
            drops: 0,
            dropped: Vec::new(),
        };
        world.elect(1);
        world
    }

    /// It leads in this term, and its first entry is delivered.
    fn elect(&mut self, term: u64) {
        self.leader = (term, 1);
        self.handle(control::Event::Leadership(Some(self.leader)));
        self.deliver(Bytes::new());
    }

    fn handle(&mut self, event: control::Event) {
        let now = Now { unix_ms: 1_700_000_000_000 + self.now_ms, steady_ms: self.now_ms };
        for effect in self.control.handle(now, event) {
            match effect {
                control::Effect::Propose { number, .. } if self.drops > 0 => {
                    self.drops -= 1;
                    self.dropped.push(number);
                }
                control::Effect::Propose { record, .. } => self.deliver(record),
                control::Effect::Plan { .. } => self.plans += 1,
                control::Effect::Send { message, .. } => self.sent.extend(message.kind),
                control::Effect::Confirm { number } => self.asked.push(number),
                _ => {}
            }
        }
    }

    fn deliver(&mut self, record: Bytes) {
        self.index += 1;
        let (index, leader) = (self.index, self.leader);
        self.handle(control::Event::Delivered { index, leader, record });
    }

    fn say(&mut self, kind: to_control::Kind) {
        let message = ToControl { kind: Some(kind) };
        self.handle(control::Event::Message { session: 1, message });
    }

    fn hello(&mut self, number: u64, lease_ms: u64) {
        self.say(to_control::Kind::Hello(Hello {
            node_id: NODE.to_vec(),
            capacity: Some(proto::job::Resources { cpu_milli: 1000, memory_bytes: 0 }),
            supervisor_id: vec![5; 16],
            number,
            lease_ms,
            ..Hello::default()
        }));
    }

    /// Passes time as the shell does, with a timer now and then.
    fn pass(&mut self, ms: u64) {
        let until_ms = self.now_ms + ms;
        while self.now_ms < until_ms {
            self.now_ms = (self.now_ms + 500).min(until_ms);
            self.handle(control::Event::Timer);
        }
    }

    fn beat(&mut self, number: u64) {
        self.say(to_control::Kind::Heartbeat(Heartbeat { number }));
    }

    fn confirm(&mut self, is_leader: bool) {
        let number = self.asked.pop().expect("a confirmation is asked for");
        self.handle(control::Event::Confirmed { number, is_leader });
    }

    fn acks(&mut self) -> Vec<(u64, u64)> {
        let ack = |kind| match kind {
            to_worker::Kind::LeaseAck(LeaseAck { number, term }) => Some((number, term)),
            _ => None,
        };
        std::mem::take(&mut self.sent).into_iter().filter_map(ack).collect()
    }

    fn state(&self) -> &State {
        self.control.state()
    }

    fn is_lost(&self) -> bool {
        self.state()
            .node(NodeId::from_bytes(&NODE).expect("16 bytes"))
            .expect("it is there")
            .is_lost
    }
}

#[test]
fn a_node_is_registered_once_its_supervisor_keeps_to_a_lease_that_is_short_enough() {
    let mut world = Leader::new(None);
    for (number, claimed_ms) in [(1, 0), (2, LEASE_MS + 1)] {
        world.hello(number, claimed_ms);
        assert_eq!(
            world.sent.pop(),
            Some(to_worker::Kind::SayHello(SayHello { lease_ms: LEASE_MS }))
        );
        assert!(world.state().nodes().is_empty());
    }
    world.hello(3, LEASE_MS);
    let Some(to_worker::Kind::Welcome(welcome)) = world.sent.pop() else { panic!() };
    assert_eq!((welcome.hello_number, welcome.term, welcome.lease_ms), (3, 1, LEASE_MS));
}

#[test]
fn the_only_voters_own_node_needs_no_lease_until_there_are_others() {
    let mut world = Leader::new(NodeId::from_bytes(&NODE));
    world.hello(1, 0);
    let Some(to_worker::Kind::Welcome(welcome)) = world.sent.pop() else { panic!() };
    assert_eq!(welcome.lease_ms, 0);
    world.pass(10 * LEASE_MS);
    assert!(!world.is_lost());
    world.handle(control::Event::Alone(None));
    assert_eq!(world.sent.pop(), Some(to_worker::Kind::SayHello(SayHello { lease_ms: LEASE_MS })));
}

#[test]
fn a_heartbeat_is_acknowledged_after_a_majority_has_confirmed_the_leader_since_it_arrived() {
    let mut world = Leader::new(None);
    world.hello(1, LEASE_MS);
    world.acks();
    world.beat(1);
    assert!(world.acks().is_empty(), "nobody has confirmed anything");
    world.beat(2);
    assert_eq!(world.asked.len(), 1, "one at a time");
    world.confirm(true);
    assert_eq!(world.acks(), [(1, 1)], "the second arrived after that was asked for");
    world.confirm(true);
    assert_eq!(world.acks(), [(2, 1)]);
    world.beat(3);
    world.confirm(false);
    assert!(world.acks().is_empty());
    world.beat(4);
    let asked = world.asked.pop().expect("it asks again");
    world.elect(2);
    world.handle(control::Event::Confirmed { number: asked, is_leader: true });
    assert!(world.acks().is_empty(), "that was for the leader before");
}

#[test]
fn a_node_is_lost_its_lease_and_a_margin_after_its_last_acknowledged_heartbeat_arrived() {
    let mut world = Leader::new(None);
    world.hello(1, LEASE_MS);
    world.pass(5_000);
    world.beat(1);
    world.confirm(true);
    assert_eq!(world.acks(), [(1, 1)]);
    world.pass(1_000);
    world.beat(2);
    world.confirm(false);
    world.pass(LEASE_MS + LEASE_MARGIN_MS - 1_500);
    assert!(!world.is_lost());
    world.pass(1_000);
    assert!(world.is_lost(), "what was not acknowledged does not count");
    world.beat(3);
    world.confirm(true);
    assert!(world.acks().is_empty(), "it has to say hello first");
    world.hello(2, LEASE_MS);
    assert!(!world.is_lost(), "it is back");
}

#[test]
fn a_new_leader_and_one_that_was_paused_wait_as_long_as_if_they_had_just_heard_of_all() {
    let mut world = Leader::new(None);
    world.hello(1, LEASE_MS);
    world.pass(LEASE_MS);
    world.elect(2);
    world.pass(LEASE_MS + LEASE_MARGIN_MS - 1_000);
    assert!(!world.is_lost(), "an earlier leader may have acknowledged something until then");
    world.now_ms += 100_000;
    world.handle(control::Event::Timer);
    world.pass(LEASE_MS + LEASE_MARGIN_MS - 1_000);
    assert!(!world.is_lost(), "it was suspended, perhaps with the node");
    world.pass(2_000);
    assert!(world.is_lost());
}

#[test]
fn the_oldest_heartbeat_is_the_last_that_was_acknowledged_while_a_lease_can_run_out() {
    let mut world = Leader::new(None);
    assert_eq!(world.control.oldest_heartbeat_ms(), None, "there is no node");
    world.hello(1, LEASE_MS);
    assert_eq!(world.control.oldest_heartbeat_ms(), Some(1_000), "its hello");
    world.pass(5_000);
    world.beat(1);
    assert_eq!(world.control.oldest_heartbeat_ms(), Some(1_000), "nobody has confirmed it");
    world.pass(500);
    world.confirm(true);
    assert_eq!(world.control.oldest_heartbeat_ms(), Some(6_000), "when it arrived");
    world.pass(2_000);
    world.elect(2);
    assert_eq!(world.control.oldest_heartbeat_ms(), Some(world.now_ms), "a leader starts over");
    world.pass(LEASE_MS + LEASE_MARGIN_MS + 500);
    assert!(world.is_lost());
    assert_eq!(world.control.oldest_heartbeat_ms(), None, "it has no lease any more");
    world.handle(control::Event::Leadership(None));
    assert_eq!(world.control.oldest_heartbeat_ms(), None, "it does not lead");
}

impl Leader {
    /// The cluster is recovered just now, while this leader leads for long; a node has this lease.
    fn recovered(longest_ms: u64) -> Leader {
        let mut world = Leader::new(None);
        world.pass(100_000);
        world.request(register(longest_ms));
        world.request(recover());
        world
    }

    fn request(&mut self, command: record::command::Kind) {
        self.handle(control::Event::Request { id: 1, command });
    }
}

fn register(lease_ms: u64) -> record::command::Kind {
    record::command::Kind::RegisterNode(record::RegisterNode {
        node_id: NODE.to_vec(),
        capacity: Some(proto::job::Resources { cpu_milli: 1000, memory_bytes: 0 }),
        supervisor_id: vec![5; 16],
        lease_ms,
        ..Default::default()
    })
}

fn recover() -> record::command::Kind {
    record::command::Kind::Recover(record::Recover {
        incarnation: 2,
        how: "restore".to_owned(),
        ..Default::default()
    })
}

#[test]
fn a_recovery_is_over_the_longest_lease_and_a_margin_after_the_leader_was_confirmed() {
    for (longest_ms, waits_ms) in [(0, LEASE_MS), (2_000, LEASE_MS), (30_000, 30_000)] {
        let mut world = Leader::recovered(longest_ms);
        assert!(world.state().is_recovering());
        world.pass(waits_ms + LEASE_MARGIN_MS - 500);
        assert!(world.state().is_recovering(), "{longest_ms} ms");
        world.pass(500);
        assert!(!world.state().is_recovering(), "{longest_ms} ms");
    }
}

#[test]
fn a_new_leader_and_one_that_was_paused_wait_anew_for_the_end_of_a_recovery() {
    let mut world = Leader::recovered(LEASE_MS);
    world.pass(LEASE_MS);
    world.elect(2);
    world.pass(LEASE_MS + LEASE_MARGIN_MS - 1_000);
    assert!(world.state().is_recovering(), "this leader knows nothing of the one before");
    world.now_ms += 100_000;
    world.handle(control::Event::Timer);
    world.pass(LEASE_MS + LEASE_MARGIN_MS - 1_000);
    assert!(world.state().is_recovering(), "a node may have been paused with it");
    world.pass(1_000);
    assert!(!world.state().is_recovering());
}

#[test]
fn nothing_is_planned_in_a_recovery() {
    let mut world = Leader::recovered(0);
    world.hello(1, LEASE_MS);
    let mut task = model::TaskSpec::new(vec!["true".to_owned()]);
    task.resources.cpu_milli = 1000;
    let job = model::JobSpec { tasks: vec![task], ..Default::default() };
    let submit = record::SubmitJob { job: Some((&job).into()), ..Default::default() };
    world.request(record::command::Kind::SubmitJob(submit));
    world.pass(LEASE_MS);
    world.hello(2, LEASE_MS);
    assert_eq!(world.plans, 0, "the node is there, and something waits");
    world.pass(LEASE_MARGIN_MS);
    assert_eq!(world.plans, 1);
}

#[test]
fn the_end_of_a_recovery_that_is_lost_on_its_way_is_asked_for_again() {
    let mut world = Leader::recovered(0);
    world.drops = 1;
    world.pass(LEASE_MS + LEASE_MARGIN_MS);
    assert!(world.state().is_recovering());
    let number = world.dropped.pop().expect("it was proposed");
    world.handle(control::Event::ProposeFailed { number, retry: false });
    world.pass(2_000);
    assert!(!world.state().is_recovering());
}

/// A worker part with a supervisor and an open session.
struct Node {
    worker: Worker,
    now_ms: u64,
    told: Vec<Lease>,
    said: Vec<to_control::Kind>,
    left: bool,
}

impl Node {
    fn new() -> Node {
        let config = worker::Config {
            node: NodeId::from_bytes(&NODE).expect("16 bytes"),
            name: "n".into(),
            capacity: model::Resources::default(),
            labels: vec![],
            version: String::new(),
            life: 0,
        };
        let (told, said) = (Vec::new(), Vec::new());
        let worker = Worker::new(config);
        let mut node = Node { worker, now_ms: 1_000, told, said, left: false };
        let hello = supervisor::Hello { supervisor_id: vec![5; 16], ..Default::default() };
        node.handle(worker::Event::SupervisorUp { hello, recovered: vec![] });
        node.handle(worker::Event::SessionOpened);
        node
    }

    /// One that is registered with a lease in term 3.
    fn leased() -> Node {
        let mut node = Node::new();
        node.hear(to_worker::Kind::SayHello(SayHello { lease_ms: LEASE_MS }));
        let told = node.told.pop().expect("the supervisor is told");
        node.echo(told);
        node.welcome(2, 3);
        node.told.clear();
        node.said.clear();
        node
    }

    fn handle(&mut self, event: worker::Event) {
        let now = Now { unix_ms: 0, steady_ms: self.now_ms };
        for effect in self.worker.handle(now, event) {
            match effect {
                worker::Effect::ToSupervisor(message) => {
                    if let Some(to_supervisor::Kind::Lease(lease)) = message.kind {
                        self.told.push(lease);
                    }
                }
                worker::Effect::ToControl(message) => self.said.extend(message.kind),
                worker::Effect::LeaveSession => self.left = true,
                worker::Effect::Timer(_) => {}
            }
        }
    }

    fn hear(&mut self, kind: to_worker::Kind) {
        self.handle(worker::Event::FromControl(ToWorker { kind: Some(kind) }));
    }

    fn echo(&mut self, lease: Lease) {
        let kind = Some(from_supervisor::Kind::Lease(lease));
        self.handle(worker::Event::FromSupervisor(FromSupervisor { kind }));
    }

    fn welcome(&mut self, hello_number: u64, term: u64) {
        let supervisor_id = vec![5; 16];
        let lease_ms = LEASE_MS;
        let welcome =
            Welcome { epoch: 1, supervisor_id, hello_number, term, lease_ms, ..Default::default() };
        self.hear(to_worker::Kind::Welcome(welcome));
    }

    fn at(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.handle(worker::Event::Timer);
    }

    fn heartbeats(&mut self) -> Vec<u64> {
        let heartbeat = |kind| match kind {
            to_control::Kind::Heartbeat(Heartbeat { number }) => Some(number),
            _ => None,
        };
        std::mem::take(&mut self.said).into_iter().filter_map(heartbeat).collect()
    }
}

#[test]
fn a_lease_is_claimed_once_the_supervisor_has_said_that_it_keeps_to_it() {
    let mut node = Node::new();
    let claims = |node: &Node| -> Vec<u64> {
        let claim = |kind: &to_control::Kind| match kind {
            to_control::Kind::Hello(hello) => Some(hello.lease_ms),
            _ => None,
        };
        node.said.iter().filter_map(claim).collect()
    };
    assert_eq!(claims(&node), [0]);
    node.hear(to_worker::Kind::SayHello(SayHello { lease_ms: LEASE_MS }));
    assert_eq!(claims(&node), [0], "the supervisor has not answered");
    let told = node.told.pop().expect("it is told");
    assert_eq!((told.lease_ms, told.deadline_ms), (LEASE_MS, 1_000 + LEASE_MS));
    node.echo(told);
    assert_eq!(claims(&node), [0, LEASE_MS]);
}

#[test]
fn a_deadline_counts_from_the_sending_of_the_heartbeat_and_never_moves_back() {
    let mut node = Node::leased();
    node.at(3_000);
    node.at(5_000);
    assert_eq!(node.heartbeats(), [1, 2]);
    node.now_ms = 5_500;
    let ack = |number, term| to_worker::Kind::LeaseAck(LeaseAck { number, term });
    node.hear(ack(2, 3));
    assert_eq!(node.told.pop().map(|told| told.deadline_ms), Some(5_000 + LEASE_MS));
    node.hear(ack(1, 3));
    node.hear(ack(9, 3));
    assert_eq!(node.told, [], "one is older, one was never sent");
}

#[test]
fn the_words_of_a_deposed_leader_count_for_nothing() {
    let mut node = Node::leased();
    node.at(3_000);
    node.hear(to_worker::Kind::LeaseAck(LeaseAck { number: 1, term: 2 }));
    assert_eq!(node.told, []);
    node.hear(to_worker::Kind::LeaseAck(LeaseAck { number: 1, term: 4 }));
    assert_eq!(
        node.told.pop().map(|told| told.term),
        Some(4),
        "the supervisor keeps it for others"
    );
}

#[test]
fn a_session_in_which_no_leader_is_heard_of_is_left() {
    let mut node = Node::leased();
    node.at(1_000 + LEASE_MS / 2 - 1);
    assert!(!node.left);
    node.at(1_000 + LEASE_MS / 2);
    assert!(node.left);
    node.said.clear();
    node.at(1_000 + LEASE_MS);
    assert!(node.said.is_empty(), "it says nothing where nobody listens");
    node.handle(worker::Event::SessionOpened);
    assert!(matches!(node.said[..], [to_control::Kind::Hello(_)]));
}
