//! The control part, event by event: what a journal and workers may do to it in an unlucky order.

use bytes::Bytes;
use machine::{Answer, State};
use model::{ClusterId, JobSpec, NodeId, RunId, TaskSpec};
use proto::record::{self, command::Kind};
use proto::session::{End, Hello, ToControl, ToWorker, to_control, to_worker};
use reactor::Now;
use reactor::control::{Config, Control, Effect, Event, LeaderId, SessionId, Unavailable};
use reactor::placement::Plan;

const LEADER: LeaderId = (1, 1);
const LEASE_MS: u64 = 10_000;

/// A control part on a journal of which the test decides every step.
struct World {
    control: Control,
    now: Now,
    index: u64,
    proposed: Vec<(u64, Bytes)>,
    /// How many commands each proposal was said to have, with those that it has.
    commands: Vec<(usize, usize)>,
    answers: Vec<(u64, Result<Answer, Unavailable>)>,
    sent: Vec<(SessionId, ToWorker)>,
    timers_ms: Vec<u64>,
    /// How many plans were asked for.
    plans: usize,
}

impl World {
    fn new() -> World {
        let control = Control::new(Config {
            found: ClusterId::from_bytes(&[7; 16]),
            lease_ms: LEASE_MS,
            alone: NodeId::from_bytes(&[1; 16]),
        });
        World {
            control,
            now: Now::default(),
            index: 0,
            proposed: vec![],
            commands: vec![],
            answers: vec![],
            sent: vec![],
            timers_ms: vec![],
            plans: 0,
        }
    }

    /// A control part that leads a cluster with nothing in it.
    fn founded() -> World {
        let mut world = World::new();
        world.handle(Event::Leadership(Some(LEADER)));
        world.deliver(LEADER, Bytes::new());
        world.commit();
        world
    }

    fn handle(&mut self, event: Event) {
        for effect in self.control.handle(self.now, event) {
            match effect {
                Effect::Propose { number, record, commands, .. } => {
                    let batch = machine::decode(1, &record).expect("a batch is a record");
                    self.commands.push((commands, batch.commands.len()));
                    self.proposed.push((number, record));
                }
                Effect::Answer { id, answer } => self.answers.push((id, answer)),
                Effect::Send { session, message } => self.sent.push((session, message)),
                Effect::Timer(at_ms) => self.timers_ms.push(at_ms),
                Effect::Plan { .. } => self.plans += 1,
                _ => {}
            }
        }
    }

    fn deliver(&mut self, leader: LeaderId, record: Bytes) {
        self.index += 1;
        self.handle(Event::Delivered { index: self.index, leader, record });
    }

    /// Delivers what is proposed until nothing more is.
    fn commit(&mut self) {
        while let Some((_, record)) = self.proposed.pop() {
            self.deliver(LEADER, record);
        }
    }

    fn fail(&mut self) {
        let (number, _) = self.proposed.pop().expect("something is proposed");
        self.handle(Event::ProposeFailed { number, retry: false });
    }

    fn submit(&mut self, id: u64) {
        self.submit_task(id, TaskSpec::new(vec!["true".into()]));
    }

    fn submit_task(&mut self, id: u64, task: TaskSpec) {
        let tasks = vec![task];
        let spec = JobSpec { namespace: "default".into(), tasks, ..JobSpec::default() };
        let job = Some((&spec).into());
        let command = Kind::SubmitJob(record::SubmitJob { job, ..Default::default() });
        self.handle(Event::Request { id, command });
    }

    /// The hello of a supervisor, whose number is that of the hello too.
    fn hello(&mut self, session: SessionId, supervisor: u8) {
        self.hello_with(session, supervisor, vec![]);
    }

    fn hello_with(&mut self, session: SessionId, supervisor: u8, recovered: Vec<End>) {
        let hello = Hello {
            node_id: vec![1; 16],
            capacity: Some(proto::job::Resources { cpu_milli: 1000, memory_bytes: 0 }),
            supervisor_id: vec![supervisor; 16],
            recovered,
            number: supervisor.into(),
            ..Hello::default()
        };
        self.say(session, to_control::Kind::Hello(hello));
    }

    /// Places the first element of run 1 on the node.
    fn place(&mut self) {
        let ordinals = vec![record::Range { first: 0, last: 0 }];
        let picks = vec![record::Pick { run: 1, task: 0, ordinals, ahead: false }];
        let place = record::Place { node_id: vec![1; 16], epoch: 1, picks };
        let places = vec![place];
        self.handle(Event::Planned(Plan { places, ..Plan::default() }));
        self.commit();
        assert_eq!(self.state().run(RunId(1)).map(|run| run.tasks[0].live.len()), Some(1));
    }

    fn say(&mut self, session: SessionId, kind: to_control::Kind) {
        self.handle(Event::Message { session, message: ToControl { kind: Some(kind) } });
    }

    fn state(&self) -> &State {
        self.control.state()
    }

    fn epoch(&self) -> u64 {
        let node = NodeId::from_bytes(&[1; 16]).expect("16 bytes");
        self.state().node(node).map_or(0, |node| node.epoch)
    }

    fn welcomes(&self) -> usize {
        let welcome =
            |message: &ToWorker| matches!(message.kind, Some(to_worker::Kind::Welcome(_)));
        self.sent.iter().filter(|(_, message)| welcome(message)).count()
    }
}

#[test]
fn it_may_hear_that_it_leads_after_the_first_entry_in_its_name() {
    let mut world = World::new();
    world.deliver(LEADER, Bytes::new());
    world.handle(Event::Leadership(Some(LEADER)));
    world.commit();
    assert!(world.state().cluster().is_some(), "it goes on without another entry");
}

#[test]
fn a_proposal_says_how_many_commands_it_has() {
    let mut world = World::founded();
    world.commands.clear();
    (1..=3).for_each(|id| world.submit(id));
    world.commit();
    assert_eq!(world.commands, [(1, 1), (2, 2)], "the second is what came meanwhile");
    world.submit(4);
    let (number, _) = world.proposed.pop().expect("something is proposed");
    world.handle(Event::ProposeFailed { number, retry: true });
    assert_eq!(world.commands[2..], [(1, 1), (1, 1)]);
}

#[test]
fn a_lost_founding_is_tried_again() {
    let mut world = World::new();
    world.handle(Event::Leadership(Some(LEADER)));
    world.deliver(LEADER, Bytes::new());
    world.hello(1, 1);
    world.fail();
    world.submit(5);
    world.commit();
    assert!(
        matches!(world.answers[..], [(5, Ok(Answer::Submitted { .. }))]),
        "{:?}",
        world.answers
    );
    assert_eq!(world.welcomes(), 1);
}

#[test]
fn a_registration_in_a_refused_batch_is_made_again() {
    let mut world = World::new();
    world.handle(Event::Leadership(Some(LEADER)));
    world.deliver(LEADER, Bytes::new());
    let (number, founding) = world.proposed.pop().expect("it founds the cluster");
    world.hello(1, 1);
    world.handle(Event::ProposeFailed { number, retry: false });
    let (_, made_before) = world.proposed.pop().expect("it tries again");
    // The founding was written after all, so the next batch is from before the incarnation.
    world.deliver(LEADER, founding);
    world.deliver(LEADER, made_before);
    world.commit();
    assert_eq!(world.welcomes(), 1);
}

#[test]
fn ends_that_were_found_are_not_parted_from_their_registration() {
    let mut world = World::founded();
    world.hello(1, 1);
    world.submit(1);
    world.commit();
    world.place();
    // A batch in flight, and one that is full but for the report of what was found.
    (2..4098).for_each(|id| world.submit(id));
    let exited = proto::job::Outcome {
        ending: Some(proto::job::outcome::Ending::Exited(0)),
        ..Default::default()
    };
    let attempt = proto::job::Attempt { run: 1, task: 0, index: 0, number: 1 };
    let end = End { attempt: Some(attempt), outcome: Some(exited) };
    world.hello_with(2, 2, vec![end]);
    let (_, record) = world.proposed.pop().expect("one is in flight");
    world.deliver(LEADER, record);
    world.fail();
    world.commit();
    assert_eq!(world.epoch(), 2);
    assert!(world.state().run(RunId(1)).is_none(), "it succeeded and is not run again");
}

#[test]
fn what_is_in_flight_when_the_leader_changes_may_be_done() {
    let mut world = World::founded();
    world.submit(1);
    world.submit(2);
    world.handle(Event::Leadership(None));
    assert_eq!(
        world.answers,
        [(1, Err(Unavailable::OutcomeUnknown)), (2, Err(Unavailable::NotLeader))]
    );
    world.commit();
    assert!(world.state().run(RunId(1)).is_some(), "its entry came after all");
}

#[test]
fn a_snapshot_in_place_of_what_is_in_flight_holds_up_no_leader() {
    let mut world = World::founded();
    world.hello(1, 1);
    world.commit();
    world.submit(1);
    let (_, record) = world.proposed.pop().expect("it is in flight");
    let index = world.index + 1;
    let mut state = world.state().clone();
    let batch = machine::decode(index, &record).expect("a batch is a record");
    state.apply(index, LEADER, &batch);
    world.index = index;
    world.handle(Event::Restored { index, leader: LEADER, state });
    assert_eq!(world.answers, [(1, Err(Unavailable::OutcomeUnknown))]);
    world.submit(2);
    world.commit();
    assert!(matches!(world.answers[1..], [(2, Ok(_))]), "{:?}", world.answers);
    assert!(world.state().run(RunId(2)).is_some(), "both were committed");
    assert_eq!(world.welcomes(), 2, "what the node was told of before may be old");
}

#[test]
fn the_hello_of_a_dead_supervisor_that_comes_late_ends_nothing() {
    let mut world = World::founded();
    world.hello(3, 2);
    world.commit();
    assert_eq!(world.epoch(), 1);
    // Doubled or overtaken in its own session, and out of a session before.
    for (session, supervisor) in [(3, 2), (3, 1), (2, 1)] {
        world.hello(session, supervisor);
        world.commit();
        assert_eq!(world.epoch(), 1, "session {session}, supervisor {supervisor}");
    }
    // What was in flight of the older session counts for nothing after the later one is closed.
    world.handle(Event::SessionClosed(3));
    world.hello(2, 1);
    world.commit();
    assert_eq!(world.epoch(), 1);
    world.hello(4, 3);
    world.commit();
    assert_eq!(world.epoch(), 2);
}

#[test]
fn a_far_deadline_is_waited_for_in_short_steps_that_a_suspend_may_stretch() {
    let mut world = World::founded();
    let mut task = TaskSpec::new(vec!["true".into()]);
    task.total_timeout_ms = 3_600_000;
    world.submit_task(1, task);
    world.commit();
    assert_eq!(world.timers_ms, [10_000]);
    world.handle(Event::Timer);
    assert_eq!(world.timers_ms, [10_000; 2], "it is not over, and asked for again");
}

#[test]
fn whoever_asks_where_another_node_leads_is_told_at_once() {
    let mut world = World::founded();
    let ask = |id| Event::Request { id, command: Kind::Wake(record::Wake {}) };
    world.handle(Event::Leadership(None));
    world.handle(ask(7));
    assert_eq!(world.answers, [(7, Err(Unavailable::NotLeader))]);
    world.handle(Event::Leadership(Some((2, 1))));
    world.handle(ask(8));
    assert_eq!(world.answers.len(), 1, "one that leads, and has to catch up, keeps it");
}

#[test]
fn the_next_plan_is_made_when_all_of_the_last_one_is_applied() {
    let mut world = World::founded();
    world.hello(1, 1);
    world.commit();
    (1..3).for_each(|id| world.submit(id));
    world.commit();
    assert_eq!(world.plans, 1);
    let ordinals = vec![record::Range { first: 0, last: 0 }];
    let picks = vec![record::Pick { run: 1, task: 0, ordinals, ahead: false }];
    // Only the first of them holds; they are more than one batch takes.
    let place = record::Place { node_id: vec![1; 16], epoch: 1, picks };
    let places = vec![place; 5_000];
    world.handle(Event::Planned(Plan { places, ..Plan::default() }));
    let (_, first) = world.proposed.pop().expect("a first batch is proposed");
    world.deliver(LEADER, first);
    assert_eq!((world.proposed.len(), world.plans), (1, 1), "a second is on its way");
    world.commit();
    assert_eq!(world.plans, 2);
}

#[test]
fn whoever_leads_after_another_one_stamps_by_the_clock_it_has_then() {
    let mut world = World::founded();
    world.handle(Event::Leadership(None));
    world.deliver((2, 2), Bytes::new());
    // Its clock was set while it followed, by more than is followed at once.
    world.now = Now { unix_ms: 3_600_000, steady_ms: 1_000 };
    world.handle(Event::Leadership(Some((3, 1))));
    world.deliver((3, 1), Bytes::new());
    world.submit(1);
    let (_, record) = world.proposed.pop().unwrap();
    let header = machine::decode(0, &record).unwrap().header.unwrap();
    assert_eq!(header.time_ms, 3_600_000);
}
