//! The worker part, event by event: what an unruly session may do to it.

use model::{NodeId, Resources};
use proto::session::{self, Assign, Assignment, Item, ToWorker, Welcome, to_control, to_worker};
use proto::supervisor::{self, to_supervisor};
use reactor::Now;
use reactor::worker::{Config, Effect, Event, Worker};

struct World {
    worker: Worker,
    /// What the supervisor is told to start: the first number, and how many.
    started: Vec<(u64, usize)>,
    hellos: Vec<session::Hello>,
}

impl World {
    /// A worker part with a supervisor, welcome in epoch 1.
    fn welcome() -> World {
        let config = Config {
            node: NodeId::from_bytes(&[1; 16]).expect("16 bytes"),
            name: "n".into(),
            capacity: Resources::default(),
            labels: vec![],
            version: String::new(),
            life: 0,
        };
        let mut world = World { worker: Worker::new(config), started: vec![], hellos: vec![] };
        let supervisor_id = vec![5; 16];
        let hello =
            supervisor::Hello { supervisor_id: supervisor_id.clone(), ..Default::default() };
        world.handle(Event::SupervisorUp { hello, recovered: vec![] });
        world.handle(Event::SessionOpened);
        let welcome = Welcome { epoch: 1, supervisor_id, hello_number: 1, ..Welcome::default() };
        world.hear(to_worker::Kind::Welcome(welcome));
        world
    }

    fn handle(&mut self, event: Event) {
        for effect in self.worker.handle(Now::default(), event) {
            match effect {
                Effect::ToSupervisor(message) => {
                    if let Some(to_supervisor::Kind::Start(start)) = message.kind {
                        self.started.push((start.seq, start.items.len()));
                    }
                }
                Effect::ToControl(message) => {
                    if let Some(to_control::Kind::Hello(hello)) = message.kind {
                        self.hellos.push(hello);
                    }
                }
                Effect::Timer(_) | Effect::LeaveSession => {}
            }
        }
    }

    fn hear(&mut self, kind: to_worker::Kind) {
        self.handle(Event::FromControl(ToWorker { kind: Some(kind) }));
    }

    /// So many elements, whose indices are their numbers.
    fn assign(&mut self, seq: u64, count: u64) {
        let items =
            (seq..seq + count).map(|n| Item { index: n as u32, attempt: 1, text: None }).collect();
        let assignment = Assignment { seq, run: 1, items, ..Assignment::default() };
        self.hear(to_worker::Kind::Assign(Assign { epoch: 1, assignments: vec![assignment] }));
    }
}

#[test]
fn what_was_overtaken_is_neither_started_nor_held() {
    let mut world = World::welcome();
    world.assign(5, 2);
    world.assign(1, 2);
    world.assign(5, 2);
    assert_eq!(world.started, [(5, 2)]);
    world.assign(6, 2);
    assert_eq!(world.started, [(5, 2), (7, 1)], "only what it has not seen");
    world.handle(Event::SessionClosed);
    world.handle(Event::SessionOpened);
    let hello = world.hellos.last().expect("it says hello in each session");
    let held: Vec<u32> = hello.held.iter().map(|attempt| attempt.index).collect();
    assert_eq!((hello.seen_epoch, hello.seen_seq, held), (1, 7, vec![5, 6, 7]));
}

#[test]
fn each_hello_has_a_greater_number() {
    let mut world = World::welcome();
    for supervisor in 6..8 {
        world.handle(Event::SupervisorLost);
        let supervisor_id = vec![supervisor; 16];
        let hello = supervisor::Hello { supervisor_id, ..Default::default() };
        world.handle(Event::SupervisorUp { hello, recovered: vec![] });
    }
    let numbers: Vec<u64> = world.hellos.iter().map(|hello| hello.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}
