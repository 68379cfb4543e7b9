//! Who submits: programs, which ask any control node, and another one where that gives no answer,
//! until they know; and beside them a person.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::client::{Answer, Call};
use crate::machine::Machine;
use crate::patience::pass;
use crate::person::{Seen, run_something};
use crate::work::{End, Work};

/// However the storm rages, a request finds a node that answers sooner: most faults last seconds,
/// the longest some more than a lease.
const ANSWERED_WITHIN: Duration = Duration::from_secs(180);

/// A run that was acknowledged, and what must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) run: u64,
    pub(crate) work: Work,
}

/// What all clients share.
pub(crate) struct Clients<'a> {
    /// Those whose nodes can be asked.
    controls: Vec<&'a Machine>,
    ground: &'a Path,
    pub(crate) accepted: Mutex<Vec<Accepted>>,
    keys: AtomicU64,
    /// Requests that got no answer, or were put off.
    pub(crate) unanswered: AtomicU64,
    over: AtomicBool,
}

impl<'a> Clients<'a> {
    pub(crate) fn new(machines: &'a [Machine], ground: &'a Path) -> Clients<'a> {
        Clients {
            controls: machines.iter().filter(|machine| machine.is_control()).collect(),
            ground,
            accepted: Mutex::default(),
            keys: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// Submits for as long as `storm` takes. All that was begun is acknowledged when it returns.
    pub(crate) fn during(
        &self,
        clients: usize,
        chance: &mut Chance,
        storm: impl FnOnce(&mut Chance),
    ) {
        std::thread::scope(|scope| {
            // Set even when the storm fails, so that the test ends too.
            let over = Over(&self.over);
            for _ in 0..clients {
                let mut chance = chance.fork();
                scope.spawn(move || {
                    while !self.over.load(Ordering::Relaxed) {
                        self.submit(&mut chance);
                        pass(chance.ms(300, 1_500));
                    }
                });
            }
            let mut luck = chance.fork();
            scope.spawn(move || {
                let mut seen = Seen::default();
                while !self.over.load(Ordering::Relaxed) {
                    run_something(&self.controls, &mut luck, &mut seen);
                }
                println!("a person: {seen:?}");
                assert!(seen.ended > 0, "nothing that a person runs ever ends");
            });
            storm(chance);
            drop(over);
        });
    }

    fn submit(&self, chance: &mut Chance) {
        let work = Work::any(chance);
        let job = work.job(self.ground);
        let key = format!("chaos-{}", self.keys.fetch_add(1, Ordering::Relaxed));
        let run = self.acknowledged(&job, &key, chance);
        self.accepted.lock().unwrap().push(Accepted { run, work: work.clone() });
        if chance.from(0, 4) == 0 {
            assert_eq!(self.acknowledged(&job, &key, chance), run, "the same key is the same run");
        }
        if work.end == End::Canceled {
            pass(chance.ms(0, 3_000));
            let reason = json!({ "reason": "the storm wants it" });
            let cancel = Call::post(format!("/v1/runs/{run}/cancel"), &reason);
            self.answer(&cancel, &[200], chance);
        }
        self.look(chance);
    }

    fn acknowledged(&self, job: &Value, key: &str, chance: &mut Chance) -> u64 {
        let submit = Call::post("/v1/runs".to_owned(), job).key(key);
        // Made now, or by a try before whose answer got lost.
        self.answer(&submit, &[200, 201], chance).json()["run"].as_u64().unwrap()
    }

    /// Looks at something that was acknowledged, which must be there.
    fn look(&self, chance: &mut Chance) {
        let run = {
            let accepted = self.accepted.lock().unwrap();
            accepted[chance.from(0, accepted.len() as u64) as usize].run
        };
        let shown = self.answer(&Call::get(format!("/v1/runs/{run}")), &[200], chance).json();
        assert_eq!(shown["run"]["run"], run);
    }

    /// Asks one node after the other until one answers; a refusal that is none of its state fails
    /// the test.
    fn answer(&self, call: &Call<'_>, wanted: &[u16], chance: &mut Chance) -> Answer {
        let begun = Instant::now();
        loop {
            let machine = any(&self.controls, chance);
            let instead = match call.at(machine) {
                Ok(answer) if wanted.contains(&answer.status) => return answer,
                Ok(answer) if answer.passes() => answer.text(),
                Ok(answer) => panic!("{} refuses {call:?}: {}", machine.name, answer.text()),
                Err(why) => why,
            };
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            let took = begun.elapsed();
            assert!(took < ANSWERED_WITHIN, "after {took:?} no answer to {call:?}: {instead}");
            pass(chance.ms(20, 300));
        }
    }
}

/// One of them.
pub(crate) fn any<'a, T>(all: &'a [T], chance: &mut Chance) -> &'a T {
    &all[chance.from(0, all.len() as u64) as usize]
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
